-- What takes or gives several tensors or several axes at once, said with the core's operations.

local core = require "perigee.core"
local options = require "perigee.options"

local movement = {}

local function check_tensor (what, x)
  if not options.is_tensor(x) then
    error(("%s: x must be a tensor, got %s"):format(what, options.kind(x)), 3)
  end
end

local function is_size (n)
  return math.type(n) == "integer" and n >= 0
end

---Consecutive slices of an axis, as views: concat of them is x again.
---@param x Tensor
---@param sizes integer|integer[] how many equal parts, or the size of each; they add up to the axis
---@param axis? integer from 1, or negative from the end (default 1)
---@return Tensor[] parts
function movement.split (x, sizes, axis)
  check_tensor("split", x)
  axis = axis or 1
  local shape = x.shape
  local n = math.type(axis) == "integer" and shape[axis < 0 and axis + #shape + 1 or axis]
  if not n then error(("split: axis %s of a tensor of %d axes"):format(axis, #shape), 2) end
  if type(sizes) ~= "table" then
    if not is_size(sizes) or sizes == 0 or n % sizes ~= 0 then
      error(("split: axis %d has %d entries, which do not make %s equal parts"):format(axis, n,
        tostring(sizes)), 2)
    end
    local size = n // sizes
    local list = {}
    for i = 1, sizes do list[i] = size end
    sizes = list
  end
  local parts, at = {}, 0
  for i, size in ipairs(sizes) do
    if not is_size(size) then error(("split: size %d is %s"):format(i, tostring(size)), 2) end
    at = at + size
  end
  if at ~= n then
    error(("split: the sizes add up to %d, but axis %d has %d entries"):format(at, axis, n), 2)
  end
  at = 0
  for i, size in ipairs(sizes) do
    parts[i] = core.slice(x, axis, at + 1, at + size)
    at = at + size
  end
  return parts
end

---Padding on every spatial axis of an image (batch, 1 to 3 axes.., channels).
---@param x Tensor
---@param widths integer|(integer|integer[])[] a number, or for each axis one or {before, after}
---@param mode? "zero"|"reflect"|"replicate"|"circular" (default "zero")
---@return Tensor
function movement.pad_image (x, widths, mode)
  check_tensor("pad_image", x)
  local axes = #x.shape - 2
  if axes < 1 or (type(widths) == "table" and #widths ~= axes) then
    error(("pad_image: x has %d spatial axes and widths has %s entries"):format(axes,
      type(widths) == "table" and #widths or "no"), 2)
  end
  for a = 1, axes do
    local width = type(widths) == "table" and widths[a] or widths
    local before, after = width, width
    if type(width) == "table" then before, after = width[1], width[2] end
    if before ~= 0 or after ~= 0 then x = core.pad(x, a + 1, before, after, mode) end
  end
  return x
end

return movement
