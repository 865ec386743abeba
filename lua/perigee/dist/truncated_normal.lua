-- The normal distribution restricted to an interval, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

local half_log_2pi <const> = 0.5 * math.log(2 * math.pi)

---@class TruncatedNormal : Distribution
---@field loc userdata mean of the normal that is cut
---@field scale userdata its standard deviation
---@field low userdata
---@field high userdata
---@field log_mass userdata log of the normal's probability of the interval
local TruncatedNormal

-- Stands for an infinite end, where derivatives would be NaN.
local FAR <const> = 1e4

-- The ends in deviations, on the side where the interval's mass is a difference of small numbers,
-- and log(Phi(b) - Phi(a)) there.  An interval above the mean is looked at in the mirror.
local function ends (self)
  local function deviations (x)
    return core.clamp((core.clamp(x, -1e30, 1e30) - self.loc) / self.scale, -FAR, FAR)
  end
  local a, b = deviations(self.low), deviations(self.high)
  local mirror = core.gt(a, 0)
  local near, far = core.where(mirror, -a, b), core.where(mirror, -b, a)
  local upper, lower = core.log_ndtr(near), core.log_ndtr(far)
  return a, b, upper + core.log1mexp(lower - upper), mirror, near, far
end

-- (phi(a) - phi(b)) / mass and (a phi(a) - b phi(b)) / mass.
local function slopes (self)
  local a, b, mass = ends(self)
  local function part (z)
    local p = core.exp(core.square(z) * -0.5 - half_log_2pi - mass)
    return p, z * p
  end
  local pa, za = part(a)
  local pb, zb = part(b)
  return pa - pb, za - zb
end

TruncatedNormal = family.class("truncated_normal",
  {{"loc", "real"}, {"scale", "positive"}, {"low", "logits"}, {"high", "logits"}}, {
    log_mass = function (self) return (select(3, ends(self))) end,
    mean = function (self) return self.loc + self.scale * (slopes(self)) end,
    variance = function (self)
      local d, e = slopes(self)
      return core.square(self.scale) * (1 + e - core.square(d))
    end,
  })
TruncatedNormal.support = "interval"

---By the inverse of the cumulative probability.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function TruncatedNormal:rsample (rng, lead)
  return self:icdf(family.open_uniform(rng, shape.lead(lead, self.shape)))
end

---log N(x; loc, scale^2) - log_mass in [low, high], -inf elsewhere; in nats.
---@param x userdata
---@return userdata
function TruncatedNormal:log_prob (x)
  local z = (x - self.loc) / self.scale
  local p = core.square(z) * -0.5 - (core.log(self.scale) + half_log_2pi + self.log_mass)
  return core.where(family.out_of(x, self.low, self.high), -math.huge, p)
end

---log(sqrt(2 pi e) scale) + log_mass + (a phi(a) - b phi(b)) / (2 mass), in nats.
---@return userdata
function TruncatedNormal:entropy ()
  local _, e = slopes(self)
  return core.log(self.scale) + (0.5 + half_log_2pi) + self.log_mass + e * 0.5
end

---@param x userdata
---@return userdata
function TruncatedNormal:cdf (x)
  local _, _, mass, mirror, _, far = ends(self)
  local z = (core.minimum(core.maximum(x, self.low), self.high) - self.loc) / self.scale
  local here, lower = core.log_ndtr(core.where(mirror, -z, z)), core.log_ndtr(far)
  local p = core.where(core.eq(here, lower), 0,
    core.exp(here + core.log1mexp(core.minimum(lower - here, -1e-30)) - mass))
  return core.where(mirror, 1 - p, p)
end

---Phi^-1(p Phi(b) + (1 - p) Phi(a)), on the mirrored side where the interval lies above the mean.
---@param p userdata probabilities
---@return userdata
function TruncatedNormal:icdf (p)
  local _, _, _, mirror, near, far = ends(self)
  p = core.where(mirror, 1 - p, p)
  local z = core.ndtri(p * core.ndtr(near) + (1 - p) * core.ndtr(far))
  local x = self.loc + self.scale * core.where(mirror, -z, z)
  return core.minimum(core.maximum(x, self.low), self.high)
end

---N(loc, scale^2) restricted to [low, high].
---@param loc userdata|number
---@param scale userdata|number above 0
---@param low userdata|number may be -inf
---@param high userdata|number above low, may be inf
---@return TruncatedNormal
local function truncated_normal (loc, scale, low, high)
  local rising = type(low) ~= "number" or type(high) ~= "number" or low < high
  if not rising then
    error(("dist.truncated_normal: low is %g and high is %g; low is below high"):format(low, high),
      2)
  end
  return (family.new(TruncatedNormal, loc, scale, low, high))
end

return {new = truncated_normal, class = TruncatedNormal}
