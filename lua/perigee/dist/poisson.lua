-- The Poisson distribution of counts, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Poisson : Distribution
---@field rate userdata
local Poisson = family.class("poisson", {{"rate", "nonnegative"}}, {
  mean = function (self) return self.rate end,
  variance = function (self) return self.rate end,
})
Poisson.support = "count"

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata real counts
function Poisson:sample (rng, lead)
  return rng:poisson(core.expand(self.rate:detach(), shape.lead(lead, self.shape)))
end

---x log rate - rate - log x! for x >= 0, -inf below; in nats.  Numbers between counts are taken by
---the same formula.
---@param x userdata
---@return userdata
function Poisson:log_prob (x)
  return family.supported(core.lt(x, 0), x, 0, function (y)
    return family.xlogy(y, self.rate) - self.rate - core.lgamma(y + 1)
  end)
end

---P(x) = rate^x e^-rate / x! for counts x = 0, 1, ...
---@param rate userdata|number 0 or more
---@return Poisson
local function poisson (rate)
  return (family.new(Poisson, rate))
end

return {new = poisson, class = Poisson}
