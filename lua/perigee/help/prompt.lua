-- What the prompt answers to "? NAME": the library's help, and failing that what a variable of the
-- session tells.

local catalogue = require "perigee.help.catalogue"
local help = require "perigee.help"
local page = require "perigee.help.page"

local function keys_of (t)
  local keys = {}
  for key in next, t do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

---@param name string "" for an overview
---@param value any what the session knows under this name
---@return string
return function (name, value)
  if type(value) == "function" and not catalogue.find(name) then
    local entry = catalogue.of(value, name)
    return entry and page.entry(entry) or name .. " is a function"
  end
  if value == require "perigee" then name = "" end
  local text, message = help(name)
  if text or value == nil then return text or message .. "; ? lists what there is" end
  if type(value) == "table" then
    return name .. " is a table of\n" .. page.columns(keys_of(value))
  end
  return name .. " is a " .. type(value)
end
