-- The Bernoulli distribution by its logits, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Bernoulli : Distribution
---@field logits userdata log(p / (1 - p)) for p = P(1)
---@field mean userdata P(1), computed when asked for
---@field shape integer[]
---@field variance userdata computed when asked for
local Bernoulli = family.class("bernoulli", {{"logits", "logits"}}, {
  mean = function (self) return core.sigmoid(self.logits) end,
  variance = function (self) return core.sigmoid(self.logits) * core.sigmoid(-self.logits) end,
})
Bernoulli.support = "binary"

---0 or 1 as real numbers; no gradient passes.
---@param rng userdata
---@param lead? integer|integer[] sizes put before the distribution's own shape
---@return userdata
function Bernoulli:sample (rng, lead)
  local p = core.no_grad(core.sigmoid, self.logits)
  return rng:bernoulli(lead and p:expand(shape.lead(lead, self.shape)) or p)
end

---log p(x) = x logits - softplus(logits), in nats; x may lie between 0 and 1.
---@param x userdata
---@return userdata of the shape that x and the logits broadcast to
function Bernoulli:log_prob (x)
  return -core.bce_logits(self.logits, x)
end

---softplus(logits) - p logits, in nats.
---@return userdata
function Bernoulli:entropy ()
  return core.bce_logits(self.logits, core.sigmoid(self.logits))
end

---0 and 1 on a new first axis.
---@return userdata
function Bernoulli:enumerate () return family.outcomes(2, self.shape) end

---1 with probability p = sigmoid(logits), else 0.
---@param logits userdata
---@return Bernoulli
local function bernoulli (logits)
  shape.check_parameter("dist.bernoulli", "logits", logits, true)
  return setmetatable({logits = logits, shape = logits.shape}, Bernoulli)
end

return {new = bernoulli, class = Bernoulli}
