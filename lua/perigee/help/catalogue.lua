-- Every public function by its name, with its explanation.  Three kinds have three sources: an
-- operation its row of the table; what else is bound from C an entry of lua/perigee/meta; a Lua
-- function the comment above it.

local core = require "perigee.core"
local operations = require "perigee.help.operations"
local source = require "perigee.help.source"

local catalogue = {}

---@class perigee.HelpEntry
---@field name string
---@field block? perigee.Block
---@field value? function absent for methods of classes written in Lua

-- Classes bound from C, by the name of their methods' prefix.
local bound = {
  rng = "perigee.rng", scope = "perigee.scope", log = "perigee.log", lock = "perigee.lock",
  file = "perigee.h5",
}

---The methods of each class bound from C: tensor, rng, scope, log, lock, file (of HDF5).
---@return table<string, table<string, function>>
function catalogue.methods ()
  local methods = {tensor = getmetatable(core.zeros(1)).methods}
  if not core.h5 then return methods end          -- its class exists from now on
  for name, class in pairs(bound) do methods[name] = debug.getregistry()[class].__index end
  return methods
end

-- Lua sources below a folder of lua/perigee, but what is in `skip`.
local function sources (folder, list, skip)
  for _, name in ipairs(assert(core.sys.list(folder))) do
    local path = folder .. "/" .. name
    if name:find "%.lua$" then list[#list + 1] = path
    elseif not name:find "%." and not skip[name] then sources(path, list, skip) end
  end
  return list
end

local function home ()
  return rawget(package, "home") .. "/lua/perigee"
end

---What the annotation files say: name -> block.  Methods are named rng:normal.
---@return table<string, perigee.Block>
function catalogue.annotated ()
  local found = {}
  for _, path in ipairs(sources(home() .. "/meta", {}, {})) do
    for _, block in pairs(source.blocks(path)) do
      local name = block.below:match "^function ([%w_%.:]+)"
      if name then
        name = name:gsub("^peri%.", ""):gsub("^(%u%w*):", function (class)
          return class:lower() .. ":"
        end)
        found[name] = block
      end
    end
  end
  return found
end

-- Methods of the library's own classes: "Optimizer:step" is found as optimizer:step.  One that says
-- nothing of itself means what it means in the class that its class is made after.
local function add_classes (entries)
  local base, silent = {}, {}
  for _, path in ipairs(sources(home(), {}, {cli = true, meta = true, help = true})) do
    for _, block in pairs(source.blocks(path)) do
      local class, name = block.below:match "^function (%u%w*)[:.](%l[%w_]*)"
      if class and block.annotated then
        local key = class:lower() .. ":" .. name
        entries[key] = entries[key] or {name = key, block = block}
        if #block.text == 0 then silent[key] = name end
      elseif block.base then
        base[block.below:match "^local (%w+)" or ""] = block.base
      end
    end
  end
  for key, name in pairs(silent) do
    for class, parent in pairs(base) do
      local meant = class:lower() == key:match "^%w+" and entries[parent:lower() .. ":" .. name]
      if meant then entries[key].block.text = meant.block.text end
    end
  end
end

-- Functions of a table and of those in it, with their names.
local function add_functions (entries, prefix, t, depth)
  for name, value in next, t do
    local path = prefix .. tostring(name)
    if type(value) == "function" then
      entries[path] = entries[path] or {name = path, value = value}
    elseif type(value) == "table" and depth > 0 and type(name) == "string" then
      add_functions(entries, path .. ".", value, depth - 1)
    end
  end
end

local entries, names_of

local function fill ()
  if entries then return end
  local peri = require "perigee"
  entries, names_of = {}, {}
  for room in pairs(getmetatable(peri).rooms) do
    if room ~= "help" then add_functions(entries, "", {[room] = peri[room]}, 3) end
  end
  add_functions(entries, "", {run = peri.run, h5 = core.h5, help = peri.help}, 1)
  add_functions(entries, "", peri, 1)
  for class, methods in pairs(catalogue.methods()) do
    for name, value in pairs(methods) do
      if not (class == "tensor" and core.operation(name)) then
        entries[class .. ":" .. name] = {name = class .. ":" .. name, value = value}
      end
    end
  end
  local annotated = catalogue.annotated()
  for name, entry in pairs(entries) do
    entry.block = operations(name) or annotated[name]
      or source.of(entry.value, name:match "[%w_]+$")
    local other = names_of[entry.value]
    if not other or #name < #other then names_of[entry.value] = name end
  end
  add_classes(entries)
end

---The names of all public functions and methods, sorted.
---@return string[]
function catalogue.names ()
  fill()
  local names = {}
  for name in pairs(entries) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function plain (name)
  name = name:match "^%s*(.-)%s*$":gsub("%s*%b()$", ""):gsub("^peri%.", "")
  return (name:gsub("^%u%w*:", string.lower):gsub("^core%.", ""))
end

---What stands under exactly this name: conv, peri.conv, tensor:conv, nn.linear, rng:normal.
---@param name string
---@return perigee.HelpEntry?
function catalogue.find (name)
  fill()
  name = plain(name)
  return entries[name] or entries[name:match "^tensor:(.*)$"]
end

---What a function is called and explained by; for one of a script, the comment above it.
---@param f function
---@param name? string for a function that has no public name
---@return perigee.HelpEntry?
function catalogue.of (f, name)
  fill()
  if names_of[f] then return entries[names_of[f]] end
  local block = source.of(f)
  return block and {name = name or block.below:match "function ([%w_%.:]+)" or "function",
    block = block} or nil
end

---What a name means whose front is missing or is a variable, as x:sum or adamw; when several do,
---their names.
---@param name string
---@return perigee.HelpEntry? entry
---@return string[]? names sorted
function catalogue.guess (name)
  fill()
  name = plain(name)
  local last = name:match "^[%w_]+:([%w_]+)$" or name:match "^[%w_]+$"
  if not last then return nil end
  if entries[last] then return entries[last] end
  local found = {}
  for key in pairs(entries) do
    if key:match "[%w_]+$" == last then found[#found + 1] = key end
  end
  table.sort(found)
  return #found == 1 and entries[found[1]] or nil, found
end

---The functions of a room or a class: those whose names go on behind `name`.
---@param name string as nn, optim.schedule or rng; a class of the library has a capital: Normal
---@return perigee.HelpEntry[] sorted by name
function catalogue.inside (name)
  local found = {}
  name = plain(name)
  local lower = name:lower()
  for _, key in ipairs(catalogue.names()) do
    if key:sub(1, #name) == lower and key:find("^[.:]", #name + 1)
      and (name ~= lower or entries[key].value) then
      found[#found + 1] = entries[key]
    end
  end
  return found
end

return catalogue
