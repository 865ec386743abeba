-- The exponential distribution, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Exponential : Distribution
---@field rate userdata
local Exponential = family.class("exponential", {{"rate", "positive"}}, {
  mean = function (self) return core.reciprocal(self.rate) end,
  variance = function (self) return core.reciprocal(core.square(self.rate)) end,
})
Exponential.support = "nonnegative"

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Exponential:rsample (rng, lead)
  return rng:exponential(shape.lead(lead, self.shape)) / self.rate
end

---log rate - rate x for x >= 0, -inf below; in nats.
---@param x userdata
---@return userdata
function Exponential:log_prob (x)
  return core.where(core.lt(x, 0), -math.huge, core.log(self.rate) - self.rate * x)
end

---@return userdata
function Exponential:entropy () return 1 - core.log(self.rate) end

---@param x userdata
---@return userdata
function Exponential:cdf (x) return -core.expm1(-self.rate * core.maximum(x, 0)) end

---@param p userdata probabilities
---@return userdata
function Exponential:icdf (p) return -core.log1p(-p) / self.rate end

---p(x) = rate e^(-rate x) for x >= 0.
---@param rate userdata|number above 0
---@return Exponential
local function exponential (rate)
  return (family.new(Exponential, rate))
end

return {new = exponential, class = Exponential}
