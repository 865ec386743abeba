-- The gamma distribution by concentration and rate, element by element, and the draws that beta,
-- Dirichlet and Student's t are made of.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Gamma : Distribution
---@field concentration userdata
---@field rate userdata
local Gamma = family.class("gamma", {{"concentration", "positive"}, {"rate", "positive"}}, {
  mean = function (self) return self.concentration / self.rate end,
  variance = function (self) return self.concentration / core.square(self.rate) end,
})
Gamma.support = "positive"

local LOG_TINY <const> = -126 * math.log(2)       -- of the smallest normal float

-- The logarithm of draws from Gamma(a, 1) of shape `sizes`, and their gradient by implicit
-- reparameterisation: Figurnov, Mohamed & Mnih 2018.  The gradient is of first order only: a
-- derivative of it takes gamma_grad as constant.
local function log_draw (rng, a, sizes)
  local fixed = core.expand(a:detach(), sizes)
  local l = rng:log_gamma(fixed)
  if not a:requires_grad() then return l end
  return l + (core.expand(a, sizes) - fixed) * core.gamma_grad(fixed, l)
end

---Draws are at least 2^-126 / rate; their gradient is of first order only.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Gamma:rsample (rng, lead)
  local l = log_draw(rng, self.concentration, shape.lead(lead, self.shape))
  return core.exp(core.maximum(l, LOG_TINY)) / self.rate
end

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Gamma:sample (rng, lead)
  local a, rate = self.concentration:detach(), self.rate:detach()
  return rng:gamma(core.expand(a, shape.lead(lead, self.shape))) / rate
end

---With a the concentration and r the rate: a log r + (a - 1) log x - r x - log Gamma(a) for x >= 0,
----inf below; in nats.
---@param x userdata
---@return userdata
function Gamma:log_prob (x)
  local a, rate = self.concentration, self.rate
  return family.supported(core.lt(x, 0), x, 1, function (y)
    return a * core.log(rate) + family.xlogy(a - 1, y) - rate * y - core.lgamma(a)
  end)
end

---a - log r + log Gamma(a) + (1 - a) digamma(a).
---@return userdata
function Gamma:entropy ()
  local a = self.concentration
  return a - core.log(self.rate) + core.lgamma(a) + (1 - a) * core.digamma(a)
end

---p(x) = rate^a x^(a - 1) e^(-rate x) / Gamma(a) for x > 0, where a is the concentration.
---@param concentration userdata|number above 0
---@param rate userdata|number above 0
---@return Gamma
local function gamma (concentration, rate)
  return (family.new(Gamma, concentration, rate))
end

return {new = gamma, class = Gamma, log_draw = log_draw}
