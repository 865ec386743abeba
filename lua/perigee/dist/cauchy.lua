-- The Cauchy distribution, element by element.  It has no mean and no variance: both are NaN.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Cauchy : Distribution
---@field loc userdata
---@field scale userdata
local Cauchy = family.class("cauchy", {{"loc", "real"}, {"scale", "positive"}}, {
  mean = function (self) return core.full(self.shape, 0 / 0) end,
  variance = function (self) return core.full(self.shape, 0 / 0) end,
})

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Cauchy:rsample (rng, lead)
  return self:icdf(family.open_uniform(rng, shape.lead(lead, self.shape)))
end

----log(pi scale (1 + z^2)) with z = (x - loc) / scale, in nats.
---@param x userdata
---@return userdata
function Cauchy:log_prob (x)
  local z = (x - self.loc) / self.scale
  return -core.log1p(core.square(z)) - core.log(self.scale * math.pi)
end

---log(4 pi scale).
---@return userdata
function Cauchy:entropy () return core.expand(core.log(self.scale * (4 * math.pi)), self.shape) end

---1/2 + atan((x - loc) / scale) / pi.
---@param x userdata
---@return userdata
function Cauchy:cdf (x) return core.atan((x - self.loc) / self.scale) / math.pi + 0.5 end

---loc - scale / tan(pi p), by the end that is nearer.
---@param p userdata probabilities
---@return userdata
function Cauchy:icdf (p)
  local q = core.where(core.gt(p, 0.5), -(1 - p), p)
  return self.loc - self.scale / core.tan(q * math.pi)
end

---p(x) = 1 / (pi scale (1 + z^2)), z = (x - loc) / scale.  It has no mean and no variance.
---@param loc userdata|number
---@param scale userdata|number above 0
---@return Cauchy
local function cauchy (loc, scale)
  return (family.new(Cauchy, loc, scale))
end

return {new = cauchy, class = Cauchy}
