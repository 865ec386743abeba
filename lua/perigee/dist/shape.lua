-- Arithmetic on shapes as Lua tables, for the shape of a distribution and of its draws.

local options = require "perigee.options"

local shape = {}

---The parameter `v` of the distribution `what`, or an error unless it is a tensor or a number.
---@param what string
---@param name string
---@param v any
---@param tensor_only? boolean
---@return userdata|number
function shape.check_parameter (what, name, v, tensor_only)
  if options.is_tensor(v) or (type(v) == "number" and not tensor_only) then return v end
  error(("%s: %s is a %s; give a tensor%s"):format(what, name, options.kind(v),
    tensor_only and "" or " or a number"), 3)
end

---The shape that two parameters broadcast to; a number has shape ().
---@param what string
---@param x userdata|number
---@param y userdata|number
---@return integer[]
function shape.broadcast (what, x, y)
  local a = type(x) == "number" and {} or x.shape
  local b = type(y) == "number" and {} or y.shape
  local n, out = math.max(#a, #b), {}
  for i = 0, n - 1 do
    local p, q = a[#a - i] or 1, b[#b - i] or 1
    if p ~= q and p ~= 1 and q ~= 1 then
      error(("%s: parameters of shapes (%s) and (%s) do not fit together"):format(what,
        table.concat(a, ", "), table.concat(b, ", ")), 3)
    end
    out[n - i] = p == 1 and q or p
  end
  return out
end

---`lead` (nothing, one size, or a list) followed by `sizes`.
---@param lead integer|integer[]|nil
---@param sizes integer[]
---@return integer[]
function shape.lead (lead, sizes)
  if not lead then return sizes end
  local out = type(lead) == "table" and table.move(lead, 1, #lead, 1, {}) or {lead}
  return table.move(sizes, 1, #sizes, #out + 1, out)
end

---Axes -n, ..., -1: the last n of any tensor.
---@param n integer
---@return integer[]
function shape.last_axes (n)
  local axes = {}
  for i = 1, n do axes[i] = i - n - 1 end
  return axes
end

return shape
