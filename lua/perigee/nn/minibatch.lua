-- What lets a discriminator see a batch as a whole.

local core = require "perigee.core"
local options = require "perigee.options"
local parameter = require "perigee.nn.linear".parameter

local minibatch = {}

---x with one more channel: the standard deviation over a group of samples, averaged over all
---positions and channels.  Karras et al. 2018, sec. 3.
---@param x userdata (batch, ..., channels)
---@param group? integer samples in one group, a divisor of batch; the whole batch when absent
---@return userdata (batch, ..., channels + 1)
function minibatch.std (x, group)
  local shape = options.is_tensor(x) and x.shape or {}
  local batch = shape[1]
  group = group or batch
  if #shape < 2 or math.type(group) ~= "integer" or group < 1 or batch % group ~= 0 then
    error(("nn.minibatch_std: x is (%s), group is %s; want (batch, ..., channels) and a divisor of "
      .. "batch"):format(table.concat(shape, ", "), tostring(group)), 2)
  end
  local y = x:reshape(group, batch // group, -1)
  local centred = y - y:mean(1, true)
  local std = (centred:square():mean(1) + 1e-8):sqrt():mean(-1)       -- (batch / group)
  local lead = {batch}
  for i = 2, #shape do lead[i] = 1 end
  shape[#shape] = 1
  local column = std:reshape(1, batch // group):expand(group, batch // group):reshape(lead)
  return core.concat({x, column:expand(shape)}, -1)
end

---@class MinibatchDiscrimination
---@field weight userdata (inputs, kernels * size)
---@field kernels integer
---@field size integer
local Discrimination = {}
Discrimination.__index = Discrimination

---x beside o(x)_b = sum over other samples of exp(-|M_b(x) - M_b(other)|_1).  Salimans et al. 2016,
---sec. 3.2.
---@param x userdata (batch, inputs)
---@return userdata (batch, inputs + kernels)
function Discrimination:__call (x)
  local batch = x.shape[1]
  local m = core.matmul(x, self.weight)
  local a = m:reshape(batch, 1, self.kernels, self.size)
  local b = m:reshape(1, batch, self.kernels, self.size)
  local near = core.exp(-core.abs(a - b):sum(-1)):sum(2) - 1
  return core.concat({x, near}, -1)
end

---Features that say how many samples of the batch are near, `kernels` measures of `size` numbers.
---Salimans et al. 2016, sec. 3.2.
---@param given {inputs: integer, kernels: integer, size: integer, rng: userdata}
---@return MinibatchDiscrimination
function minibatch.discrimination (given)
  local o = options.check("nn.minibatch_discrimination", given,
    {inputs = "integer", kernels = "integer", size = "integer", rng = "rng"})
  for _, name in ipairs {"inputs", "kernels", "size"} do
    if o[name] < 1 then
      error(("nn.minibatch_discrimination: %s = %d; it is at least 1"):format(name, o[name]), 2)
    end
  end
  local _ <close> = core.scope()
  local weight = o.rng:fork("weight"):normal(o.inputs, o.kernels * o.size) / math.sqrt(o.inputs)
  return setmetatable({weight = parameter(weight), kernels = o.kernels, size = o.size},
    Discrimination)
end

return minibatch
