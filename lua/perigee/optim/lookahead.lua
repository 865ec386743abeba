-- Lookahead (Zhang et al. 2019, Algorithm 1): slow weights that follow an optimizer every k steps.

local core = require "perigee.core"
local options = require "perigee.options"
local walk = require "perigee.nn.walk"

---@class Lookahead
---@field inner Optimizer whose lr may be assigned
---@field every integer steps of the inner optimizer between two synchronisations
---@field share number how far the slow weights follow, in (0, 1]
---@field slow userdata[]
local Lookahead = {}
Lookahead.__index = Lookahead

---One step of the inner optimizer; every k-th ends with slow <- slow + share (fast - slow) and
---fast <- slow.
---@param gradients userdata[]
---@param given? {lr?: number, scale?: number}
function Lookahead:step (gradients, given)
  self.inner:step(gradients, given)
  if self.inner.t % self.every == 0 then
    core.fused.ema(self.slow, self.inner.parameters, 1 - self.share)
    for i, p in ipairs(self.inner.parameters) do p:assign(self.slow[i]) end
  end
end

local function tensors (self)
  local t = {}
  for i, s in ipairs(self.slow) do t["slow." .. self.inner.names[i]] = s end
  return t
end

---The inner optimizer's state and the slow weights, for a checkpoint.
---@return table<string, userdata|number>
function Lookahead:state ()
  local state = self.inner:state()
  for name, s in pairs(tensors(self)) do state[name] = s end
  return state
end

---Put a state back, bit for bit.
---@param state table<string, userdata|number>
function Lookahead:load (state)
  local mine, slow, inner = tensors(self), {}, {}
  for name, v in pairs(state) do
    local part = name:find("^slow%.") and slow or inner
    part[name] = v
  end
  local before = {}
  for name, s in pairs(mine) do before[name] = s:detach():clone() end
  walk.assign("lookahead:load", mine, slow, 3)
  local ok, message = pcall(self.inner.load, self.inner, inner)
  if not ok then
    walk.assign("lookahead:load", mine, before)
    error(message, 0)
  end
end

---Wraps an optimizer: its steps are explored by fast weights, and slow weights follow every few.
---@param optimizer Optimizer new: the slow weights begin as its parameters are now
---@param given? {every?: integer, share?: number} 5 and 0.5 when absent
---@return Lookahead
return function (optimizer, given)
  given = options.check("lookahead", given, {every = "integer?", share = "number?"})
  local every, share = given.every or 5, given.share or 0.5
  if type(optimizer) ~= "table" or not optimizer.slots then
    error("lookahead: give an optimizer, not a " .. options.kind(optimizer), 2)
  end
  if every < 1 or not (share > 0 and share <= 1) then
    error(("lookahead: every = %d, share = %g; every is at least 1, share in (0, 1]"):format(every,
      share), 2)
  end
  local self = setmetatable({inner = optimizer, every = every, share = share, slow = {}}, Lookahead)
  for i, p in ipairs(optimizer.parameters) do self.slow[i] = p:detach():clone():keep() end
  return self
end
