-- Averages of parameters over training, and their use in place of the parameters (Polyak & Juditsky
-- 1992).

local core = require "perigee.core"
local options = require "perigee.options"
local walk = require "perigee.nn.walk"

---@class Ema
---@field kind "constant"|"warmup"|"halflife"|"power"|"mean"
---@field decay number
---@field t integer updates made
---@field parameters userdata[]
---@field averages userdata[]
---@field swapped boolean the averages stand in the model
local Ema = {}
Ema.__index = Ema

-- The decay of update t = 1, 2, ... for each kind.
local decays = {
  constant = function (self) return self.decay end,
  warmup = function (self, t) return math.min(self.decay, t / (9 + t)) end,
  halflife = function (self, t) return 0.5 ^ (1 / math.min(self.halflife, t * self.ramp)) end,
  power = function (self, t) return (1 - 1 / t) ^ (self.power + 1) end,
  mean = function (_, t) return (t - 1) / t end,
}

---Move the averages towards the parameters: a <- a + (1 - decay) (p - a).
function Ema:update ()
  if self.swapped then error("ema:update: the averages are in the model; swap back first", 2) end
  core.fused.ema(self.averages, self.parameters, decays[self.kind](self, self.t + 1))
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

local function new (target, self)
  setmetatable(self, Ema)
  self.t, self.swapped, self.averages = 0, false, {}
  core.fused.ema({}, {}, self.decay or 0)
  self.parameters, self.names = walk.parameters(target)
  for i, p in ipairs(self.parameters) do self.averages[i] = p:detach():clone():keep() end
  return self
end

-- The exponent whose averages are `std` wide, as a share of the time so far: the positive root of
-- std^2 = (x + 1) / ((x + 2)^2 (x + 3)).  Karras et al. 2024, eq. 127.
local function exponent_of (std)
  local low, high = 0, 1
  local function width (x) return math.sqrt((x + 1) / (x + 3)) / (x + 2) end
  while width(high) > std do high = 2 * high end
  for _ = 1, 200 do
    local middle = (low + high) / 2
    if width(middle) > std then low = middle else high = middle end
  end
  return (low + high) / 2
end

local known = {
  decay = "number?", warmup = "boolean?", halflife = "number?", ramp = "number?", power = "number?",
  std = "number?",
}

local function check_rate (given)
  local named = {}
  for _, name in ipairs {"decay", "halflife", "power", "std"} do
    if given[name] then named[#named + 1] = name end
  end
  if #named > 1 then
    error(("ema: %s and %s both set the rate; give one"):format(named[1], named[2]), 3)
  end
  if given.warmup and #named == 1 and named[1] ~= "decay" or given.ramp and not given.halflife then
    error("ema: warmup goes with decay, and ramp with halflife", 3)
  end
  for _, name in ipairs {"halflife", "ramp", "power"} do
    local v = given[name]
    if v and not (v > 0 and v < math.huge) then
      error(("ema: %s is %g; it is above 0"):format(name, v), 3)
    end
  end
  if given.std and not (given.std > 0 and given.std <= 0.28) then
    error(("ema: std is %g; it is in (0, 0.28]"):format(given.std), 3)
  end
end

local ema = {}

---Exponential averages of a model's parameters, which start as the parameters are now.  One of
---decay    0.999 when absent; with warmup at most t / (9 + t) at update t, so that early averages
---         forget the first parameters;
---halflife in updates, at most ramp t (0.05 when absent; Karras et al. 2022, app. F.2 in images);
---power    the exponent x of the decay (1 - 1/t)^(x + 1), whose average has the same profile at
---         every t (Karras et al. 2024, eq. 121);
---std      the width of that profile as a share of t, 0.05 or 0.1, from which x follows.
---@param target table a model, or a list of tensors or models
---@param given? {decay?: number, warmup?: boolean, halflife?: number, ramp?: number,
---  power?: number, std?: number}
---@return Ema
function ema.ema (target, given)
  given = options.check("ema", given, known)
  check_rate(given)
  if given.power or given.std then
    return new(target, {kind = "power", power = given.power or exponent_of(given.std)})
  end
  if given.halflife then
    return new(target, {kind = "halflife", halflife = given.halflife, ramp = given.ramp or 0.05})
  end
  return new(target, {kind = given.warmup and "warmup" or "constant", decay = given.decay or 0.999})
end

---Stochastic weight averaging: the mean of the parameters at every update; call update at the ends
---of a cyclical or constant schedule (Izmailov et al. 2018, Algorithm 1).  Running statistics of
---batch normalisation must be gathered anew with the averages in the model.
---@param target table a model, or a list of tensors or models
---@return Ema
function ema.swa (target)
  return new(target, {kind = "mean"})
end

return ema
