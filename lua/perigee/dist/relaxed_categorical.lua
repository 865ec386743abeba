-- The Concrete (Gumbel-softmax) distribution over the simplex of the last axis, which is one event.
-- Maddison, Mnih & Teh 2017; Jang, Gu & Poole 2017.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class RelaxedCategorical : Distribution
---@field temperature userdata of shape () or (..., 1)
---@field logits userdata (..., classes)
local RelaxedCategorical = family.class("relaxed_categorical",
  {{"temperature", "positive"}, {"logits", "real"}}, {})
RelaxedCategorical.event = 1
RelaxedCategorical.support = "simplex"

---log of a draw: exact where the draw itself is 0.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function RelaxedCategorical:rsample_log (rng, lead)
  local noise = rng:gumbel(shape.lead(lead, self.shape))
  return core.log_softmax((self.logits + noise) / self.temperature, -1)
end

---softmax((logits + Gumbel noise) / temperature).
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function RelaxedCategorical:rsample (rng, lead)
  return core.maximum(core.exp(self:rsample_log(rng, lead)), 2^-126)
end

---log p at x = e^l: Maddison et al. 2017, eq. 10, with n classes and temperature t,
---log (n - 1)! + (n - 1) log t + sum (logits - (t + 1) l) - n log sum e^(logits - t l), in nats.
---@param l userdata (..., classes), logarithms
---@return userdata without the last axis
function RelaxedCategorical:log_prob_of_log (l)
  local t, n = self.temperature, self.shape[#self.shape]
  local ways = 0
  for i = 2, n - 1 do ways = ways + math.log(i) end
  local d = self.logits - t * l
  local power = core.log(t) * (n - 1)
  if #power.shape > 0 then power = core.sum(power, -1) end        -- (..., 1)
  return core.sum(d - l, -1) - core.logsumexp(d, -1) * n + power + ways
end

---log p(x), in nats.
---@param x userdata (..., classes), taken to add to one; -inf where an entry is 0 or less
---@return userdata without the last axis
function RelaxedCategorical:log_prob (x)
  local bad = core.le(core.min(x, -1, true), 0)
  local p = self:log_prob_of_log(core.log(core.where(bad, 1 / self.shape[#self.shape], x)))
  return core.where(core.reshape(bad, p.shape), -math.huge, p)
end

---The Concrete (Gumbel-softmax) distribution over the simplex of the last axis.  Maddison, Mnih &
---Teh 2017; Jang, Gu & Poole 2017.
---@param temperature userdata|number above 0
---@param logits userdata (..., classes)
---@return RelaxedCategorical
local function relaxed_categorical (temperature, logits)
  shape.check_parameter("dist.relaxed_categorical", "logits", logits, true)
  local self = family.new(RelaxedCategorical, temperature, logits)
  local t = self.temperature.shape
  if #logits.shape == 0 or (t[#t] or 1) ~= 1 then
    error(("dist.relaxed_categorical: logits of shape (%s) and temperature of shape (%s); give "
      .. "(..., classes) and () or (..., 1)"):format(table.concat(logits.shape, ", "),
      table.concat(t, ", ")), 2)
  end
  return self
end

return {new = relaxed_categorical, class = RelaxedCategorical}
