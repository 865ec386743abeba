-- The number of successes in n trials, by the logits of a success, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Binomial : Distribution
---@field n userdata trials, whole numbers
---@field logits userdata log(p / (1 - p))
local Binomial = family.class("binomial", {{"n", "count"}, {"logits", "logits"}}, {
  mean = function (self) return self.n * core.sigmoid(self.logits) end,
  variance = function (self)
    return self.n * core.sigmoid(self.logits) * core.sigmoid(-self.logits)
  end,
})
Binomial.support = "count"

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata real counts
function Binomial:sample (rng, lead)
  local p = core.sigmoid(self.logits:detach())
  return rng:binomial(self.n:detach(), core.expand(p, shape.lead(lead, self.shape)))
end

---log(n over x) + x log p + (n - x) log(1 - p) in 0..n, -inf outside; in nats.  Large terms cancel:
---off by about 1e-7 n log n.
---@param x userdata
---@return userdata
function Binomial:log_prob (x)
  local n = self.n
  return family.supported(family.out_of(x, 0, n), x, 0, function (y)
    local ways = core.lgamma(n + 1) - core.lgamma(y + 1) - core.lgamma(n - y + 1)
    return ways + family.product(y, core.log_sigmoid(self.logits))
      + family.product(n - y, core.log_sigmoid(-self.logits))
  end)
end

---0, 1, ..., the largest n, on a new first axis.
---@return userdata
function Binomial:enumerate ()
  return family.outcomes(math.tointeger(core.max(self.n):item()) + 1, self.shape)
end

---@return userdata
function Binomial:entropy () return family.enumerated_entropy(self) end

---The number of successes in n trials, each of probability sigmoid(logits).
---@param n userdata|number trials
---@param logits userdata|number
---@return Binomial
local function binomial (n, logits)
  return (family.new(Binomial, n, logits))
end

return {new = binomial, class = Binomial}
