-- Distributions made of points: the points themselves with equal weight, and a Gaussian around each
-- (Parzen's window).

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

-- `count` rows of the points, drawn with repetition.
local function rows (self, rng, lead)
  local sizes = shape.lead(lead, {})
  local count = 1
  for _, n in ipairs(sizes) do count = count * n end
  local index = rng:integers({count}, 1, self.count)
  return core.reshape(core.index_select(self.points, index, 1), shape.lead(sizes, self.shape))
end

---@class Empirical : Distribution
---@field points userdata (count, ...)
---@field count integer
local Empirical = family.class("empirical", {}, {
  mean = function (self) return core.mean(self.points, 1) end,
  variance = function (self)
    return core.mean(core.square(self.points - core.mean(self.points, 1)), 1)
  end,
})

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Empirical:sample (rng, lead)
  return core.no_grad(rows, self, rng, lead)
end

---Points have no density.
function Empirical:log_prob ()
  error("dist.empirical: points have no density; use dist.kde for a smoothed one", 2)
end

---The part of the points not above x, for points of one number.
---@param x userdata
---@return userdata
function Empirical:cdf (x)
  if #self.shape > 0 then
    error(("dist.empirical: cdf of points of shape (%s); it is for points of shape ()"):format(
      table.concat(self.shape, ", ")), 2)
  end
  local low = core.le(self.points, core.reshape(x, shape.lead(x.shape, {1})))
  return core.mean(low:real(), -1)
end

local function check_points (what, points, axes)
  shape.check_parameter(what, "points", points, true, 4)
  local sizes = points.shape
  if #sizes < 1 or sizes[1] == 0 or (axes and #sizes ~= axes) then
    error(("%s: points of shape (%s); give (count%s) with at least one"):format(what,
      table.concat(sizes, ", "), axes and ", features" or ", ..."), 3)
  end
  return sizes
end

---The given points, all with the same probability.
---@param points userdata (count, ...)
---@return Empirical
local function empirical (points)
  local sizes = check_points("dist.empirical", points)
  local count = table.remove(sizes, 1)
  return setmetatable({points = points, count = count, shape = sizes}, Empirical)
end

---@class Kde : Distribution
---@field points userdata (count, features)
---@field scale userdata standard deviation of the window
---@field count integer
local Kde = family.class("kde", {{"scale", "positive"}}, {
  mean = function (self) return core.mean(self.points, 1) end,
  variance = function (self)
    return core.mean(core.square(self.points - core.mean(self.points, 1)), 1)
      + core.square(self.scale)
  end,
})
Kde.event = 1

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata (..., features)
function Kde:rsample (rng, lead)
  return rows(self, rng, lead) + self.scale * rng:normal(shape.lead(lead, self.shape))
end

---log of the mean over points of N(x; point, scale^2), in nats.  Takes memory for (rows of x,
---count) numbers: give x in batches.
---@param x userdata (..., features)
---@return userdata without the last axis
function Kde:log_prob (x)
  local sizes = x.shape
  local features = table.remove(sizes)
  local centre = core.mean(self.points, 1):detach()          -- shorter vectors, smaller rounding
  local a, b = core.reshape(x - centre, {-1, features}), self.points - centre
  local near = core.sum(core.square(a), 2, true) + core.sum(core.square(b), 2)
    - core.matmul(a, core.transpose(b)) * 2
  local l = core.maximum(near, 0) / core.square(self.scale) * -0.5
  local norm = (core.log(self.scale) + 0.5 * math.log(2 * math.pi)) * features
  return core.reshape(core.logsumexp(l, 2), sizes) - (norm + math.log(self.count))
end

---Parzen's window estimate with one isotropic Gaussian for each point.
---@param points userdata (count, features)
---@param scale userdata|number above 0, the same in all directions
---@return Kde
local function kde (points, scale)
  local sizes = check_points("dist.kde", points, 2)
  local self = family.new(Kde, scale)
  if #self.shape > 0 then
    error(("dist.kde: scale of shape (%s); give one number"):format(table.concat(self.shape, ", ")),
      2)
  end
  self.points, self.count, self.shape = points, sizes[1], {sizes[2]}
  return self
end

return {new = empirical, class = Empirical, kde = kde, kde_class = Kde}
