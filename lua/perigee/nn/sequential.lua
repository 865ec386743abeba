-- Modules, functions and names of operations, one after another.

local activation_of = require "perigee.nn.activation".of
local options = require "perigee.options"

---@class Sequential
local Sequential = {}
Sequential.__index = Sequential

---Modules and functions are called with x and whatever follows it, such as a random stream;
---operations given by name are called with x alone.
---@param x userdata
---@return userdata
function Sequential:__call (x, ...)
  for _, f in ipairs(self) do x = f(x, ...) end
  return x
end

---nn.sequential { nn.linear {..}, "relu", nn.linear {..}, function (x) return x * 2 end }
---@param list (table|function|string)[]
---@return Sequential
return function (list)
  if type(list) ~= "table" then
    error("nn.sequential: give a list, not a " .. options.kind(list), 2)
  end
  local self = {}
  for i, f in ipairs(list) do
    if type(f) == "string" then
      local operation = activation_of("nn.sequential", "entry " .. i, f)
      f = function (x) return operation(x) end
    elseif type(f) ~= "function" and not (getmetatable(f) and getmetatable(f).__call) then
      error(("nn.sequential: entry %d is a %s that cannot be called"):format(i, options.kind(f)), 2)
    end
    self[i] = f
  end
  return setmetatable(self, Sequential)
end
