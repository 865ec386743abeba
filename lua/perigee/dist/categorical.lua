-- The categorical distribution by logits on the last axis.  Outcomes are 1, 2, ..., as index
-- tensors.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local options = require "perigee.options"
local shape = require "perigee.dist.shape"

---@class Categorical : Distribution
---@field logits userdata (..., classes), unnormalised log-probabilities
---@field log_probs userdata (..., classes), normalised, computed when asked for
---@field mean userdata (..., classes), the probabilities, computed when asked for
---@field classes integer
---@field shape integer[] of one draw
local Categorical = family.class("categorical", {{"logits", "logits"}}, {
  mean = function (self) return core.softmax(self.logits, -1) end,
  log_probs = function (self) return core.log_softmax(self.logits, -1) end,
})
Categorical.support = "class"

---@param rng userdata
---@param lead? integer|integer[] sizes put before the distribution's own shape
---@return userdata index tensor
function Categorical:sample (rng, lead)
  local l = self.logits:detach()
  return rng:categorical(lead and l:expand(shape.lead(lead, l.shape)) or l)
end

---log p(x) in nats.
---@param x userdata index tensor of the distribution's shape, with any axes before it
---@return userdata of x's shape
function Categorical:log_prob (x)
  if not options.is_tensor(x) or x.dtype ~= "index" then
    local kind = options.is_tensor(x) and x.dtype .. " tensor" or options.kind(x)
    error(("dist.categorical: x is a %s; give an index tensor of 1..%d (x:index())"):format(kind,
      self.classes), 2)
  end
  local sizes = x.shape
  local log_probs = core.expand(self.log_probs, shape.lead(sizes, {self.classes}))
  local picked = core.gather(log_probs, core.reshape(x, shape.lead(sizes, {1})), -1)
  return core.reshape(picked, sizes)
end

---- sum p log p, in nats; a class of probability 0 adds nothing.
---@return userdata
function Categorical:entropy ()
  return -Categorical.expect(self, self.log_probs)
end

---sum over classes of p f, where f is not read at classes of probability 0.
---@param f userdata (..., classes)
---@return userdata
function Categorical:expect (f)
  local p = self.mean
  return core.sum(p * core.where(core.gt(p, 0), f, 0), -1)
end

---1, 2, ..., classes on a new first axis.
---@return userdata index tensor
function Categorical:enumerate ()
  local ones = {self.classes}
  for i = 1, #self.shape do ones[i + 1] = 1 end
  return core.expand(core.reshape(core.arange(self.classes), ones),
    shape.lead(self.classes, self.shape))
end

---Outcome k with probability softmax(logits)[k], k = 1, 2, ...
---@param logits userdata (..., classes)
---@return Categorical
local function categorical (logits)
  shape.check_parameter("dist.categorical", "logits", logits, true)
  local sizes = logits.shape
  if #sizes == 0 then error("dist.categorical: logits of shape () have no axis of classes", 2) end
  local classes = table.remove(sizes)
  return setmetatable({logits = logits, classes = classes, shape = sizes}, Categorical)
end

return {new = categorical, class = Categorical}
