-- The continuous Bernoulli on [0, 1] by its logits, element by element: the normalised density
-- behind a cross-entropy with targets between 0 and 1.  Loaiza-Ganem & Cunningham 2019.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

local SERIES <const> = 0.5                -- below, series in the logits are exact to a float

-- f(l) where |l| is large enough for it, and the series there is near 0.
local function near_zero (l, series, f)
  local small = core.lt(core.abs(l), SERIES)
  return core.where(small, series(core.where(small, l, 0)), f(core.where(small, 1, l)))
end

---@class ContinuousBernoulli : Distribution
---@field logits userdata
---@field log_norm userdata A(l) = log((e^l - 1) / l), so that log p(x) = x l - A(l)
local ContinuousBernoulli = family.class("continuous_bernoulli", {{"logits", "real"}}, {
  log_norm = function (self)
    return near_zero(self.logits, function (l)
      local s = core.square(l)
      return l * 0.5 + s / 24 - core.square(s) / 2880
    end, function (l)
      local a = core.abs(l)
      return core.maximum(l, 0) + core.log(-core.expm1(-a) / a)
    end)
  end,
  mean = function (self)                   -- A'
    return near_zero(self.logits, function (l)
      local s = core.square(l)
      return l / 12 * (1 - s / 60 + core.square(s) / 2520) + 0.5
    end, function (l) return -core.reciprocal(core.expm1(-l)) - core.reciprocal(l) end)
  end,
  variance = function (self)               -- A''
    return near_zero(self.logits, function (l)
      local s = core.square(l)
      return 1 / 12 - s / 240 + core.square(s) / 6048
    end, function (l)
      local a = core.abs(l)
      return core.reciprocal(core.square(a)) - core.exp(-a) / core.square(core.expm1(-a))
    end)
  end,
})
ContinuousBernoulli.support = "unit"

-- Logits below zero, never nearer to it than 1e-3, and whether x and 1 - x changed places for that.
-- The shift is constant, so the gradient of logits 0 is that of 1e-3.
local function mirror (self)
  local l = self.logits
  local fixed = l:detach()
  local shift = core.where(core.lt(core.abs(fixed), 1e-3),
    core.where(core.lt(fixed, 0), -1e-3, 1e-3) - fixed, 0)
  local swap = core.ge(fixed + shift, 0)
  return -core.abs(l + shift), swap
end

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function ContinuousBernoulli:rsample (rng, lead)
  return self:icdf(rng:uniform(shape.lead(lead, self.shape)))
end

---x logits - log_norm in [0, 1], -inf outside; in nats.
---@param x userdata
---@return userdata
function ContinuousBernoulli:log_prob (x)
  return core.where(family.out_of(x, 0, 1), -math.huge, x * self.logits - self.log_norm)
end

---@return userdata
function ContinuousBernoulli:entropy () return self.log_norm - self.logits * self.mean end

---(e^(l x) - 1) / (e^l - 1).
---@param x userdata
---@return userdata
function ContinuousBernoulli:cdf (x)
  local l, swap = mirror(self)
  x = core.clamp(x, 0, 1)
  local p = core.expm1(core.where(swap, 1 - x, x) * l) / core.expm1(l)
  return core.where(swap, 1 - p, p)
end

---log(1 + p (e^l - 1)) / l.
---@param p userdata probabilities
---@return userdata
function ContinuousBernoulli:icdf (p)
  local l, swap = mirror(self)
  local x = core.log1p(core.where(swap, 1 - p, p) * core.expm1(l)) / l
  return core.where(swap, 1 - x, x)
end

---p(x) in proportion to p^x (1 - p)^(1 - x) on [0, 1], p = sigmoid(logits).  Loaiza-Ganem &
---Cunningham 2019.
---@param logits userdata|number
---@return ContinuousBernoulli
local function continuous_bernoulli (logits)
  return (family.new(ContinuousBernoulli, logits))
end

return {new = continuous_bernoulli, class = ContinuousBernoulli}
