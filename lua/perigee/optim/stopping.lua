-- Early stopping (Prechelt 1998): whether a number has not fallen for too long.

local options = require "perigee.options"

---@class Stopping
---@field best number the smallest number so far
---@field bad integer numbers since then
---@field improved boolean the last number was the best: the time to save
local Stopping = {}
Stopping.__index = Stopping

---Report a number; true when it is time to stop.
---@param value number lower is better; NaN counts as no improvement
---@return boolean stop
function Stopping:update (value)
  if type(value) ~= "number" then
    error("stopping:update: give a number, not a " .. options.kind(value), 2)
  end
  self.improved = value < self.best - self.margin
  if self.improved then self.best, self.bad = value, 0 else self.bad = self.bad + 1 end
  return self.bad >= self.patience
end

---A flat table for a checkpoint.
---@return table<string, number>
function Stopping:state ()
  return {best = self.best, bad = self.bad}
end

---Put a state back.
---@param state table<string, number>
function Stopping:load (state)
  if type(state.best) ~= "number" or not math.tointeger(state.bad) then
    error(("stopping:load: the state has best = %s and bad = %s; both are numbers"):format(
      tostring(state.best), tostring(state.bad)), 2)
  end
  self.best, self.bad = state.best, math.tointeger(state.bad)
end

---Stop after `patience` numbers in a row that are not `margin` (0) below the best.
---@param given {patience: integer, margin?: number}
---@return Stopping
return function (given)
  local o = options.check("stopping", given, {patience = "integer", margin = "number?"})
  if o.patience < 1 then
    error(("stopping: patience = %d; it is at least 1"):format(o.patience), 2)
  end
  return setmetatable({
    patience = o.patience, margin = o.margin or 0, best = math.huge, bad = 0, improved = false,
  }, Stopping)
end
