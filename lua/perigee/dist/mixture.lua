-- A mixture over the last batch axis of a distribution: component k has weight k of
-- softmax(logits).

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"
local Normal = require "perigee.dist.normal"

---@class Mixture : Distribution
---@field logits userdata (..., components), unnormalised log-weights
---@field components table a distribution of shape (..., components, event axes)
---@field event integer of the components
local Mixture

-- x with an axis of length 1 where the components lie.
local function spread (self, x)
  local sizes = x.shape
  table.insert(sizes, #sizes + 1 - self.event, 1)
  return core.reshape(x, sizes)
end

-- Weights with as many axes of length 1 behind them as an event has.
local function weights (self)
  local w = core.softmax(self.logits, -1)
  local sizes = w.shape
  for _ = 1, self.event do sizes[#sizes + 1] = 1 end
  return core.reshape(w, sizes)
end

local function means (self)
  return core.expand(family.tensor(self.components.mean), self.components.shape)
end

Mixture = family.class("mixture", {}, {
  mean = function (self) return core.sum(weights(self) * means(self), -1 - self.event) end,
  -- of the parts within, and of their means around the whole's
  variance = function (self)
    local c, axis, mean = self.components, -1 - self.event, means(self)
    local off = mean - core.sum(weights(self) * mean, axis, true)
    return core.sum(weights(self) * (c.variance + core.square(off)), axis)
  end,
  support = function (self) return self.components.support end,
})

local function draw (self, rng, lead)
  local all = self.components:sample(rng, lead)
  local sizes, axis = all.shape, #all.shape - self.event
  local batch = table.move(sizes, 1, axis, 1, {})
  local k = rng:categorical(core.expand(self.logits, batch))
  sizes[axis] = 1
  local index = k.shape
  for _ = 0, self.event do index[#index + 1] = 1 end
  local dtype_index = core.expand(core.reshape(k, index), sizes)
  local picked = core.gather(all, dtype_index, axis)
  table.remove(sizes, axis)
  return core.reshape(picked, sizes)
end

---A draw of every component, of which one is taken by its weight.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Mixture:sample (rng, lead)
  return core.no_grad(draw, self, rng, lead)
end

---log sum of w_k p_k(x), in nats.
---@param x userdata
---@return userdata without the event axes
function Mixture:log_prob (x)
  local p = self.components:log_prob(spread(self, x))
  return core.logsumexp(core.log_softmax(self.logits, -1) + p, -1)
end

---Sum of w_k P_k(X <= x), for events of no axis.
---@param x userdata
---@return userdata
function Mixture:cdf (x)
  return core.sum(core.softmax(self.logits, -1) * self.components:cdf(spread(self, x)), -1)
end

---All outcomes, for components with finitely many.
---@return userdata
function Mixture:enumerate ()
  return core.index_select(self.components:enumerate(), core.arange(1), -1 - self.event)
    :reshape(shape.lead(-1, self.shape))
end

---p(x) = sum over k of softmax(logits)[k] p_k(x), k along the last batch axis of the components.
---@param logits userdata (..., components)
---@param components table a distribution of shape (..., components, event axes)
---@return Mixture
local function mixture (logits, components)
  shape.check_parameter("dist.mixture", "logits", logits, true)
  if type(components) ~= "table" or not components.log_prob then
    error(("dist.mixture: components is a %s; give a distribution"):format(type(components)), 2)
  end
  local event, sizes, l = components.event or 0, components.shape, logits.shape
  local axis = #sizes - event
  if axis < 1 or l[#l] ~= sizes[axis] then
    error(("dist.mixture: logits of shape (%s) and components of shape (%s) with %d event axes; "
      .. "the last axis of logits is the components'"):format(table.concat(l, ", "),
      table.concat(sizes, ", "), event), 2)
  end
  local batch = shape.broadcast("dist.mixture", l, table.move(sizes, 1, axis, 1, {}))
  batch[#batch] = nil
  table.move(sizes, axis + 1, #sizes, #batch + 1, batch)
  return setmetatable({logits = logits, components = components, event = event, shape = batch},
    Mixture)
end

---A mixture of normals along the last axis of three tensors.
---@param logits userdata (..., components)
---@param mean userdata (..., components)
---@param scale userdata (..., components), above 0
---@return Mixture
local function mixture_of_gaussians (logits, mean, scale)
  return (mixture(logits, Normal.new(mean, scale)))
end

return {new = mixture, class = Mixture, gaussians = mixture_of_gaussians}
