-- Planar and radial layers (Rezende & Mohamed 2015, sec. 4.1), both kept invertible.

local check = require "perigee.flow.check"
local core = require "perigee.core"
local options = require "perigee.options"
local parameter = require "perigee.nn.linear".parameter

local planar = {}

---@class Planar
---@field w userdata (features)
---@field u userdata (features)
---@field b userdata ()
local Planar = {}
Planar.__index = Planar

-- u made such that w.u >= -1, where the layer is invertible: their app. A.1.
local function bounded (self)
  local w, u = self.w, self.u
  local along = (w * u):sum()
  local wanted = core.softplus(along) - 1
  return u + w * ((wanted - along) / ((w * w):sum() + 1e-12)), wanted
end

---y = x + u tanh(w.x + b).
---@param x userdata (..., features)
---@return userdata y
---@return userdata logdet (...)
function Planar:forward (x)
  check.features("planar", x, self.features)
  local u, along = bounded(self)
  local h = core.tanh((x * self.w):sum(-1, true) + self.b)
  local slope = 1 + (1 - h * h) * along
  return x + u * h, core.log(slope):sum(-1)
end

---a + w.u tanh(a + b) = w.y is solved for a = w.x by bisection, then by a step of Newton's, through
---which the derivatives go.
---@param y userdata (..., features)
---@return userdata x
---@return userdata logdet (...)
function Planar:inverse (y)
  check.features("planar", y, self.features)
  local u, along = bounded(self)
  local target = (y * self.w):sum(-1, true)
  local function rest (a) return a + along * core.tanh(a + self.b) - target end
  local a = core.no_grad(function ()
    local width = core.abs(along)
    local low, high = target - width, target + width
    for _ = 1, 60 do
      local middle = (low + high) * 0.5
      local above = core.gt(rest(middle), 0)
      low, high = core.where(above, low, middle), core.where(above, middle, high)
    end
    return (low + high) * 0.5
  end)
  local flat = core.tanh(a + self.b)
  a = a - rest(a) / (1 + (1 - flat * flat) * along)
  local h = core.tanh(a + self.b)
  return y - u * h, -core.log(1 + (1 - h * h) * along):sum(-1)
end

---y = x + u tanh(w.x + b), with u bounded so that it inverts: a change along one direction.
---@param given {features: integer, rng: userdata}
---@return Planar
function planar.planar (given)
  local o = options.check("flow.planar", given, {features = "integer", rng = "rng"})
  check.sizes("flow.planar", {features = o.features})
  local _ <close> = core.scope()
  local scale = 1 / math.sqrt(o.features)
  return setmetatable({
    features = o.features, w = parameter(o.rng:fork("w"):normal(o.features) * scale),
    u = parameter(o.rng:fork("u"):normal(o.features) * scale), b = parameter(core.zeros({})),
  }, Planar)
end

---@class Radial
---@field centre userdata (features)
---@field log_alpha userdata ()
---@field free_beta userdata ()
local Radial = {}
Radial.__index = Radial

-- alpha > 0 and beta >= -alpha: their app. A.2.
local function numbers (self)
  local alpha = core.exp(self.log_alpha)
  return alpha, core.softplus(self.free_beta) - alpha
end

-- log det for beta / (alpha + r) = bh and its slope in r.
local function volume (self, alpha, beta, r)
  local h = 1 / (alpha + r)
  local side, out = 1 + beta * h, 1 + beta * alpha * h * h
  return (core.log(side) * (self.features - 1) + core.log(out)):sum(-1)
end

local function distance (d)
  return core.sqrt((d * d):sum(-1, true) + 1e-20)
end

---y = x + beta / (alpha + r) (x - centre), r = |x - centre|.
---@param x userdata (..., features)
---@return userdata y
---@return userdata logdet (...)
function Radial:forward (x)
  check.features("radial", x, self.features)
  local alpha, beta = numbers(self)
  local d = x - self.centre
  local r = distance(d)
  return x + d * (beta / (alpha + r)), volume(self, alpha, beta, r)
end

---r solves r (1 + beta / (alpha + r)) = |y - centre|, a quadratic.
---@param y userdata (..., features)
---@return userdata x
---@return userdata logdet (...)
function Radial:inverse (y)
  check.features("radial", y, self.features)
  local alpha, beta = numbers(self)
  local d = y - self.centre
  local s = distance(d)
  local half = (s - alpha - beta) * 0.5
  local root = core.sqrt(half * half + alpha * s)
  local other = alpha * s / (root - core.minimum(half, 0))       -- the same without cancelling
  local positive = core.where(core.ge(half, 0), half + root, other)
  return self.centre + d / (1 + beta / (alpha + positive)), -volume(self, alpha, beta, positive)
end

-- softplus(ZERO) = 1 = alpha at the start, so that beta is near 0.
local ZERO <const> = math.log(math.exp(1) - 1)

---y = x + beta / (alpha + |x - centre|) (x - centre): a pull to a point, or a push from it.
---@param given {features: integer, rng: userdata}
---@return Radial
function planar.radial (given)
  local o = options.check("flow.radial", given, {features = "integer", rng = "rng"})
  check.sizes("flow.radial", {features = o.features})
  local _ <close> = core.scope()
  return setmetatable({
    features = o.features, centre = parameter(o.rng:fork("centre"):normal(o.features)),
    log_alpha = parameter(core.zeros({})),
    free_beta = parameter(o.rng:fork("beta"):normal(1):reshape({}) * 0.1 + ZERO),
  }, Radial)
end

return planar
