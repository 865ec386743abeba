-- A logistic density collected into levels 0, 1, ..., bins - 1, element by element; the first and
-- the last level take what lies beyond.  Salimans et al. 2017, "PixelCNN++", eq. 2.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

-- Level k stands for the value 2 k / (bins - 1) - 1 in [-1, 1], the units of loc and scale.

---@class DiscretizedLogistic : Distribution
---@field loc userdata in units where the levels span [-1, 1]
---@field log_scale userdata
---@field bins integer
local DiscretizedLogistic = family.class("discretized_logistic",
  {{"loc", "real"}, {"log_scale", "real"}}, {
    mean = function (self)
      local x = self:enumerate()
      return core.sum(core.exp(self:log_prob(x)) * x, 1)
    end,
    variance = function (self)
      local x = self:enumerate()
      local p, mean = core.exp(self:log_prob(x)), self.mean
      return core.sum(p * core.square(x - mean), 1)
    end,
  })
DiscretizedLogistic.support = "count"

local function draw (self, rng, lead)
  local u = family.open_uniform(rng, shape.lead(lead, self.shape))
  local x = self.loc + core.exp(self.log_scale) * core.logit(u)
  return core.clamp(core.round((x + 1) * ((self.bins - 1) / 2)), 0, self.bins - 1)
end

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata real levels
function DiscretizedLogistic:sample (rng, lead)
  return core.no_grad(draw, self, rng, lead)
end

---log(sigmoid(a) - sigmoid(b)) with a and b the level's ends in scales from loc, in nats, as
---log sigmoid(a) + log sigmoid(-b) + log(1 - e^(b - a)), which holds however narrow the level is;
----inf outside 0..bins - 1.
---@param x userdata real levels
---@return userdata
function DiscretizedLogistic:log_prob (x)
  local half, last = 1 / (self.bins - 1), self.bins - 1
  return family.supported(family.out_of(x, 0, last), x, 0, function (y)
    local inverse = core.exp(-self.log_scale)
    local centred = (y * (2 * half) - 1) - self.loc
    local upper = core.log_sigmoid((centred + half) * inverse)
    local lower = core.log_sigmoid((half - centred) * inverse)
    local width = core.log1mexp(inverse * (-2 * half))
    return core.where(core.le(y, 0), upper,
      core.where(core.ge(y, last), lower, upper + lower + width))
  end)
end

---@return userdata (bins, ...)
function DiscretizedLogistic:enumerate () return family.outcomes(self.bins, self.shape) end

---@return userdata
function DiscretizedLogistic:entropy () return family.enumerated_entropy(self) end

---P(X <= x).
---@param x userdata real levels
---@return userdata
function DiscretizedLogistic:cdf (x)
  local last, k = self.bins - 1, core.floor(x)
  local z = ((k * 2 + 1) / last - 1 - self.loc) * core.exp(-self.log_scale)
  return core.where(core.lt(k, 0), 0, core.where(core.ge(k, last), 1, core.sigmoid(z)))
end

---A logistic density collected into levels 0, 1, ..., bins - 1; the first and the last take what
---lies beyond.  Salimans et al. 2017, "PixelCNN++", eq. 2.
---@param loc userdata|number in units where the levels span [-1, 1]
---@param log_scale userdata|number
---@param bins? integer 256 when absent
---@return DiscretizedLogistic
local function discretized_logistic (loc, log_scale, bins)
  bins = bins or 256
  if math.type(bins) ~= "integer" or bins < 2 then
    error(("dist.discretized_logistic: bins is %s; give 2 or more"):format(tostring(bins)), 2)
  end
  local self = family.new(DiscretizedLogistic, loc, log_scale)
  self.bins = bins
  return self
end

return {new = discretized_logistic, class = DiscretizedLogistic}
