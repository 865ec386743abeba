-- Every family against SciPy: golden/dist.tsv, written by golden/dist.py.

local check = require "check"
local peri = require "perigee"

local dist = peri.dist

-- "1" is a number, "1 2" a vector, "1 2/3 4" a matrix.
local function number (text)
  if text:find "nan" then return 0 / 0 end
  return tonumber(text) or (text:sub(1, 1) == "-" and -math.huge or math.huge)
end

local function vector (text)
  local list = {}
  for word in text:gmatch "%S+" do list[#list + 1] = number(word) end
  return list
end

local function value (text)
  if text:find "/" then
    local rows = {}
    for row in text:gmatch "[^/]+" do rows[#rows + 1] = vector(row) end
    return peri.tensor(rows)
  end
  local list = vector(text)
  return #list == 1 and not text:find " " and list[1] or peri.tensor(list)
end

local function make (family, text)
  local parameters = {}
  for part in text:gmatch "[^;]+" do parameters[#parameters + 1] = value(part) end
  if family == "bernoulli" then parameters[1] = peri.tensor {parameters[1]} end
  if family == "multinomial" then parameters[1] = math.tointeger(parameters[1]) end
  return dist[family](table.unpack(parameters))
end

-- What a line asks of its distribution.
local function ask (d, family, quantity, x)
  if quantity == "mean" or quantity == "variance" then return d[quantity] end
  if quantity == "entropy" then return d:entropy() end
  local v = value(x)
  if family == "categorical" then v = peri.tensor({v}, "index") end
  return d[quantity](d, type(v) == "number" and peri.tensor(v) or v)
end

local function numbers (v)
  if type(v) == "number" then return {v} end
  return v:reshape(-1):tolist()
end

-- Rounding of float32 where large terms cancel: lgamma of counts and concentrations in hundreds,
-- a variance far in the tail, 1 - I1 / I0 at concentration 500.
local loose = {binomial = 3e-4, poisson = 1e-3, gamma = 1e-3, beta = 1e-3, dirichlet = 2e-4,
  student_t = 5e-5, truncated_normal = 1e-4, von_mises = 1e-4}

local function near (got, want, tolerance)
  if want == got or (want ~= want and got ~= got) then return true end
  return math.abs(got - want) <= tolerance * math.max(math.abs(want), 1)
end

local lines, families = {}, {}
local folder = arg[0]:match "^(.*)/" or "."
for line in assert(io.open(folder .. "/../golden/dist.tsv")):lines() do
  if line:sub(1, 1) ~= "#" then
    local family = line:match "^[^\t]+"
    if not lines[family] then
      lines[family] = {}
      families[#families + 1] = family
    end
    table.insert(lines[family], line)
  end
end

for _, family in ipairs(families) do
  check.test(family .. " agrees with SciPy", function ()
    local before, d
    for _, line in ipairs(lines[family]) do
      local _, parameters, quantity, x, want =
        line:match "^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$"
      if parameters ~= before then d, before = make(family, parameters), parameters end
      local got, expected = numbers(ask(d, family, quantity, x)), vector(want)
      for i, v in ipairs(expected) do
        if not near(got[i], v, loose[family] or 2e-5) then
          error(("%s(%s) %s at %s: %.9g, SciPy %.9g"):format(family, parameters, quantity, x,
            got[i], v))
        end
      end
    end
  end)
end

check.test("the file names every family it can", function ()
  check.is_true(#families >= 25)
end)

check.done()
