-- Extragradient: a step to look ahead, and the real step from where one was with the gradient found
-- there (Korpelevich 1976; with Adam, Gidel et al. 2019, Algorithm 4).

local options = require "perigee.options"

---@class Extragradient
---@field inner Optimizer whose lr may be assigned; it counts both half steps
---@field origin userdata[] where the parameters were, while they look ahead
---@field away boolean
local Extragradient = {}
Extragradient.__index = Extragradient

---Move the parameters to where the inner optimizer's step leads.  Every player of a game looks
---ahead before any takes gradients again.
---@param gradients userdata[] at the parameters
---@param given? {lr?: number, scale?: number}
function Extragradient:look (gradients, given)
  if self.away then error("extragradient:look: the parameters look ahead already; step", 2) end
  local saved = {}
  for i, p in ipairs(self.inner.parameters) do saved[i] = p:detach():clone():keep() end
  self.inner:step(gradients, given)
  self.origin, self.away = saved, true
end

---Go back, and step with the gradients found ahead.
---@param gradients userdata[] at the parameters that looked ahead
---@param given? {lr?: number, scale?: number}
function Extragradient:step (gradients, given)
  if not self.away then error("extragradient:step: look ahead first", 2) end
  local ahead = {}
  for i, p in ipairs(self.inner.parameters) do
    ahead[i] = p:detach():clone()
    p:assign(self.origin[i])
  end
  local ok, message = pcall(self.inner.step, self.inner, gradients, given)
  if not ok then
    for i, p in ipairs(self.inner.parameters) do p:assign(ahead[i]) end
    error(message, 0)
  end
  self.origin, self.away = nil, false
end

---The inner optimizer's state, between whole steps.
---@return table<string, userdata|number>
function Extragradient:state ()
  if self.away then error("extragradient:state: the parameters look ahead; step first", 2) end
  return self.inner:state()
end

---Put a state of the inner optimizer back.  An error changes nothing.
---@param state table<string, userdata|number>
function Extragradient:load (state)
  if self.away then error("extragradient:load: the parameters look ahead; step first", 2) end
  self.inner:load(state)
end

---local opt = optim.extragradient(optim.adam(model))
---opt:look(peri.grad(loss(), model))
---opt:step(peri.grad(loss(), model))
---@param optimizer Optimizer
---@return Extragradient
return function (optimizer)
  if type(optimizer) ~= "table" or not optimizer.slots then
    error("extragradient: give an optimizer, not a " .. options.kind(optimizer), 2)
  end
  return setmetatable({inner = optimizer, away = false}, Extragradient)
end
