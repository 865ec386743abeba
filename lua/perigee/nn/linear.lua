-- An affine layer: y = x w + b on the last axis.

local core = require "perigee.core"
local initialiser = require "perigee.nn.initialiser"
local options = require "perigee.options"

---@class Linear
---@field weight userdata (inputs, outputs)
---@field bias userdata? (outputs)
local Linear = {}
Linear.__index = Linear

---@param x userdata (..., inputs)
---@return userdata (..., outputs)
function Linear:__call (x)
  if self.bias then return core.linear(x, self.weight, self.bias) end
  return core.matmul(x, self.weight)
end

---Make a leaf of a tensor: training changes it, and no scope frees it.
---@param x userdata
---@return userdata
local function parameter (x)
  return x:detach():clone():requires_grad(true):keep()
end

local known = {
  inputs = "integer", outputs = "integer", rng = "rng", weight = "function?",
  bias = "function|boolean?",
}

---nn.linear { inputs = 784, outputs = 200, rng = rng:fork "layer" } weight: initialiser, Xavier
---uniform when absent (Glorot & Bengio 2010); bias: initialiser, zeros when absent, false for none.
---Weight and bias draw from forks of rng.
---@param given {inputs: integer, outputs: integer, rng: userdata, weight?: function,
---  bias?: function|false}
---@return Linear
local function linear (given)
  local o = options.check("nn.linear", given, known)
  if o.inputs < 1 or o.outputs < 1 then
    error(("nn.linear: inputs = %d, outputs = %d; both are at least 1"):format(o.inputs,
      o.outputs), 2)
  end
  local _ <close> = core.scope()
  local weight = o.weight or initialiser.xavier_uniform()
  local self = {weight = parameter(weight(o.rng:fork "weight", {o.inputs, o.outputs}))}
  if o.bias ~= false then
    local bias = type(o.bias) == "function" and o.bias or initialiser.zeros()
    self.bias = parameter(bias(o.rng:fork "bias", {o.outputs}))
  end
  return setmetatable(self, Linear)
end

return {linear = linear, parameter = parameter, Linear = Linear}
