-- The monotonic rational-quadratic spline on [-bound, bound], the identity outside (Durkan et al.
-- 2019, sec. 3.1).

local core = require "perigee.core"

-- Bins are at least this share of the interval, slopes at least this.
local MIN_SIZE <const>, MIN_SLOPE <const> = 1e-3, 1e-3

-- Slopes of 1 where the parameters are 0: softplus(START) + MIN_SLOPE = 1.
local START <const> = math.log(math.exp(1 - MIN_SLOPE) - 1)

-- Sizes of bins and the knots on their left, both (..., bins), from free numbers.
local function bins_of (free, bound)
  local bins = free.shape[#free.shape]
  local size = (core.softmax(free, -1) * (1 - MIN_SIZE * bins) + MIN_SIZE) * (2 * bound)
  return size, core.cumsum(size, -1) - size - bound
end

-- The slopes at the left and right of every bin; at the ends they are 1.
local function slopes_of (free)
  local inner = core.softplus(free + START) + MIN_SLOPE
  local shape = inner.shape
  shape[#shape] = 1
  local one = core.ones(shape)
  return core.concat({one, inner}, -1), core.concat({inner, one}, -1)
end

-- Everything of the bin that x falls in, (...) each.
local function at_bin (x, p, bins, bound, by_height)
  local width, left = bins_of(p:slice(-1, 1, bins), bound)
  local height, low = bins_of(p:slice(-1, bins + 1, 2 * bins), bound)
  local first, last
  if bins > 1 then
    first, last = slopes_of(p:slice(-1, 2 * bins + 1, 3 * bins - 1))
  else
    first, last = core.ones(width.shape), core.ones(width.shape)
  end
  local shape = x.shape
  local column = x.shape
  column[#column + 1] = 1
  local knots = by_height and low or left
  local count = core.ge(x:reshape(column), knots):real():sum(-1)
  local index = core.clamp(count, 1, bins):index():reshape(column)       -- NaN falls in the first
  local function pick (v) return core.gather(v, index, -1):reshape(shape) end
  local h, w = pick(height), pick(width)
  return {left = pick(left), width = w, low = pick(low), height = h, first = pick(first),
    last = pick(last), mean = h / w}
end

-- log of the slope at share u of bin b, eq. 5.
local function log_slope (b, u, v, bottom)
  local top = b.last * u * u + b.mean * v * 2 + b.first * (1 - u) * (1 - u)
  return core.log(top * b.mean * b.mean) - core.log(bottom) * 2
end

local spline = {}

---`bins` intervals with 3 bins - 1 parameters: widths, heights, inner slopes.
---@param bins integer
---@param bound number
---@return Transform
function spline.rational_quadratic (bins, bound)
  local function inside (x)
    local within = core.le(core.abs(x), bound)
    return within, core.clamp(x, -bound, bound)
  end

  -- Eq. 4, u being the share of the bin that lies on the left of x.
  local function forward (x, p)
    local within, z = inside(x)
    local b = at_bin(z, p, bins, bound, false)
    local u = (z - b.left) / b.width
    local v = u * (1 - u)
    local bottom = b.mean + (b.last + b.first - b.mean * 2) * v
    local y = b.low + b.height * (b.mean * u * u + b.first * v) / bottom
    local slope = log_slope(b, u, v, bottom)
    return core.where(within, y, x), core.where(within, slope, core.zeros(x.shape))
  end

  -- Eq. 6 to 8: the root of a quadratic, in the form that does not cancel.
  local function inverse (y, p)
    local within, z = inside(y)
    local b = at_bin(z, p, bins, bound, true)
    local rise, bend = z - b.low, b.last + b.first - b.mean * 2
    local a = b.height * (b.mean - b.first) + rise * bend
    local half = b.height * b.first - rise * bend
    local c = -b.mean * rise
    local root = core.sqrt(core.clamp(half * half - a * c * 4, 0, math.huge))
    local u = c * 2 / (-half - root)
    local v = u * (1 - u)
    local x = u * b.width + b.left
    local slope = log_slope(b, u, v, b.mean + bend * v)
    return core.where(within, x, y), core.where(within, -slope, core.zeros(y.shape))
  end

  return {outputs = 3 * bins - 1, forward = forward, inverse = inverse}
end

return spline
