-- The beta distribution, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local gamma = require "perigee.dist.gamma"
local shape = require "perigee.dist.shape"

---@class Beta : Distribution
---@field a userdata
---@field b userdata
local Beta = family.class("beta", {{"a", "positive"}, {"b", "positive"}}, {
  mean = function (self) return self.a / (self.a + self.b) end,
  variance = function (self)
    local total = self.a + self.b
    return self.a * self.b / (core.square(total) * (total + 1))
  end,
})
Beta.support = "unit"

---g / (g + h) with draws g and h of Gamma(a, 1) and Gamma(b, 1), kept inside (0, 1).  The gradient
---is of first order only, as that of dist.gamma.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Beta:rsample (rng, lead)
  local sizes = shape.lead(lead, self.shape)
  local odds = gamma.log_draw(rng, self.a, sizes) - gamma.log_draw(rng, self.b, sizes)
  return core.clamp(core.sigmoid(odds), 2^-126, 1 - 2^-24)
end

---log of Euler's beta function, log Gamma(a) + log Gamma(b) - log Gamma(a + b).
---@return userdata
function Beta:log_norm ()
  return core.lgamma(self.a) + core.lgamma(self.b) - core.lgamma(self.a + self.b)
end

---(a - 1) log x + (b - 1) log(1 - x) - log_norm() in [0, 1], -inf outside; in nats.
---@param x userdata
---@return userdata
function Beta:log_prob (x)
  return family.supported(family.out_of(x, 0, 1), x, 0.5, function (y)
    return family.xlogy(self.a - 1, y) + family.xlogy(self.b - 1, 1 - y) - self:log_norm()
  end)
end

---@return userdata
function Beta:entropy ()
  local a, b = self.a, self.b
  return self:log_norm() - (a - 1) * core.digamma(a) - (b - 1) * core.digamma(b)
    + (a + b - 2) * core.digamma(a + b)
end

---p(x) = x^(a - 1) (1 - x)^(b - 1) / B(a, b) on (0, 1).
---@param a userdata|number above 0
---@param b userdata|number above 0
---@return Beta
local function beta (a, b)
  return (family.new(Beta, a, b))
end

return {new = beta, class = Beta}
