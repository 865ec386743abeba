-- The arguments of a command: options with and without a value, key=value, and the rest.
-- Says what is wrong in one line; decides nothing.

local text = require "perigee.run.text"

local arguments = {}

---@class perigee.Arguments
---@field options table<string, string|boolean> by name without the dashes
---@field settings string[][] {key, value} pairs in the order given
---@field rest string[] everything else

---@param argv string[] from index `first` on
---@param known table<string, "flag"|"value"> options by name without the dashes
---@param first integer? 1 when absent
---@return perigee.Arguments? parsed
---@return string? message what is wrong with them
function arguments.parse (argv, known, first)
  local parsed = { options = {}, settings = {}, rest = {} }
  local i = first or 1
  local plain = false
  while argv[i] ~= nil do
    local word = argv[i]
    local name, value = word:match("^%-%-([%w-]+)=?(.*)$")
    local key, setting = word:match("^([%a_][%w_.-]*)=(.*)$")
    if not plain and word == "--" then
      plain = true
    elseif not plain and name then
      local kind = known[name]
      if not kind then
        local names = text.keys(known)
        for j, k in ipairs(names) do names[j] = "--" .. k end
        return nil, text.unknown("option", "--" .. name, names)
      end
      local given = word:find("=", 1, true) ~= nil
      if kind == "flag" then
        if given then return nil, string.format("--%s takes no value", name) end
        parsed.options[name] = true
      else
        if not given then
          i = i + 1
          value = argv[i]
        end
        if (value or "") == "" then return nil, string.format("--%s wants a value", name) end
        parsed.options[name] = value
      end
    elseif not plain and word:match("^%-%a") then
      return nil, string.format("unknown option '%s'; options are written --name", word)
    elseif not plain and key then
      parsed.settings[#parsed.settings + 1] = { key, setting }
    else
      parsed.rest[#parsed.rest + 1] = word
    end
    i = i + 1
  end
  return parsed
end

---A positive number out of an option.
---@param parsed perigee.Arguments
---@param name string
---@param integer boolean? whole numbers only
---@return number? value nil when the option is absent
---@return string? message
function arguments.positive (parsed, name, integer)
  local given = parsed.options[name]
  if given == nil then return nil end
  local v = tonumber(given)
  if integer and v then v = math.tointeger(v) end
  if not v or not (v > 0 and v < math.huge) then
    return nil, string.format("--%s wants a positive %s, not '%s'", name,
      integer and "integer" or "number", given)
  end
  return v
end

return arguments
