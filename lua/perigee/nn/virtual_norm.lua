-- Virtual batch normalisation: every sample by the statistics of a fixed reference batch and its
-- own, so that the samples of a batch do not know of each other.

local core = require "perigee.core"
local options = require "perigee.options"
local parameter = require "perigee.nn.linear".parameter

---@class VirtualBatchNorm
---@field weight userdata (channels)
---@field bias userdata (channels)
---@field eps number
local Virtual = {}
Virtual.__index = Virtual

local function check (x, name, channels)
  local s = options.is_tensor(x) and x.shape or {}
  if #s < 2 or s[#s] ~= channels or x:count() == 0 then
    error(("nn.virtual_batch_norm: %s is %s; want (batch, ..., %d), not empty"):format(name,
      #s > 0 and "(" .. table.concat(s, ", ") .. ")" or "a " .. options.kind(x), channels), 3)
  end
  return s
end

---Normalise x, and the reference batch by itself, for the next layer: h, r = norm(h, r).  The
---statistics of a sample are those of the batch that the reference and the sample would make.
---@param x userdata (batch, ..., channels)
---@param reference userdata (references, ..., channels) what the same layers made of the images
---  that were chosen once, at the start of training
---@return userdata x normalised
---@return userdata reference normalised
function Virtual:__call (x, reference)
  local s = check(x, "x", self.channels)
  local n = check(reference, "reference", self.channels)[1]
  local moments = core.batch_moments(reference)
  local c = self.channels
  local mean, variance = moments:slice(1, 1, 1), moments:slice(1, 2, 2)
  local flat, beside = x:reshape(s[1], -1, c), {}
  local own_mean = flat:mean(2, true)
  local own_variance = (flat - own_mean):square():mean(2)
  own_mean = own_mean:reshape(s[1], c)
  -- of a mixture: within the parts and between them, which does not cancel as E x^2 - mean^2 does
  local between = (own_mean - mean):square() * (n / (n + 1) ^ 2)
  local all_mean = (mean * n + own_mean) / (n + 1)
  local all_variance = (variance * n + own_variance) / (n + 1) + between
  for i = 1, #s do beside[i] = 1 end
  beside[1], beside[#s] = s[1], c
  local y = (x - all_mean:reshape(beside)) * (all_variance + self.eps):rsqrt():reshape(beside)
  return y * self.weight + self.bias, core.batch_norm(reference, self.weight, self.bias, self.eps)
end

---nn.virtual_batch_norm { channels = 64 }; call it as h, r = norm(h, r) with a reference batch.
---Salimans et al. 2016, "Improved Techniques for Training GANs", sec. 3.5.  eps 1e-5.
---@param given {channels: integer, eps?: number}
---@return VirtualBatchNorm
return function (given)
  local o = options.check("nn.virtual_batch_norm", given, {channels = "integer", eps = "number?"})
  if o.channels < 1 then
    error(("nn.virtual_batch_norm: channels = %d; give at least 1"):format(o.channels), 2)
  end
  local _ <close> = core.scope()
  return setmetatable({
    channels = o.channels, eps = o.eps or 1e-5,
    weight = parameter(core.ones(o.channels)), bias = parameter(core.zeros(o.channels)),
  }, Virtual)
end
