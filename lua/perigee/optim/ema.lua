-- Moving averages of parameters, and their use in place of the parameters (Polyak & Juditsky 1992).

local core = require "perigee.core"
local options = require "perigee.options"
local walk = require "perigee.nn.walk"

---@class Ema
---@field decay number
---@field t integer updates made
---@field parameters userdata[]
---@field averages userdata[]
---@field swapped boolean the averages stand in the model
local Ema = {}
Ema.__index = Ema

---Move the averages towards the parameters: a <- a + (1 - decay) (p - a).  With warmup, decay is at
---most (1 + t) / (10 + t), so that early averages forget the first parameters.
function Ema:update ()
  if self.swapped then error("ema:update: the averages are in the model; swap back first", 2) end
  local decay = self.decay
  if self.warmup then decay = math.min(decay, (1 + self.t) / (10 + self.t)) end
  core.fused.ema(self.averages, self.parameters, decay)
  self.t = self.t + 1
end

---Exchange averages and parameters in the model.  Twice gives back what was.
function Ema:swap ()
  core.fused.swap(self.parameters, self.averages)
  self.swapped = not self.swapped
end

---Call f(...) with the averages in the model, and put the parameters back whatever happens.
---@param f fun(...): ...
---@return ... what f returns
function Ema:with (f, ...)
  if self.swapped then return f(...) end
  self:swap()
  local results = table.pack(pcall(f, ...))
  self:swap()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

local function tensors (self)
  local t = {}
  for i, a in ipairs(self.averages) do t["average." .. self.names[i]] = a end
  return t
end

---A flat table for a checkpoint: the number t and the averages, which are its own, not copies.
---@return table<string, userdata|number>
function Ema:state ()
  if self.swapped then error("ema:state: the averages are in the model; swap back first", 2) end
  local state = tensors(self)
  state.t = self.t
  return state
end

---Put a state back, bit for bit.  An error changes nothing.
---@param state table<string, userdata|number>
function Ema:load (state)
  if self.swapped then error("ema:load: the averages are in the model; swap back first", 2) end
  local averages, t = {}, math.tointeger(state.t)
  if not t then error(("ema:load: the state has t = %s"):format(tostring(state.t)), 2) end
  for name, v in pairs(state) do
    if name ~= "t" then averages[name] = v end
  end
  walk.assign("ema:load", tensors(self), averages, 3)
  self.t = t
end

---Averages of a model's parameters, which start as the parameters are now.
---@param target table a model, or a list of tensors or models
---@param given? {decay?: number, warmup?: boolean} decay 0.999, warmup false when absent
---@return Ema
return function (target, given)
  given = options.check("ema", given, {decay = "number?", warmup = "boolean?"})
  local self = setmetatable({
    decay = given.decay or 0.999, warmup = given.warmup or false, t = 0, swapped = false,
    averages = {},
  }, Ema)
  core.fused.ema({}, {}, self.decay)
  self.parameters, self.names = walk.parameters(target)
  for i, p in ipairs(self.parameters) do self.averages[i] = p:detach():clone():keep() end
  return self
end
