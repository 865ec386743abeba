-- Gradients summed over several small batches, for one step on a large one.

local core = require "perigee.core"
local walk = require "perigee.nn.walk"

---@class Accumulator
---@field count integer gradients added since the last clear
---@field sums userdata[] in the order of the walk
local Accumulator = {}
Accumulator.__index = Accumulator

---Add the gradients of one small batch.
---@param gradients userdata[] as peri.grad(loss, model) returns them
function Accumulator:add (gradients)
  core.fused.accumulate(self.sums, gradients, 1)
  self.count = self.count + 1
end

---One step on the mean of what was added, then start again: the step that the mean of the losses
---would give.  To clip, multiply: sum:step(opt, {scale = optim.clip.norm(sum.sums, k * limit)}).
---@param optimizer table anything with step(gradients, options)
---@param given? {lr?: number, scale?: number} as for the optimizer's step
function Accumulator:step (optimizer, given)
  if self.count == 0 then error("accumulator:step: nothing was added", 2) end
  local o = {}
  for name, v in pairs(given or {}) do o[name] = v end
  o.scale = (o.scale or 1) / self.count
  optimizer:step(self.sums, o)
  self:clear()
end

---Forget what was added.
function Accumulator:clear ()
  for i, s in ipairs(self.sums) do s:assign(core.zeros(self.sums[i].shape)) end
  self.count = 0
end

local function tensors (self)
  local t = {}
  for i, s in ipairs(self.sums) do t["sum." .. self.names[i]] = s end
  return t
end

---A flat table for a checkpoint: count and the sums, which are its own, not copies.
---@return table<string, userdata|number>
function Accumulator:state ()
  local state = tensors(self)
  state.count = self.count
  return state
end

---Put a state back, bit for bit.  An error changes nothing.
---@param state table<string, userdata|number>
function Accumulator:load (state)
  local sums, count = {}, math.tointeger(state.count)
  if not count then
    error(("accumulator:load: the state has count = %s"):format(tostring(state.count)), 2)
  end
  for name, v in pairs(state) do
    if name ~= "count" then sums[name] = v end
  end
  walk.assign("accumulator:load", tensors(self), sums, 3)
  self.count = count
end

---local sum = optim.accumulate(model)
---for _ = 1, k do sum:add(peri.grad(model:loss(next_batch()), model)) end
---sum:step(opt)
---@param target table a model, or a list of tensors or models
---@return Accumulator
return function (target)
  local self = setmetatable({count = 0, sums = {}}, Accumulator)
  self.parameters, self.names = walk.parameters(target)
  for i, p in ipairs(self.parameters) do self.sums[i] = core.zeros(p.shape):keep() end
  return self
end
