-- The number of failures before the first success, by the logits of a success, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Geometric : Distribution
---@field logits userdata log(p / (1 - p)) for a success of probability p
local Geometric = family.class("geometric", {{"logits", "real"}}, {
  mean = function (self) return core.exp(-self.logits) end,
  variance = function (self) return core.exp(-self.logits) / core.sigmoid(self.logits) end,
})
Geometric.support = "count"

local function draw (self, rng, lead)
  return core.floor(rng:exponential(shape.lead(lead, self.shape)) / core.softplus(self.logits))
end

---An exponential draw of rate -log(1 - p), cut to a whole number.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata real counts
function Geometric:sample (rng, lead)
  return core.no_grad(draw, self, rng, lead)
end

---x log(1 - p) + log p for x >= 0, -inf below; in nats.
---@param x userdata
---@return userdata
function Geometric:log_prob (x)
  local l = self.logits
  return core.where(core.lt(x, 0), -math.huge, core.log_sigmoid(l) - x * core.softplus(l))
end

---@return userdata
function Geometric:entropy ()
  local p = core.sigmoid(self.logits)
  return core.bce_logits(self.logits, p) / p
end

---P(X <= x).
---@param x userdata
---@return userdata
function Geometric:cdf (x)
  local k = core.maximum(core.floor(x) + 1, 0)
  return -core.expm1(-k * core.softplus(self.logits))
end

---The number of failures before the first success, of probability sigmoid(logits).
---@param logits userdata|number
---@return Geometric
local function geometric (logits)
  return (family.new(Geometric, logits))
end

return {new = geometric, class = Geometric}
