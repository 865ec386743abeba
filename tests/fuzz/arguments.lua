-- Calls every bound function with arguments of the wrong kind, shape and range, and right ones
-- among them.  A call may raise a one-line error or return; the process must not crash, and under
-- the sanitizers must not touch what is not its own.  Every operation has to succeed now and then,
-- or only its checks were tested.   tests/fuzz/arguments.lua [CALLS] [SEED]

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path

local peri = require "perigee"
local core = require "perigee.core"
local options = require "perigee.options"

local calls = tonumber(arg[1]) or 20000
local seed = tonumber(arg[2]) or 1

-- Not to be called by chance: they end the process or wait for somebody.
local spared = { ["sys.exit"] = true, ["sys.run"] = true, ["sys.catch_signals"] = true }

local folder = os.tmpname()
os.remove(folder)
assert(core.sys.mkdir(folder))

local state = seed
local function random (n)                     -- 1..n; the minimal standard generator
  state = state * 48271 % 2147483647
  return state % n + 1
end

local closed
do
  local _ <close> = peri.scope()
  closed = peri.ones(2)
end

local rng = peri.rng(seed)
local function tensors ()
  return {
    peri.ones(2, 3), rng:normal(3, 2), rng:normal(2, 3):requires_grad(true), peri.zeros(0, 3),
    peri.tensor(2), peri.arange(3), peri.tensor({ 1, 3, 2 }, "index"), peri.zeros(4, 4, "byte"),
    rng:uniform(2, 3):transpose(), rng:uniform(1, 3):expand(5, 3), peri.full({ 2, 2 }, 0 / 0),
    rng:normal(2, 3):requires_grad(true):exp(), peri.tensor({ 0, 9, -4 }, "index"),
    rng:normal(1, 4, 4, 4), rng:uniform(1, 3, 3, 2), rng:normal(1, 2, 6, 1):requires_grad(true),
  }
end
local pool = tensors()

local numbers = { 0, 1, 2, 3, -1, -2, -9, 7, 0.5, -0.5, 1e30, 0 / 0, 1 / 0, -1 / 0,
  math.maxinteger, math.mininteger, 2^40, 2^53, 255, 256 }
local strings = { "", "reflect", "bilinear", "area", "border",
  "x", "real", "index", "byte", "no such name", ("long"):rep(100), "a\0b",
  folder .. "/a", folder .. "/b", folder .. "/none/c", folder }

local function value (depth)
  local k = random(14)
  if k <= 5 then return pool[random(#pool)] end
  if k <= 8 then return numbers[random(#numbers)] end
  if k == 9 then return strings[random(#strings)] end
  if k == 10 then return nil end
  if k == 11 then return random(2) == 1 end
  if k == 12 and depth == 0 and random(3) == 1 then
    return { size = random(4) - 1, stride = random(3), padding = random(3) - 1,
      dilation = random(2) }
  end
  if k == 12 and depth < 3 then
    local t = {}
    for i = 1, random(4) - 1 do t[i] = value(depth + 1) end
    if random(4) == 1 then t[strings[random(#strings)]] = value(depth + 1) end
    return t
  end
  if k == 13 then
    local odd = { rng, closed, io.stdout, coroutine.create(print), function () end }
    return odd[random(#odd)]
  end
  return pool[random(#pool)]
end

local plausible = require "plausible" (rng, random)

local targets = {}
local function add (name, f)
  if not spared[name] then targets[#targets + 1] = { name = name, f = f } end
end
local function add_table (prefix, t, seen)
  local names = {}
  for name in pairs(t) do if type(name) == "string" then names[#names + 1] = name end end
  table.sort(names)
  for _, name in ipairs(names) do
    if type(t[name]) == "function" then add(prefix .. name, t[name])
    elseif type(t[name]) == "table" and not seen[t[name]] then
      seen[t[name]] = true
      add_table(prefix .. name .. ".", t[name], seen)
    end
  end
end
assert(core.h5)                                 -- a room that is loaded at its first mention
add_table("", core, { [core] = true })
local function add_methods (prefix, object)
  local meta = debug.getmetatable(object)
  add_table(prefix .. ":", type(meta.__index) == "table" and meta.__index or meta.methods, {})
  add_table(prefix .. ".", { __gc = nil, __tostring = meta.__tostring, __len = meta.__len }, {})
  if type(meta.__index) == "function" then add(prefix .. ".__index", meta.__index) end
end
add_methods("tensor", pool[1])
add_methods("rng", rng)
local log = core.io.log_open(folder .. "/log")
if log then add_methods("log", log) end
local file = core.h5.create(folder .. "/file.h5")
if file then add_methods("h5", file) end

---Arguments that suit the function, of which one in two calls has some replaced; and their number.
local function suited (name)
  local args, n = plausible(name:gsub("^tensor:", ""), nil)
  if not args then return nil end
  n = n or 6
  if random(2) == 1 then args[random(n)] = value(0) end
  return args, n
end

local function wild (name)
  local args, n = {}, random(6) - 1
  for k = 1, n do args[k] = value(0) end
  if name:find("^tensor") and random(3) > 1 then args[1] = pool[random(#pool)] end
  if name:find("^rng:") and random(3) > 1 then args[1] = rng end
  if name:find("^log:") and random(3) > 1 then args[1] = log end
  if name:find("^h5:") and random(3) > 1 then args[1] = file end
  return args, n
end

---Differentiate what came out, by all that went in.
local function differentiate (y, args, n)
  local leaves = {}
  for k = 1, n do
    if options.is_tensor(args[k]) and args[k]:requires_grad() then
      leaves[#leaves + 1] = args[k]
    end
  end
  if #leaves == 0 or not y:requires_grad() then return end
  local g = core.grad(y:sum(), leaves, { create_graph = true })
  core.grad(g[1]:square():sum(), leaves)
end

local tried, passed = {}, {}
local long = 0
local write = io.stdout.write
for i = 1, calls do
  local t = targets[i <= #targets and i or random(#targets)]
  local args, n
  if random(2) == 1 then args, n = suited(t.name) end
  if not args then args, n = wild(t.name) end
  local ok, message = pcall(t.f, table.unpack(args, 1, n))
  tried[t.name] = (tried[t.name] or 0) + 1
  if ok then
    passed[t.name] = (passed[t.name] or 0) + 1
    if random(3) == 1 and options.is_tensor(message) then
      ok, message = pcall(differentiate, message, args, n)
    end
  end
  if not ok and type(message) == "string" and message:find("\n", 1, true) then
    long = long + 1
    io.stderr:write(t.name, ": an error of more than one line: ", message, "\n")
  end
  if i % 500 == 0 then pool = tensors() end
end
assert(io.stdout.write == write)

for _, name in ipairs(core.sys.list(folder) or {}) do os.remove(folder .. "/" .. name) end
os.remove(folder)
local count, share = 0, 0
for name in pairs(tried) do
  count, share = count + 1, share + (passed[name] or 0)
end
local rows, missed = core.operation(), {}
for _, name in ipairs(rows) do
  if not passed[name] and not passed["tensor:" .. name] then missed[#missed + 1] = name end
end
print(string.format("%d calls over %d functions, %.0f %% of them succeeded", calls, count,
  100 * share / calls))
print(string.format("%d of %d operations succeeded at least once%s", #rows - #missed, #rows,
  #missed > 0 and "; never: " .. table.concat(missed, " ") or ""))
-- Chance alone decides in a short run.
local few = calls >= 50 * count and #missed > #rows // 20
print(string.format("%d passed, %d failed", count, long + (few and 1 or 0)))
os.exit(long == 0 and not few, true)
