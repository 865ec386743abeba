-- What every optimizer shares: its parameters by name, groups of them, its state tensors, one step,
-- state and load.
-- A subclass gives `update(self, gradients, t)`, which calls the fused kernel.

local core = require "perigee.core"
local options = require "perigee.options"
local walk = require "perigee.nn.walk"

---@class Optimizer
---@field lr number step size, may be assigned
---@field t integer steps taken
---@field parameters userdata[] in the order of the walk
---@field names string[]
---@field slots table<string, userdata[]> state tensors, one per parameter
---@field options table what the fused kernel is told
local Optimizer = {}
Optimizer.__index = Optimizer

---A class of optimizers.
---@param update fun(self: Optimizer, gradients: userdata[], t: integer)
function Optimizer.class (update)
  local class = setmetatable({update = update}, Optimizer)
  class.__index = class
  return class
end

---A list of zero tensors shaped like those of `list`, which no scope frees.
---@param list userdata[]
---@return userdata[]
local function zeros_like (list)
  local zeros = {}
  for i, x in ipairs(list) do zeros[i] = core.zeros(x.shape):keep() end
  return zeros
end

local known_group = {match = "string?", lr = "number?", decay = "number?"}

-- The numbers of the parameters that a group names, as keys.
local function members (self, group, which)
  local listed, options_only, found = {}, {}, {}
  for k, v in pairs(group) do
    if math.type(k) == "integer" then listed[k] = v else options_only[k] = v end
  end
  options.check(which, options_only, known_group, 5)
  local wanted = {}
  if next(listed) then
    for _, x in ipairs((walk.parameters(listed))) do wanted[x] = true end
  end
  for i, x in ipairs(self.parameters) do
    if wanted[x] or (group.match and self.names[i]:find(group.match)) then found[i] = true end
    wanted[x] = nil
  end
  if next(wanted) then
    error(which .. " has a parameter that the optimizer does not train", 4)
  end
  if not next(found) then error(which .. " names no parameter", 4) end
  return found
end

-- Groups as the kernel wants them: a factor of lr and a decay for every parameter.
local function apply_groups (self, groups, may_decay)
  local o, rates, decays, owner = self.options, {}, {}, {}
  for i = 1, #self.parameters do rates[i], decays[i] = 1, o.decay end
  for j, group in ipairs(groups) do
    local which = ("%s: group %d"):format(self.what, j)
    if type(group) ~= "table" then error(which .. " is no table", 3) end
    if group.decay and not may_decay then
      error(which .. " has a decay, which this optimizer lacks; use adamw", 3)
    end
    for _, name in ipairs {"lr", "decay"} do
      local v = group[name]
      if type(v) == "number" and not (v >= 0 and v < math.huge) then
        error(("%s: %s is %g; give a finite number >= 0"):format(which, name, v), 3)
      end
    end
    if group.lr and o.lr <= 0 then error(which .. " has an lr relative to lr = 0", 3) end
    for i in pairs(members(self, group, which)) do
      if owner[i] then
        error(("%s and group %d both hold '%s'"):format(which, owner[i], self.names[i]), 3)
      end
      owner[i] = j
      rates[i], decays[i] = (group.lr or o.lr) / o.lr, group.decay or o.decay
    end
  end
  o.rates, o.decays = rates, decays
end

---Groups are entries of the option `groups`: {part, part, .., match = pattern, lr =, decay =},
---parts being tensors or modules of the target and match a pattern of names in the walk.  What a
---group does not say, and parameters in no group, follow the optimizer.  A group's lr is relative:
---when a schedule halves the optimizer's lr, the group's is halved.
---@class OptimizerGroup
---@field match? string such as "bias$"
---@field lr? number
---@field decay? number

---An optimizer of a class, with its state tensors at zero.
---@param class table from Optimizer.class
---@param what string name for messages
---@param target table a model, or a list of tensors or models
---@param given table the kernel's options with lr; checked here by a step on nothing; no decay
---  when there is none
---@param slots string[] names of the state tensors
---@param groups? OptimizerGroup[]
---@return Optimizer
function Optimizer.new (class, what, target, given, slots, groups)
  local self = setmetatable({what = what, lr = given.lr, t = 0, options = given, slots = {}}, class)
  local may_decay = given.decay ~= nil
  given.scale, given.decay = 1, given.decay or 0
  self.parameters, self.names = {}, {}
  for _, name in ipairs(slots) do self.slots[name] = {} end
  self:update({}, 1)
  self.parameters, self.names = walk.parameters(target)
  if #self.parameters == 0 then
    error(what .. ": there is nothing to train: no tensor with requires_grad", 3)
  end
  if groups then
    apply_groups(self, groups, may_decay)
  end
  for _, name in ipairs(slots) do self.slots[name] = zeros_like(self.parameters) end
  return self
end

local known = {lr = "number?", scale = "number?"}

---Update every parameter in place from its gradient.
---@param gradients userdata[] as peri.grad(loss, model) returns them
---@param given? {lr?: number, scale?: number} for this step only; scale multiplies the gradients
function Optimizer:step (gradients, given)
  local o = self.options
  o.lr, o.scale = self.lr, 1
  if given then
    options.check(self.what .. ":step", given, known)
    o.lr, o.scale = given.lr or self.lr, given.scale or 1
  end
  if type(gradients) ~= "table" or #gradients ~= #self.parameters then
    error(("%s:step: give %d gradients, one per parameter, not %s"):format(self.what,
      #self.parameters, type(gradients) == "table" and tostring(#gradients) or type(gradients)), 2)
  end
  self:update(gradients, self.t + 1)
  self.t = self.t + 1
end

local function slot_tensors (self)
  local tensors = {}
  for slot, list in pairs(self.slots) do
    for i, x in ipairs(list) do tensors[slot .. "." .. self.names[i]] = x end
  end
  return tensors
end

---A flat table for a checkpoint: numbers t and lr, and tensors such as "m.encoder.1.weight", which
---are the optimizer's own, not copies.
---@return table<string, userdata|number>
function Optimizer:state ()
  local state = slot_tensors(self)
  state.t, state.lr = self.t, self.lr
  return state
end

---Put a state back, bit for bit.  An error changes nothing.
---@param state table<string, userdata|number>
function Optimizer:load (state)
  local tensors, t, lr = {}, math.tointeger(state.t), state.lr
  if not t or type(lr) ~= "number" then
    error(("%s:load: the state has t = %s and lr = %s; both are numbers"):format(self.what,
      tostring(state.t), tostring(lr)), 2)
  end
  for name, v in pairs(state) do
    if name ~= "t" and name ~= "lr" then tensors[name] = v end
  end
  walk.assign(self.what .. ":load", slot_tensors(self), tensors, 3)
  self.t, self.lr = t, lr
end

return Optimizer
