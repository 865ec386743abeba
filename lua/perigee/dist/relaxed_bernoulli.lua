-- The binary Concrete distribution on (0, 1), element by element: a Bernoulli whose draws carry a
-- gradient.  Maddison, Mnih & Teh 2017; Jang, Gu & Poole 2017.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class RelaxedBernoulli : Distribution
---@field temperature userdata
---@field logits userdata
local RelaxedBernoulli = family.class("relaxed_bernoulli",
  {{"temperature", "positive"}, {"logits", "real"}}, {})
RelaxedBernoulli.support = "unit"

---sigmoid((logits + log(u / (1 - u))) / temperature), kept inside (0, 1).
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function RelaxedBernoulli:rsample (rng, lead)
  local u = family.open_uniform(rng, shape.lead(lead, self.shape))
  local x = core.sigmoid((self.logits + core.logit(u)) / self.temperature)
  return core.clamp(x, 2^-126, 1 - 2^-24)
end

---With t the temperature and d = logits - t log(x / (1 - x)):
---log t + d - 2 log(1 + e^d) - log x - log(1 - x) in (0, 1), -inf outside; in nats.
---@param x userdata
---@return userdata
function RelaxedBernoulli:log_prob (x)
  return family.supported(family.out_of(x, 2^-149, 1 - 2^-24), x, 0.5, function (y)
    local high, low = core.log(y), core.log1p(-y)
    local d = self.logits - self.temperature * (high - low)
    return core.log(self.temperature) + core.log_sigmoid(d) + core.log_sigmoid(-d) - high - low
  end)
end

---P(X <= x).
---@param x userdata
---@return userdata
function RelaxedBernoulli:cdf (x)
  local y = core.clamp(x, 2^-126, 1 - 2^-24)
  return core.sigmoid(self.temperature * core.logit(y) - self.logits)
end

---The binary Concrete distribution on (0, 1): a Bernoulli whose draws carry a gradient.  Maddison,
---Mnih & Teh 2017; Jang, Gu & Poole 2017.
---@param temperature userdata|number above 0
---@param logits userdata|number
---@return RelaxedBernoulli
local function relaxed_bernoulli (temperature, logits)
  return (family.new(RelaxedBernoulli, temperature, logits))
end

return {new = relaxed_bernoulli, class = RelaxedBernoulli}
