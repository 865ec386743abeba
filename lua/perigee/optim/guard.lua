-- A guard against divergence: copies of the last good state, put back when the loss is no number or
-- far above what it was.

local options = require "perigee.options"
local walk = require "perigee.nn.walk"

---@class Guard
---@field every integer good losses between two copies
---@field limit number a loss above this is bad
---@field good integer good losses since the last copy
---@field rollbacks integer
local Guard = {}
Guard.__index = Guard

local function state_of (thing)
  return type(thing.state) == "function" and thing:state() or walk.state(thing)
end

local function copy (state)
  local c = {}
  for name, v in pairs(state) do
    c[name] = options.is_tensor(v) and v:detach():clone():keep() or v
  end
  return c
end

---Tell the guard the loss, after it is known and before the step.  A good one may cause a copy; a
---bad one puts the last copy back into everything guarded.
---@param loss number
---@return boolean good false when the copy was put back: leave out this step
function Guard:check (loss)
  if type(loss) ~= "number" then
    error("guard:check: give the loss as a number, not a " .. options.kind(loss), 2)
  end
  if math.abs(loss) < math.huge and loss <= self.limit then
    self.good = self.good + 1
    if self.good >= self.every then
      for i, thing in ipairs(self.things) do self.copies[i] = copy(state_of(thing)) end
      self.good = 0
    end
    return true
  end
  for i, thing in ipairs(self.things) do
    if type(thing.load) == "function" then thing:load(self.copies[i])
    else walk.load(thing, self.copies[i]) end
  end
  self.rollbacks, self.good = self.rollbacks + 1, 0
  return false
end

---local guard = optim.guard({model, opt}, {every = 100})
---if guard:check(loss:item()) then opt:step(gradients) end
---The copies are not part of a checkpoint: a resumed run begins with a copy of what it loaded.
---@param things table[] models, optimizers, moving averages: whatever changes together
---@param given? {every?: integer, limit?: number} every 100 and no limit when absent
---@return Guard
return function (things, given)
  given = options.check("guard", given, {every = "integer?", limit = "number?"})
  local every = given.every or 100
  if type(things) ~= "table" or #things == 0 then
    error("guard: give a list of models and optimizers", 2)
  end
  if every < 1 then error(("guard: every = %d; it is at least 1"):format(every), 2) end
  local self = setmetatable({
    things = things, every = every, limit = given.limit or math.huge, good = 0, rollbacks = 0,
    copies = {},
  }, Guard)
  for i, thing in ipairs(things) do self.copies[i] = copy(state_of(thing)) end
  return self
end
