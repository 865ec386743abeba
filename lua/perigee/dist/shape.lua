-- Arithmetic on shapes as Lua tables, for the shape of a distribution and of its draws.

local core = require "perigee.core"
local options = require "perigee.options"

local shape = {}

---The parameter `v` of the distribution `what`, or an error unless it is a tensor or a number.
---@param what string
---@param name string
---@param v any
---@param tensor_only? boolean
---@param level? integer whom the error blames, as in `error` (default 3: the caller's caller)
---@return userdata|number
function shape.check_parameter (what, name, v, tensor_only, level)
  if options.is_tensor(v) or (type(v) == "number" and not tensor_only) then return v end
  error(("%s: %s is a %s; give a tensor%s"):format(what, name, options.kind(v),
    tensor_only and "" or " or a number"), level or 3)
end

local function sizes_of (x)
  return type(x) == "number" and {} or type(x) == "table" and x or x.shape
end

---The shape that two parameters, or a shape and a parameter, broadcast to; a number has shape ().
---@param what string
---@param x userdata|number|integer[]
---@param y userdata|number|integer[]
---@param level? integer whom the error blames (default 3)
---@return integer[]
function shape.broadcast (what, x, y, level)
  local a, b = sizes_of(x), sizes_of(y)
  local n, out = math.max(#a, #b), {}
  for i = 0, n - 1 do
    local p, q = a[#a - i] or 1, b[#b - i] or 1
    if p ~= q and p ~= 1 and q ~= 1 then
      error(("%s: parameters of shapes (%s) and (%s) do not fit together"):format(what,
        table.concat(a, ", "), table.concat(b, ", ")), level or 3)
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

---x summed over its last n axes.
---@param x userdata
---@param n integer 0 leaves x as it is
---@return userdata
function shape.sum_last (x, n)
  return n == 0 and x or core.sum(x, shape.last_axes(n))
end

---The two columns of x (..., 2).
---@param x userdata
---@return userdata
---@return userdata
function shape.columns (x)
  local sizes = x.shape
  sizes[#sizes] = nil
  return core.reshape(core.slice(x, -1, 1, 1), sizes), core.reshape(core.slice(x, -1, 2, 2), sizes)
end

return shape
