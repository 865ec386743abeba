-- Checks that every bijector makes of its input.

local options = require "perigee.options"

local check = {}

---An error unless x is a tensor whose last size is `features`.
---@param what string
---@param x any
---@param features integer
function check.features (what, x, features)
  if not options.is_tensor(x) then
    error(("%s: x is a %s; give a tensor"):format(what, options.kind(x)), 3)
  end
  local shape = x.shape
  if shape[#shape] ~= features then
    error(("%s: x is (%s); its last size must be %d"):format(what, table.concat(shape, ", "),
      features), 3)
  end
end

---An error unless every number of the table is at least 1.
---@param what string
---@param sizes table<string, integer>
function check.sizes (what, sizes)
  for name, v in pairs(sizes) do
    if v < 1 then error(("%s: %s = %d; it is at least 1"):format(what, name, v), 3) end
  end
end

return check
