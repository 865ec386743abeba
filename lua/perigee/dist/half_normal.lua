-- |z| for z ~ N(0, scale^2), element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class HalfNormal : Distribution
---@field scale userdata
local HalfNormal = family.class("half_normal", {{"scale", "positive"}}, {
  mean = function (self) return self.scale * math.sqrt(2 / math.pi) end,
  variance = function (self) return core.square(self.scale) * (1 - 2 / math.pi) end,
})
HalfNormal.support = "nonnegative"

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function HalfNormal:rsample (rng, lead)
  return core.abs(rng:normal(shape.lead(lead, self.shape))) * self.scale
end

---log(2 / pi) / 2 - log scale - (x / scale)^2 / 2 for x >= 0, -inf below; in nats.
---@param x userdata
---@return userdata
function HalfNormal:log_prob (x)
  local p = core.square(x / self.scale) * -0.5 + 0.5 * math.log(2 / math.pi) - core.log(self.scale)
  return core.where(core.lt(x, 0), -math.huge, p)
end

---log scale + (1 + log(pi / 2)) / 2.
---@return userdata
function HalfNormal:entropy () return core.log(self.scale) + 0.5 * (1 + math.log(math.pi / 2)) end

---@param x userdata
---@return userdata
function HalfNormal:cdf (x) return core.erf(core.maximum(x, 0) / (self.scale * math.sqrt(2))) end

---@param p userdata probabilities
---@return userdata
function HalfNormal:icdf (p) return core.erfinv(p) * (self.scale * math.sqrt(2)) end

---|z| for z ~ N(0, scale^2).
---@param scale userdata|number above 0
---@return HalfNormal
local function half_normal (scale)
  return (family.new(HalfNormal, scale))
end

return {new = half_normal, class = HalfNormal}
