-- Equalised learning rate: weights of variance 1, scaled where they are used (Karras et al. 2018,
-- sec. 4.1), so that steps of Adam are as large for every layer.

local core = require "perigee.core"
local options = require "perigee.options"
local parameter = require "perigee.nn.linear".parameter

---@class EqualisedLinear
---@field weight userdata (inputs, outputs), N(0, 1 / rate^2) at first
---@field bias userdata (outputs)
---@field scale number gain rate / sqrt(inputs)
---@field rate number
local Equalised = {}
Equalised.__index = Equalised

---@param x userdata (..., inputs)
---@return userdata (..., outputs)
function Equalised:__call (x)
  return core.linear(x, self.weight * self.scale, self.bias * self.rate)
end

local known = {
  inputs = "integer", outputs = "integer", gain = "number?", rate = "number?", bias = "number?",
  rng = "rng",
}

---x (w gain rate / sqrt(inputs)) + rate b.  rate slows the layer's training (0.01 in StyleGAN's
---mapping; Karras et al. 2019), bias is the first value of rate b.  1, 1 and 0 when absent.
---@param given {inputs: integer, outputs: integer, gain?: number, rate?: number, bias?: number,
---  rng: userdata}
---@return EqualisedLinear
return function (given)
  local o = options.check("nn.equalised_linear", given, known)
  local gain, rate = o.gain or 1, o.rate or 1
  if o.inputs < 1 or o.outputs < 1 then
    error(("nn.equalised_linear: inputs = %d, outputs = %d; both are at least 1"):format(o.inputs,
      o.outputs), 2)
  end
  if rate ~= rate or rate <= 0 then
    error(("nn.equalised_linear: rate = %g; it is above 0"):format(rate), 2)
  end
  local _ <close> = core.scope()
  return setmetatable({
    weight = parameter(o.rng:fork("weight"):normal(o.inputs, o.outputs) / rate),
    bias = parameter(core.full({o.outputs}, (o.bias or 0) / rate)),
    scale = gain * rate / math.sqrt(o.inputs), rate = rate,
  }, Equalised)
end
