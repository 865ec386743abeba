-- Tensors as text: what a person reads at the prompt and in a log.

local check = require "check"
local peri  = require "perigee.core"

local function lines(x)
  local list = {}
  for line in (tostring(x) .. "\n"):gmatch("(.-)\n") do list[#list + 1] = line end
  return list
end

check.test("numbers print as numbers", function ()
  check.equal(tostring(peri.tensor(3.5)), "3.5")
  check.equal(tostring(peri.tensor(-2)), "-2")
  check.equal(tostring(peri.tensor(0.1)), "0.1")
  check.equal(tostring(peri.tensor(7, "index")), "7")
  check.equal(tostring(peri.tensor(1 / 0)), "inf")
  check.equal(tostring(peri.tensor(-1 / 0)), "-inf")
  check.equal(tostring(peri.tensor(0 / 0)), "nan")
end)

check.test("dtype and shape come first", function ()
  check.equal(lines(peri.ones(2, 3))[1], "real (2, 3)")
  check.equal(lines(peri.arange(4))[1], "index (4)")
  check.equal(lines(peri.zeros(2, 2, 2, "byte"))[1], "byte (2, 2, 2)")
end)

check.test("columns are aligned and share a precision", function ()
  check.equal(lines(peri.tensor({{1, 20}, {-300, 4}})),
              {"real (2, 2)", "     1    20", "  -300     4"})
  check.equal(lines(peri.tensor({0.5, 1.25, -3})), {"real (3)", "   0.50   1.25  -3.00"})
  check.equal(lines(peri.tensor({1 / 3, 2})), {"real (2)", "  0.3333  2.0000"})
end)

check.test("a row has as many numbers as the axis is long", function ()
  local x = peri.rng(3):normal(7, 9)
  local text = lines(x)
  check.equal(#text, 8)
  for i = 2, #text do
    local _, count = text[i]:gsub("%S+", "")
    check.equal(count, 9)
    check.equal(#text[i], #text[2])
  end
end)

-- What is printed is what is stored, to the digits shown.
check.test("the text holds the values", function ()
  for _, scale in ipairs { 1e-8, 1e-3, 0.5, 1, 70, 1e4, 3e7, 1e12 } do
    local x = peri.rng(5):normal(4, 5) * scale
    local values, text, largest = x:tolist(), lines(x), 0
    for _, row in ipairs(values) do
      for _, v in ipairs(row) do largest = math.max(largest, math.abs(v)) end
    end
    for i, row in ipairs(values) do
      local k = 0
      for word in text[i + 1]:gmatch("%S+") do
        k = k + 1
        check.is_true(math.abs(tonumber(word) - row[k]) <= largest * 1e-4)
      end
      check.equal(k, 5)
    end
  end
end)

check.test("very large and very small numbers take an exponent", function ()
  check.is_true(tostring(peri.tensor({1.5e-7, 2e-7})):find("1.5e-07", 1, true))
  check.is_true(tostring(peri.tensor({1.5e12, 2})):find("1.5e+12", 1, true))
  check.is_true(not tostring(peri.tensor({1e5, 1e-5})):find("e", 8, true))
end)

check.test("NaN and infinities stand among numbers", function ()
  check.equal(lines(peri.tensor({0 / 0, 1 / 0, -1 / 0, 2.5})),
              {"real (4)", "   nan   inf  -inf   2.5"})
  check.equal(lines(peri.tensor({0 / 0, 0 / 0})), {"real (2)", "  nan  nan"})
end)

check.test("a long vector is broken into lines", function ()
  local text = lines(peri.arange(100))
  local seen = 0
  for i = 2, #text do
    check.is_true(#text[i] <= 80)
    for word in text[i]:gmatch("%d+") do
      seen = seen + 1
      check.equal(tonumber(word), seen)
    end
  end
  check.equal(seen, 100)
end)

check.test("blocks stand under their index", function ()
  local text = tostring(peri.arange(8):real():reshape(2, 2, 2))
  check.equal(text, "real (2, 2, 2)\n[1]\n  1  2\n  3  4\n[2]\n  5  6\n  7  8")
  check.is_true(tostring(peri.zeros(2, 1, 2, 2)):find("\n[2][1]\n", 1, true))
end)

check.test("more than a thousand elements are cut in the middle", function ()
  local function count_lines(...) return #lines(peri.zeros(...)) end
  check.equal(count_lines(1000, 1), 1001)
  check.equal(count_lines(1001, 1), 1 + 6 + 1 + 6)
  local wide = lines(peri.rng(1):normal(100, 100))
  check.equal(#wide, 14)
  for i = 2, #wide do check.is_true(#wide[i] <= 80) end
  check.is_true(wide[2]:find("...", 1, true))
  check.equal(wide[8], "  ...")
  local vector = lines(peri.arange(1001))
  check.is_true(vector[#vector]:find("1001", 1, true))
  check.is_true(table.concat(vector):find("6  ...", 1, true))
  check.is_true(#tostring(peri.zeros(12, 12, 12, 12, 12)) < 100000)
  check.is_true(#tostring(peri.zeros(3, 3, 3, 3, 3, 3, 3, 3)) < 100000)
end)

check.test("the ends that are shown are the right ones", function ()
  local text = lines(peri.arange(2000):real():reshape(200, 10))
  check.equal(tonumber(text[2]:match("%S+")), 1)
  check.equal(tonumber(text[7]:match("%S+")), 51)
  check.equal(tonumber(text[9]:match("%S+")), 1941)
  check.equal(tonumber(text[14]:match("(%S+)$")), 2000)
end)

check.test("views print in the order of their shape", function ()
  local x = peri.tensor({{1, 2, 3}, {4, 5, 6}})
  check.equal(lines(x:transpose()), {"real (3, 2)", "  1  4", "  2  5", "  3  6"})
  check.equal(lines(x:slice(2, 1, 3, 2)), {"real (2, 2)", "  1  3", "  4  6"})
  check.equal(lines(peri.tensor(5):expand(2, 2)), {"real (2, 2)", "  5  5", "  5  5"})
end)

check.test("empty tensors say so", function ()
  check.equal(tostring(peri.zeros(0)), "real (0), no elements")
  check.equal(tostring(peri.zeros(3, 0, 2)), "real (3, 0, 2), no elements")
end)

check.test("a tensor whose scope closed can still be printed", function ()
  local x
  do
    local _ <close> = peri.scope()
    x = peri.ones(2)
  end
  check.is_true(tostring(x):find("scope closed", 1, true))
end)

check.test("print leaves nothing behind", function ()
  local before = peri.memory().objects
  local x = peri.rng(1):normal(20, 20)
  for _ = 1, 100 do tostring(x) end
  check.is_true(peri.memory().objects <= before + 2)
end)

check.done()
