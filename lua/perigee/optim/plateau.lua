-- A step size that falls when a number, such as the validation loss, has stopped falling.

local options = require "perigee.options"

---@class Plateau
---@field lr number the step size now
---@field best number the smallest number so far
---@field bad integer numbers since then
---@field rest integer numbers to ignore after a fall
local Plateau = {}
Plateau.__index = Plateau

---Report a number; the answer is the step size from now on.
---@param value number lower is better; NaN counts as no improvement
---@return number lr
function Plateau:update (value)
  if type(value) ~= "number" then
    error("plateau:update: give a number, not a " .. options.kind(value), 2)
  end
  if value < self.best - self.margin then
    self.best, self.bad = value, 0
  elseif self.rest == 0 then
    self.bad = self.bad + 1
  end
  if self.rest > 0 then self.rest = self.rest - 1 end
  if self.bad > self.patience then
    self.lr = math.max(self.lr * self.factor, self.final)
    self.bad, self.rest = 0, self.cooldown
  end
  return self.lr
end

---A flat table for a checkpoint.
---@return table<string, number>
function Plateau:state ()
  return {lr = self.lr, best = self.best, bad = self.bad, rest = self.rest}
end

---Put a state back.
---@param state table<string, number>
function Plateau:load (state)
  for _, name in ipairs {"lr", "best", "bad", "rest"} do
    if type(state[name]) ~= "number" then
      error(("plateau:load: the state has %s = %s"):format(name, tostring(state[name])), 2)
    end
  end
  self.lr, self.best = state.lr, state.best
  self.bad, self.rest = math.tointeger(state.bad), math.tointeger(state.rest)
end

local known = {
  lr = "number", factor = "number?", patience = "integer?", margin = "number?", final = "number?",
  cooldown = "integer?",
}

---lr is multiplied by factor (0.1) after more than `patience` (10) numbers in a row that are not
---`margin` (0) below the best; then `cooldown` (0) numbers are not counted.  Never below `final`
---(0).  opt.lr = plateau:update(validation_loss).
---@param given {lr: number, factor?: number, patience?: integer, margin?: number, final?: number,
---  cooldown?: integer}
---@return Plateau
return function (given)
  local o = options.check("plateau", given, known)
  local factor, patience, cooldown = o.factor or 0.1, o.patience or 10, o.cooldown or 0
  if not (factor > 0 and factor < 1) then
    error(("plateau: factor = %g; it is in (0, 1)"):format(factor), 2)
  end
  if patience < 0 or cooldown < 0 then
    error(("plateau: patience = %d, cooldown = %d; both are at least 0"):format(patience,
      cooldown), 2)
  end
  return setmetatable({
    lr = o.lr, factor = factor, patience = patience, cooldown = cooldown, margin = o.margin or 0,
    final = o.final or 0, best = math.huge, bad = 0, rest = 0,
  }, Plateau)
end
