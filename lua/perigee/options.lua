-- Option tables of constructors: an unknown name or a wrong type is an error that names the
-- function, the option and what is known.  Holds no defaults: those stand where they are used.

local core = require "perigee.core"

local options = {}

local userdata = {
  [getmetatable(core.zeros(1))] = "tensor",
  [getmetatable(core.rng(0))] = "rng",
}

---Lua's type of a value, with "tensor" and "rng" for those two kinds of userdata.
---@param v any
---@return string
function options.kind (v)
  local t = type(v)
  return t == "userdata" and userdata[getmetatable(v)] or t
end

---@param v any
---@return boolean
function options.is_tensor (v)
  return type(v) == "userdata" and userdata[getmetatable(v)] == "tensor"
end

local function fits (v, types)
  local kind = options.kind(v)
  for t in types:gmatch "[^|]+" do
    if t == kind or (t == "integer" and math.type(v) == "integer") then return true end
  end
  return false
end

local function known_names (known)
  local names = {}
  for name in pairs(known) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

---Check the options given to the function `what`, and return them.
---@param what string
---@param given table|nil
---@param known table<string, string> name -> types as "number|table", then "?" when optional
---@param level? integer whom the error blames, as in `error` (default 3: the caller's caller)
---@return table given
function options.check (what, given, known, level)
  level = level or 3
  if given == nil then given = {} end
  if type(given) ~= "table" then
    error(("%s: options are one table, not a %s"):format(what, options.kind(given)), level)
  end
  for name, v in pairs(given) do
    local types = known[name]
    if not types then
      error(("%s: unknown option '%s'; known: %s"):format(what, tostring(name),
        known_names(known)), level)
    end
    if not fits(v, (types:gsub("%?$", ""))) then
      local shown = type(v) == "number" and tostring(v) or "a " .. options.kind(v)
      error(("%s: option '%s' is %s, expected %s"):format(what, name, shown,
        types:gsub("%?$", ""):gsub("|", " or ")), level)
    end
  end
  for name, types in pairs(known) do
    if given[name] == nil and types:sub(-1) ~= "?" then
      error(("%s: option '%s' is missing, expected %s"):format(what, name,
        (types:gsub("|", " or "))), level)
    end
  end
  return given
end

return options
