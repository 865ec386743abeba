-- perigee diff: are two runs the same to the last bit?  Compares all that the files hold but clocks
-- and facts about machines; how the settings were asked for and how the checkout stood in git are
-- such facts too.

local core      = require "perigee.core"
local arguments = require "perigee.run.arguments"
local store     = require "perigee.run.store"
local text      = require "perigee.run.text"
local runs      = require "perigee.cli.runs"

local diff = {
  summary = "compare two runs to the last bit",
  usage = [[
usage: perigee diff A B [--results DIR]

Compares two runs, given as files or by the first digits of their ids: settings, code, data, every
metric at every step, claims, images, checkpoints and digests, to the last bit.  Clocks and facts
about the machine are left aside.  Names the first place that differs and the largest difference.
Exit codes: 0 identical, 1 not, 2 a file that cannot be read, or wrong arguments.
]],
}

local MOST <const> = 30        -- lines of differences printed

-- What tells most comes first; anything else follows by name.
local first_groups = { "config", "code", "data", "metrics", "digest", "claims", "summary" }

-- Attributes and datasets that may differ between identical runs, by path.
local function is_aside (path)
  return path == "/env" or path:match("^/env/") or path == "/config/overrides"
    or path:match("^/metrics/[^/]+/wall$")
end

local aside_attributes = {
  ["/"] = { created = true, finished = true },
  ["/code"] = { commit = true, dirty = true },
}

local function same (a, b)
  if a == b then return math.type(a) == math.type(b) and (a ~= 0 or 1 / a == 1 / b) end
  return a ~= a and b ~= b and type(a) == "number" and type(b) == "number"
    and string.pack("<d", a) == string.pack("<d", b)
end

local function show (v)
  if type(v) == "number" then return text.exact(v) end
  local s = tostring(v):gsub("%c", " ")
  return #s > 60 and s:sub(1, 57) .. "..." or s
end

---@class perigee.Comparison
---@field a any the open files
---@field b any
---@field found string[]
---@field objects integer
local Comparison = {}
Comparison.__index = Comparison

function Comparison:note (...)
  self.found[#self.found + 1] = string.format(...)
end

-- A file that stops being readable half way is an error, not a difference.
function Comparison:ask (side, method, ...)
  local v, message = self[side][method](self[side], ...)
  if v == nil then error({ unreadable = tostring(message) }, 0) end
  return v
end

function Comparison:attributes (path)
  local a, b = self:ask("a", "attrs", path), self:ask("b", "attrs", path)
  local all, skip = {}, aside_attributes[path] or {}
  for k in pairs(a) do all[k] = true end
  for k in pairs(b) do all[k] = true end
  for _, k in ipairs(text.keys(all)) do
    if not skip[k] and not same(a[k], b[k]) then
      self:note("%s: %s is %s and %s", path, k, show(a[k]), show(b[k]))
    end
  end
end

-- Leaves of nested tables in order, so that tensors of any shape are compared as lists.
local function flatten (v, list)
  if type(v) ~= "table" then
    list[#list + 1] = v
    return list
  end
  for _, item in ipairs(v) do flatten(item, list) end
  return list
end

-- The unit in which a place is named: the step for a column that has one.
function Comparison:place (path, i)
  local group = path:match("^(/metrics/[^/]+)/") or path:match("^(/digest)/")
  if not group or path == group .. "/step" then return "entry " .. i end
  local steps = self.a:read(group .. "/step")
  return type(steps) == "table" and steps[i] and "step " .. steps[i] or "entry " .. i
end

function Comparison:lists (path, a, b)
  if #a ~= #b then self:note("%s: %d and %d entries", path, #a, #b) end
  local count, first, largest = 0, nil, 0
  for i = 1, math.min(#a, #b) do
    if not same(a[i], b[i]) then
      count, first = count + 1, first or i
      local d = math.abs(a[i] - b[i])
      if d ~= d or d > largest then largest = d end
    end
  end
  if count == 0 then return end
  local how = path == "/digest/value" and ""          -- a hash's size means nothing
    or string.format(" (%s and %s), largest difference %.3g", show(a[first]), show(b[first]),
      largest)
  self:note("%s: %d of %d differ, first at %s%s", path, count, math.min(#a, #b),
    self:place(path, first), how)
end

function Comparison:dataset (path)
  local _ <close> = core.scope()
  local a, b = self:ask("a", "read", path), self:ask("b", "read", path)
  self.objects = self.objects + 1
  if type(a) ~= type(b) then
    self:note("%s: a %s and a %s", path, type(a), type(b))
  elseif type(a) == "string" then
    if a ~= b then self:text(path, a, b) end
  elseif type(a) == "table" then
    self:lists(path, a, b)
  elseif core.io.digest(0, a) ~= core.io.digest(0, b) then
    local shape_a, shape_b = table.concat(a.shape, ", "), table.concat(b.shape, ", ")
    if a.dtype ~= b.dtype or shape_a ~= shape_b then
      self:note("%s: %s (%s) and %s (%s)", path, a.dtype, shape_a, b.dtype, shape_b)
    else
      self:lists(path, flatten(a:tolist(), {}), flatten(b:tolist(), {}))
    end
  end
end

function Comparison:text (path, a, b)
  local line, ours, theirs = 0, a:gmatch("[^\n]*"), b:gmatch("[^\n]*")
  repeat
    line = line + 1
    local x, y = ours(), theirs()
    if x ~= y then
      return self:note("%s: line %d is '%s' and '%s'", path, line, show(x), show(y))
    end
  until x == nil
end

local function in_order (names, path)
  local list = {}
  for _, name in ipairs(path == "/" and first_groups or {}) do
    if names[name] then list[#list + 1] = name end
    names[name] = nil
  end
  return table.move(text.keys(names), 1, #text.keys(names), #list + 1, list)
end

function Comparison:group (path)
  self:attributes(path)
  local kinds = { a = {}, b = {} }
  local all = {}
  for side, names in pairs(kinds) do
    for _, entry in ipairs(self:ask(side, "list", path)) do
      names[entry.name], all[entry.name] = entry.kind, true
    end
  end
  for _, name in ipairs(in_order(all, path)) do
    local inner = (path == "/" and "" or path) .. "/" .. name
    local a, b = kinds.a[name], kinds.b[name]
    if is_aside(inner) then
      self.left = (self.left or 0) + 1
    elseif not a or not b then
      self:note("%s: only in the %s", inner, a and "first" or "second")
    elseif a ~= b then
      self:note("%s: a %s and a %s", inner, a, b)
    elseif a == "group" then
      self:group(inner)
    else
      self:attributes(inner)
      self:dataset(inner)
    end
  end
end

---@param path_a string
---@param path_b string
---@return string[]? differences nil when a file cannot be read
---@return integer|string objects compared, or what is wrong
function diff.compare (path_a, path_b)
  local a, b, head, message
  for _, path in ipairs { path_a, path_b } do
    head, message = store.head(path)
    if not head then return nil, message end
  end
  a, message = core.h5.open(path_a)
  if not a then return nil, message end
  b, message = core.h5.open(path_b)
  if not b then
    a:close()
    return nil, message
  end
  local comparison = setmetatable({ a = a, b = b, found = {}, objects = 0 }, Comparison)
  local ok, problem = pcall(comparison.group, comparison, "/")
  a:close()
  b:close()
  if ok then return comparison.found, comparison.objects end
  if type(problem) == "table" and problem.unreadable then return nil, problem.unreadable end
  error(problem, 0)
end

---@param argv string[]
---@return integer exit_code
function diff.run (argv)
  local parsed, message = arguments.parse(argv, { results = "value" })
  if not parsed or #parsed.rest ~= 2 or parsed.settings[1] then
    io.stderr:write("perigee: ", message or diff.usage:match("^[^\n]*"), "\n")
    return 2
  end
  local paths = {}
  for i, word in ipairs(parsed.rest) do
    paths[i], message = runs.find(word, parsed.options.results or "results")
    if not paths[i] then
      io.stderr:write("perigee: ", message, "\n")
      return 2
    end
  end
  local found, objects = diff.compare(paths[1], paths[2])
  if not found then
    io.stderr:write("perigee: ", objects, "\n")
    return 2
  end
  for i = 1, math.min(#found, MOST) do print(text.plain(found[i])) end
  if #found > MOST then print(string.format("and %d more", #found - MOST)) end
  if #found > 0 then
    print(string.format("%d difference%s", #found, #found == 1 and "" or "s"))
    return 1
  end
  print(string.format("identical to the last bit: %d datasets and all attributes, clocks and " ..
    "machine facts aside", objects))
  return 0
end

return diff
