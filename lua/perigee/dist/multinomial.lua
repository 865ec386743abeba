-- Counts of classes in n trials, by logits on the last axis, which is one event.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Multinomial : Distribution
---@field n integer trials
---@field logits userdata (..., classes), unnormalised log-probabilities
---@field log_probs userdata (..., classes)
local Multinomial = family.class("multinomial", {{"logits", "logits"}}, {
  log_probs = function (self) return core.log_softmax(self.logits, -1) end,
  mean = function (self) return core.softmax(self.logits, -1) * self.n end,
  variance = function (self)
    local p = core.softmax(self.logits, -1)
    return p * (1 - p) * self.n
  end,
})
Multinomial.event = 1
Multinomial.support = "count"

-- Class by class: what is left of the trials falls to class k with its share of what is left of
-- the probability.
local function draw (self, rng, lead)
  local sizes = shape.lead(lead, self.shape)
  local p, classes = core.softmax(self.logits, -1), sizes[#sizes]
  local counts, one = {}, table.move(sizes, 1, #sizes, 1, {})
  one[#one] = 1
  local left = core.full(one, self.n)
  for k = 1, classes - 1 do
    local rest = core.sum(core.slice(p, -1, k, classes), -1, true)
    local share = core.clamp(core.slice(p, -1, k, k) / core.maximum(rest, 2^-126), 0, 1)
    counts[k] = rng:binomial(left, core.expand(share, one))
    left = left - counts[k]
  end
  counts[classes] = left
  return core.concat(counts, -1)
end

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata (..., classes), real counts that add to n
function Multinomial:sample (rng, lead)
  return core.no_grad(draw, self, rng, lead)
end

---log(n! / (x_1! x_2! ..)) + sum x_k log p_k, in nats; -inf where x has a negative entry or does
---not add to n.
---@param x userdata (..., classes)
---@return userdata without the last axis
function Multinomial:log_prob (x)
  local ways = 0
  for i = 2, self.n do ways = ways + math.log(i) end
  local terms = family.supported(core.lt(x, 0), x, 0, function (y)
    return family.product(y, self.log_probs) - core.lgamma(y + 1)
  end)
  return core.where(core.eq(core.sum(x, -1), self.n), core.sum(terms, -1) + ways, -math.huge)
end

---Counts of classes in n trials of the probabilities softmax(logits); the last axis is one event.
---@param n integer trials
---@param logits userdata (..., classes)
---@return Multinomial
local function multinomial (n, logits)
  if math.type(n) ~= "integer" or n < 0 then
    error(("dist.multinomial: n is %s; it is a whole number, 0 or more"):format(tostring(n)), 2)
  end
  shape.check_parameter("dist.multinomial", "logits", logits, true)
  if #logits.shape == 0 then
    error("dist.multinomial: logits of shape () have no axis of classes", 2)
  end
  local self = family.new(Multinomial, logits)
  self.n = n
  return self
end

return {new = multinomial, class = Multinomial}
