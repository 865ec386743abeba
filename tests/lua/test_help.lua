-- Every public function is explained, from one source each, and the annotations for editors agree
-- with what there is.  The walk over what is public is this file's own, not the catalogue's.

local check = require "check"
local core = require "perigee.core"
local peri = require "perigee"
local annotations = require "perigee.help.annotations"
local catalogue = require "perigee.help.catalogue"
local source = require "perigee.help.source"

local home = rawget(package, "home")

local function read (path)
  local f = assert(io.open(path, "r"))
  local text = f:read "a"
  f:close()
  return text
end

-- name -> function, for everything a script can reach from `peri` and its objects.
local function public ()
  local found = {}
  local function walk (prefix, t, depth)
    for name, value in next, t do
      if type(name) == "string" and type(value) == "function" then found[prefix .. name] = value
      elseif type(name) == "string" and type(value) == "table" and depth > 0 then
        walk(prefix .. name .. ".", value, depth - 1)
      end
    end
  end
  for room in pairs(getmetatable(peri).rooms) do
    if type(peri[room]) == "table" then walk(room .. ".", peri[room], 3)
    else found[room] = peri[room] end
  end
  found.run = peri.run
  walk("h5.", peri.h5, 1)
  walk("", peri, 0)
  for _, room in ipairs {"io", "sys", "fused"} do walk(room .. ".", peri[room], 1) end
  local folder = os.tmpname()
  os.remove(folder)
  local scope, log = core.scope(), assert(core.io.log_open(folder .. ".log"))
  local lock, file = assert(core.sys.lock(folder .. ".lock")), assert(core.h5.create(folder))
  walk("tensor:", getmetatable(core.zeros(1)).methods, 0)
  local objects = {rng = core.rng(1), scope = scope, log = log, lock = lock, file = file}
  for name, object in pairs(objects) do
    walk(name .. ":", getmetatable(object).__index, 0)
    if object.close then object:close() end
  end
  os.remove(folder .. ".log")
  return found
end

local functions = public()

-- What is missing from the explanation of a function, or nil.  An option table is one parameter;
-- the parameters of a function bound from C are those of its entry.
local function fault (name, f)
  local entry = catalogue.find(name)
  local block = entry and entry.block
  if not block then return "nothing is said of it" end
  if not block.annotated then return "its comment is not written with three dashes" end
  if not table.concat(block.text):find "%w" then return "it has no sentence" end
  local named = {}
  for _, p in ipairs(block.params) do named[p.name] = true end
  local info = debug.getinfo(f, "Su")
  if info.what == "C" then
    local list = (block.below or ""):match "%((.-)%)" or ""
    for word in list:gmatch "[%w_%.]+" do
      if not named[word] then return "the parameter " .. word .. " is not explained" end
    end
    return nil
  end
  if block.line ~= info.linedefined then       -- made by another function: its type is written out
    return #block.params == 0 and info.nparams > 0 and "its parameters are not written out" or nil
  end
  for i = 1, info.nparams do
    local word = debug.getlocal(f, i)
    if word ~= "self" and word ~= "_" and not named[word] then
      return "the parameter " .. word .. " is not explained"
    end
  end
end

check.test("every public function is explained", function ()
  local missing, count = {}, 0
  for name, f in pairs(functions) do
    count = count + 1
    local what = fault(name, f)
    if what then missing[#missing + 1] = name .. ": " .. what end
  end
  table.sort(missing)
  check.is_true(count > 300)
  check.equal(table.concat(missing, "\n"), "")
end)

check.test("a function without an explanation is noticed", function ()
  rawset(peri.nn, "bare", function (x) return x end)
  check.equal(fault("nn.bare", peri.nn.bare), "nothing is said of it")
  rawset(peri.nn, "bare", nil)
end)

check.test("methods of classes have a sentence and their parameters", function ()
  local missing, count = {}, 0
  for _, name in ipairs(catalogue.names()) do
    local entry = catalogue.find(name)
    if not entry.value and not core.operation(name) then
      count = count + 1
      local named = {}
      for _, p in ipairs(entry.block.params) do named[p.name] = true end
      for word in (entry.block.below:match "%((.-)%)" or ""):gmatch "[%w_]+" do
        if word ~= "_" and not named[word] then missing[#missing + 1] = name .. ": " .. word end
      end
      if not table.concat(entry.block.text):find "%w" then missing[#missing + 1] = name end
    end
  end
  check.is_true(count > 20)
  check.equal(table.concat(missing, "\n"), "")
end)

check.test("annotations name no function that is not there", function ()
  local gone = {}
  for name in pairs(catalogue.annotated()) do
    if not functions[name] then gone[#gone + 1] = name end
  end
  table.sort(gone)
  check.equal(table.concat(gone, " "), "")
end)

check.test("the annotations of operations are what the table gives", function ()
  -- when not: perigee help --annotations > lua/perigee/meta/operations.lua
  check.is_true(annotations() == read(home .. "/lua/perigee/meta/operations.lua"))
end)

check.test("names are found with and without what stands before them", function ()
  local sum = peri.help "sum"
  check.is_true(sum:find("^sum%(x %[, axes%] %[, keep%]%)\n"))
  for _, name in ipairs {"peri.sum", "x:sum", "tensor:sum", "Tensor:sum", "sum()", "peri.sum(x)"} do
    check.equal(peri.help(name), sum)
  end
  check.equal(peri.help(peri.sum), sum)
  check.equal(peri.help "adamw", peri.help(peri.optim.adamw))
  check.equal(peri.help "Rng:normal", peri.help(core.rng(1).normal))
  check.equal(peri.help "peri.nn.linear", peri.help(peri.nn.linear))
  check.is_true(peri.help "Optimizer:step":find("gradients", 1, true))
end)

check.test("help tells types, defaults and results", function ()
  check.is_true(peri.help "log_softmax":find("axis  integer: axis, from 1.-; %-1 when absent"))
  check.is_true(peri.help "pad":find('"zero"|"reflect"|"replicate"|"circular"', 1, true))
  check.is_true(peri.help "nn.lstm":find("hidden: integer", 1, true))
  check.is_true(peri.help "nn.lstm":find("returns Recurrent", 1, true))
end)

check.test("rooms are lists, and no name is an overview", function ()
  check.is_true(peri.help "optim":find("optim.schedule.cosine +Rises"))
  check.is_true(peri.help "rng":find("^rng%(seed%)"))
  check.is_true(peri.help "rng":find("rng:normal +Draws"))
  check.is_true(peri.help "nn":find("nn.linear", 1, true))
  for _, word in ipairs {"matmul", "einsum", "dist"} do
    check.is_true(peri.help():find(word, 1, true))
  end
end)

check.test("unknown names suggest near ones", function ()
  local text, message = peri.help "sotfmax"
  check.equal(text, nil)
  check.is_true(message:find("did you mean softmax?", 1, true))
  text, message = peri.help "normal"                 -- of several rooms
  check.equal(text, nil)
  check.is_true(message:find("dist.normal", 1, true) and message:find("rng:normal", 1, true))
  check.equal(peri.help "nn.sum", nil)
  check.raises(function () peri.help(3) end, "give a name or a function, not a number")
end)

check.test("blocks of comments are read as written", function ()
  local path = os.tmpname()
  local f = assert(io.open(path, "w"))
  f:write [=[
---Two words.  More
---of them.
---@param x Tensor|number what is taken
---@param f? fun(a: integer, b: string): number
---  | nil how
---@return {a: integer, b: string}? pair or nothing
---@return string
local function first (x, f) end

--- Second.
---@type fun(given: {a: integer, b?: fun(x: number): number}, more?: string): Tensor
local second = first()

-- Plain.
local function third () end
]=]
  f:close()
  local blocks = source.blocks(path)
  os.remove(path)
  local first, second, third = blocks[8], blocks[12], blocks[15]
  check.equal(first.text, {"Two words.  More", "of them."})
  check.equal(first.params, {
    {name = "x", optional = false, type = "Tensor|number", text = "what is taken"},
    {name = "f", optional = true, type = "fun(a: integer, b: string): number | nil", text = "how"},
  })
  check.equal(first.returns, {
    {type = "{a: integer, b: string}?", text = "pair or nothing"}, {type = "string", text = ""},
  })
  check.equal(second.params, {
    {name = "given", optional = false, type = "{a: integer, b?: fun(x: number): number}",
      text = ""},
    {name = "more", optional = true, type = "string", text = ""},
  })
  check.equal(second.returns, {{type = "Tensor", text = ""}})
  check.equal(third.text, {"Plain."})
  check.is_true(not third.annotated)
end)

check.done()
