-- Densities in the plane that samplers and flows are tried on, each with its true log-density.
-- Curves are drawn as many equal Gaussians on points along them, so that the density is exact: it
-- is the one the draws come from.  `box` holds all but a millionth of the probability.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local options = require "perigee.options"
local shape = require "perigee.dist.shape"
local kde = require "perigee.dist.empirical".kde

local toy = {}

-- Equal Gaussians of deviation `noise` on the points.
local function blurred (name, points, noise, given)
  local o = options.check("dist.toy." .. name, given, {noise = "number?"}, 4)
  local s = o.noise or noise
  if not (s > 0 and s < math.huge) then
    error(("dist.toy.%s: noise is %g; it is above 0"):format(name, s), 3)
  end
  local d = kde(core.tensor(points), s)
  local box = {{math.huge, -math.huge}, {math.huge, -math.huge}}
  for _, p in ipairs(points) do
    for i = 1, 2 do
      box[i][1] = math.min(box[i][1], p[i] - 6 * s)
      box[i][2] = math.max(box[i][2], p[i] + 6 * s)
    end
  end
  d.box = box
  return d
end

-- Points c((k - 1/2) / count), k = 1..count, added to `list`.
local function along (list, count, c)
  for k = 1, count do list[#list + 1] = {c((k - 0.5) / count)} end
  return list
end

---Eight Gaussians on a circle of radius 2.
---@param opts? { noise: number } deviation of each, 0.2 when absent
---@return Kde
function toy.eight_gaussians (opts)
  local points = along({}, 8, function (u)
    return 2 * math.cos(2 * math.pi * u - math.pi / 8), 2 * math.sin(2 * math.pi * u - math.pi / 8)
  end)
  return (blurred("eight_gaussians", points, 0.2, opts))
end

---25 Gaussians on the grid {-4, -2, 0, 2, 4}^2.
---@param opts? { noise: number } deviation of each, 0.2 when absent
---@return Kde
function toy.grid (opts)
  local points = {}
  for i = -4, 4, 2 do
    for k = -4, 4, 2 do points[#points + 1] = {i, k} end
  end
  return (blurred("grid", points, 0.2, opts))
end

---A circle of radius 2.
---@param opts? { noise: number } 0.15 when absent
---@return Kde
function toy.ring (opts)
  local points = along({}, 400, function (u)
    return 2 * math.cos(2 * math.pi * u), 2 * math.sin(2 * math.pi * u)
  end)
  return (blurred("ring", points, 0.15, opts))
end

---Two half circles of radius 1 that reach into each other.
---@param opts? { noise: number } 0.1 when absent
---@return Kde
function toy.moons (opts)
  local function half (u) return math.cos(math.pi * u), math.sin(math.pi * u) end
  local points = along({}, 150, half)
  along(points, 150, function (u)
    local x, y = half(u)
    return 1 - x, 0.5 - y
  end)
  return (blurred("moons", points, 0.1, opts))
end

---Circles of radius 3 and 1.5 around the same point, with as many draws on each.
---@param opts? { noise: number } 0.2 when absent
---@return Kde
function toy.circles (opts)
  local function circle (radius)
    return function (u)
      return radius * math.cos(2 * math.pi * u), radius * math.sin(2 * math.pi * u)
    end
  end
  return (blurred("circles", along(along({}, 300, circle(3)), 300, circle(1.5)), 0.2, opts))
end

---A roll of one and a half turns, t (cos t, sin t) / 5 for t in 3/2 pi .. 9/2 pi.
---@param opts? { noise: number } 0.2 when absent
---@return Kde
function toy.swiss_roll (opts)
  local points = along({}, 600, function (u)
    local t = 1.5 * math.pi * (1 + 2 * u)
    return t * math.cos(t) / 5, t * math.sin(t) / 5
  end)
  return (blurred("swiss_roll", points, 0.2, opts))
end

---Two spirals of one and a half turns, +-t (-cos t, sin t) / 3 with t = 3 pi sqrt(u).
---@param opts? { noise: number } 0.1 when absent
---@return Kde
function toy.spirals (opts)
  local points = {}
  for _, sign in ipairs {1, -1} do
    along(points, 600, function (u)
      local t = 3 * math.pi * math.sqrt(u)
      return -sign * t * math.cos(t) / 3, sign * t * math.sin(t) / 3
    end)
  end
  return (blurred("spirals", points, 0.1, opts))
end

-- --- by a change of variables -------------------------------------------------------------------

local half_log_2pi <const> = 0.5 * math.log(2 * math.pi)

local function log_normal (x, mean, scale)
  return core.square((x - mean) / scale) * -0.5 - (half_log_2pi + core.log(scale))
end

local function join (a, b) return core.stack({a, b}, -1) end

-- A class in the plane from draw(self, rng, sizes) and density(self, first, second).
local function plane_class (name, draw, log_density)
  local class = family.class("toy." .. name, {}, {})
  class.event = 1
  function class:rsample (rng, lead) return draw(self, rng, shape.lead(lead, {})) end
  function class:log_prob (x) return log_density(self, shape.columns(x)) end
  return class
end

local Pinwheel = plane_class("pinwheel", function (self, rng, sizes)
  local count = 1
  for _, n in ipairs(sizes) do count = count * n end
  local k = core.reshape(rng:integers({count}, 1, self.arms):real(), sizes)
  local a, b = rng:normal(sizes) * 0.3 + 1, rng:normal(sizes) * 0.1
  local angle = k * (2 * math.pi / self.arms)
    + core.exp(core.sqrt(core.square(a) + core.square(b))) * self.rate
  local c, s = core.cos(angle), core.sin(angle)
  return join((a * c - b * s) * 2, (a * s + b * c) * 2)
end, function (self, x, y)
  x, y = x * 0.5, y * 0.5
  local twist, parts = core.exp(core.sqrt(core.square(x) + core.square(y))) * self.rate, {}
  for k = 1, self.arms do
    local angle = twist + k * (2 * math.pi / self.arms)
    local c, s = core.cos(angle), core.sin(angle)
    parts[k] = log_normal(x * c + y * s, 1, 0.3) + log_normal(y * c - x * s, 0, 0.1)
  end
  return core.logsumexp(core.stack(parts, -1), -1) - math.log(4 * self.arms)
end)

---Arms turned by an angle that grows with the distance from the middle, which keeps areas; after
---Johnson et al. 2016, where it grows with the first coordinate.
---@param opts? { arms: integer, rate: number } 5 and 0.25 when absent
---@return Distribution
function toy.pinwheel (opts)
  local o = options.check("dist.toy.pinwheel", opts, {arms = "integer?", rate = "number?"})
  local arms = o.arms or 5
  if arms < 1 then error(("dist.toy.pinwheel: arms is %d; give 1 or more"):format(arms), 2) end
  return setmetatable({arms = arms, rate = o.rate or 0.25, shape = {2}, box = {{-6, 6}, {-6, 6}}},
    Pinwheel)
end

local Checkerboard = plane_class("checkerboard", function (_, rng, sizes)
  local x, y = rng:uniform(sizes) * 8 - 4, rng:uniform(sizes) * 2
  local row = core.floor(rng:uniform(sizes) * 2) * 4 - 4
  local column = core.floor(x * 0.5)
  local odd = column - core.floor(column * 0.5) * 2
  return join(x, y + row + odd * 2)
end, function (_, x, y)
  local place = core.floor(x * 0.5) + core.floor(y * 0.5)
  local light = core.ne(place - core.floor(place * 0.5) * 2, 0)
  local outside = core.maximum(core.abs(x), core.abs(y))
  return core.where(light, -math.huge, core.where(core.gt(outside, 4), -math.huge, -math.log(32)))
end)

---The eight dark squares of a 4 by 4 board over [-4, 4]^2.
---@return Distribution
function toy.checkerboard ()
  return setmetatable({shape = {2}, box = {{-4, 4}, {-4, 4}}}, Checkerboard)
end

local Banana = plane_class("banana", function (self, rng, sizes)
  local a, b = rng:normal(sizes) * 2, rng:normal(sizes)
  return join(a, b + (core.square(a) - 4) * self.bend)
end, function (self, x, y)
  return log_normal(x, 0, 2) + log_normal(y, (core.square(x) - 4) * self.bend, 1)
end)

---A normal of deviations 2 and 1 bent along a parabola: y + bend (x^2 - 4).  Haario et al. 1999.
---@param opts? { bend: number } 0.25 when absent
---@return Distribution
function toy.banana (opts)
  local o = options.check("dist.toy.banana", opts, {bend = "number?"})
  local bend = o.bend or 0.25
  local reach = math.abs(bend) * 104 + 6
  return setmetatable({bend = bend, shape = {2}, box = {{-10.4, 10.4}, {-reach, reach}}}, Banana)
end

local Funnel = plane_class("funnel", function (self, rng, sizes)
  local v = rng:normal(sizes) * self.scale
  return join(v, rng:normal(sizes) * core.exp(v * 0.5))
end, function (self, v, x)
  return log_normal(v, 0, self.scale) + core.square(x) * core.exp(-v) * -0.5
    - (half_log_2pi + v * 0.5)
end)

---Neal's funnel: v ~ N(0, scale^2) first, then x ~ N(0, e^v).  Neal 2003, section 8.
---@param opts? { scale: number } 3 when absent
---@return Distribution
function toy.funnel (opts)
  local o = options.check("dist.toy.funnel", opts, {scale = "number?"})
  local s = o.scale or 3
  if not (s > 0 and s < math.huge) then
    error(("dist.toy.funnel: scale is %g; it is above 0"):format(s), 2)
  end
  local reach = 5.2 * math.exp(2.6 * s)
  return setmetatable({scale = s, shape = {2}, box = {{-5.2 * s, 5.2 * s}, {-reach, reach}}},
    Funnel)
end

toy.energy = require "perigee.dist.energy"

return toy
