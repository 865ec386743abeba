-- Every case of tests/golden/values: what PyTorch, SciPy and NumPy made of a call, and of the
-- gradients of its result, against what the operation makes of it here.  tests/golden/README.md
-- says how the values were made.

local check = require "check"
local peri = require "perigee"

local single = peri.tensor(1 + 2 ^ -40):item() == 1
local USUAL = single and 1e-5 or 1e-12
local LARGEST, SMALLEST = single and 0x1.fffffep127 or math.huge, single and 1e-37 or 1e-290

--- Cases of a file, each with the tensors its text asks for: those made by real are its leaves.
---@param path string
---@return table[]  {op, note, leaves, args, kind, shape, want, gradients, each, tolerance}
local function read (path)
  local list, now = {}, nil
  local function tensor (dtype)
    return function (shape, values)
      if #values == 0 then
        local x = peri.zeros(table.unpack(shape))
        return dtype == "real" and x or x[dtype](x)
      end
      return peri.tensor(values, dtype):reshape(shape)
    end
  end
  local env = { nan = 0 / 0, inf = math.huge, constant = tensor "real", index = tensor "index",
                byte = tensor "byte" }
  function env.case (op, note)
    now = { op = op, note = note, leaves = {}, tolerance = USUAL }
    list[#list + 1] = now
  end
  function env.real (shape, values)
    local x = env.constant(shape, values):requires_grad(true)
    now.leaves[#now.leaves + 1] = x
    return x
  end
  function env.args (...) now.args = table.pack(...) end
  function env.gives (kind, shape, values) now.kind, now.shape, now.want = kind, shape, values end
  function env.gradients (...) now.gradients = { ... } end
  function env.each (what) now.each = what end
  function env.within (in_single, in_double) now.tolerance = single and in_single or in_double end
  assert(loadfile(path, "t", env))()
  return list
end

local function flat (v, list)
  if type(v) ~= "table" then list[#list + 1] = v return list end
  for _, w in ipairs(v) do flat(w, list) end
  return list
end

--- got, a tensor, is want, a flat list: NaN where it is NaN, infinite where it is infinite (or
--- beyond what the binary holds), and else near, each entry or all of them in Euclidean norm.
local function compare (what, got, want, each, tolerance)
  local list = flat(got:tolist(), {})
  if #list ~= #want then error(what .. " has " .. #list .. " elements, want " .. #want, 0) end
  local off, size, worst, at = 0, 0, 0, 0
  for i, w in ipairs(want) do
    local v = list[i]
    if w > LARGEST then w = math.huge elseif w < -LARGEST then w = -math.huge end
    if w ~= w or w == math.huge or w == -math.huge or v ~= v then
      if not (v == w or (v ~= v and w ~= w)) then
        error(("%s: entry %d is %.9g, want %.9g"):format(what, i, v, w), 0)
      end
    else
      local d = math.abs(v - w)
      off, size = off + d * d, size + w * w
      if each then d = d / (math.abs(w) + SMALLEST / tolerance) end
      if d > worst then worst, at = d, i end
    end
  end
  local far = each and worst or math.sqrt(off) / math.max(math.sqrt(size), SMALLEST / tolerance)
  if far > tolerance or far ~= far then
    error(("%s: off by %.2g, most at entry %d: %.17g, want %.17g"):format(what, far, at,
          list[at] or 0, want[at] or 0), 0)
  end
end

--- The gradient that arrives, as oracle.py has it.
local function weights (shape)
  local count, list = 1, {}
  for _, n in ipairs(shape) do count = count * n end
  if count == 0 then return peri.zeros(table.unpack(shape)) end
  for i = 0, count - 1 do list[i + 1] = (7 * i % 11 - 4.5) / 8 end
  return peri.tensor(list):reshape(shape)
end

local function run (c)
  local y = peri[c.op](table.unpack(c.args, 1, c.args.n))
  check.equal(y.dtype, c.kind)
  check.equal(y.shape, c.shape)
  compare("result", y, c.want, c.each, c.tolerance)
  if not c.gradients then return end
  local dx = peri.grad(y, c.leaves, { seed = weights(c.shape) })
  for i, want in ipairs(c.gradients) do
    compare("gradient " .. i, dx[i], want, c.each == "all", c.tolerance)
  end
end

local total, rows, done = 0, 0, {}
for _, family in ipairs { "elementwise", "special", "reductions", "movement", "images",
                          "convolution", "layers", "matrices" } do
  for i, c in ipairs(read("../golden/values/" .. family .. ".txt")) do
    total, rows = total + 1, done[c.op] and rows or rows + 1
    done[c.op] = true
    check.test(("%s %d, %s: %s"):format(family, i, c.op, c.note), function () run(c) end)
  end
end

local without = {}
for line in io.lines "../../include/perigee/ops.def" do
  local op = line:match "^PERI_OP%(([%w_]+)"
  if op and not done[op] then without[#without + 1] = op end
end
print("rows without a case: " .. (without[1] and table.concat(without, ", ") or "none"))
print(("%d cases of %d rows"):format(total, rows))

check.done()
