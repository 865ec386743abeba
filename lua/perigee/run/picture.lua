-- Many small images as one: the grid that run:image stores and shows.

local core = require "perigee.core"

local picture = {}

local function describe (x)
  return "(" .. table.concat(x.shape, ", ") .. ")"
end

-- The tensor as (n, height, width, channel), or nil and what is wrong with it.
local function as_images (x, shape)
  local s = x.shape
  if shape then
    local c = shape[3] or 1
    local size = shape[1] * shape[2] * c
    local n = s[1] and x:count() // s[1] == size and s[1]
    if not n then
      return nil, string.format("a tensor %s cannot be images of %d x %d x %d", describe(x),
        shape[1], shape[2], c)
    end
    return x:reshape(n, shape[1], shape[2], c)
  end
  if #s == 3 then return x:reshape(s[1], s[2], s[3], 1) end
  if #s == 4 then return x end
  return nil, string.format("a tensor %s is not (n, height, width) or " ..
    "(n, height, width, channel); say shape = {height, width}", describe(x))
end

---Join images in a grid, a grey line of one pixel between and around them.
---@param x any real (n, height, width[, channel]), or (n, ...) with options.shape; byte too
---@param options {shape: integer[]?, columns: integer?, range: number[]?}
---   shape of one image; columns of the grid, square when absent; range: the values of black and
---   white, {0, 1} when absent
---@return any? byte (height, width, 3)
---@return string? message
function picture.grid (x, options)
  local range = options.range or { 0, 1 }
  if x.dtype == "byte" then x, range = x:real(), options.range or { 0, 255 } end
  if x.dtype ~= "real" then return nil, "an image is a real or byte tensor, not " .. x.dtype end
  local low, high = range[1], range[2]
  if type(low) ~= "number" or type(high) ~= "number" or low == high then
    return nil, "range = {black, white} are two different numbers"
  end
  local message
  x, message = as_images(x:detach(), options.shape)
  if not x then return nil, message end
  local n, h, w, c = table.unpack(x.shape)
  if c ~= 1 and c ~= 3 then
    return nil, string.format("an image has 1 or 3 channels, not %d", c)
  end
  if n < 1 then return nil, "there is no image in it" end
  local columns = options.columns or math.ceil(math.sqrt(n))
  if math.type(columns) ~= "integer" or columns < 1 then
    return nil, "columns is a positive integer"
  end
  columns = math.min(columns, n)
  local rows = (n + columns - 1) // columns
  -- NaN compares false with everything: shown black rather than as an undefined cast.
  x = core.where(x:is_finite(), x, low)
  x = ((x - low) / (high - low)):clamp(0, 1) * 255
  if c == 1 then x = x:expand(n, h, w, 3) end
  local grey = 96
  if rows * columns > n then
    x = core.concat({ x, core.full({ rows * columns - n, h, w, 3 }, grey) }, 1)
  end
  -- Each tile gets a line above and to the left; the whole gets one below and to the right.
  local tiles = rows * columns
  x = core.concat({ core.full({ tiles, 1, w, 3 }, grey), x }, 2)
  x = core.concat({ core.full({ tiles, h + 1, 1, 3 }, grey), x }, 3)
  x = x:reshape(rows, columns, h + 1, w + 1, 3):permute({ 1, 3, 2, 4, 5 })
  x = x:contiguous():reshape(rows * (h + 1), columns * (w + 1), 3)
  x = core.concat({ x, core.full({ 1, columns * (w + 1), 3 }, grey) }, 1)
  x = core.concat({ x, core.full({ rows * (h + 1) + 1, 1, 3 }, grey) }, 2)
  return x:round():byte()
end

---A small image in larger pixels, for eyes.
---@param image any byte (height, width, 3)
---@param width integer what it is brought near to
---@return any byte
function picture.enlarge (image, width)
  local h, w = image.shape[1], image.shape[2]
  local n = width // w
  if n < 2 then return image end
  local large = image:real():reshape(h, 1, w, 1, 3):expand(h, n, w, n, 3):contiguous()
  return large:reshape(h * n, w * n, 3):byte()
end

return picture
