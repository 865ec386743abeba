-- Batch normalisation, plain and conditional.  Every call says whether it trains, {train = true} or
-- {train = false}: there is no mode to forget.  The running statistics are constants of the model,
-- so a checkpoint carries them and no optimizer touches them.

local core = require "perigee.core"
local options = require "perigee.options"
local parameter = require "perigee.nn.linear".parameter

---@class BatchNorm
---@field weight userdata? (channels), or (classes, channels) when conditional
---@field bias userdata? of weight's shape
---@field mean userdata (channels), running
---@field variance userdata (channels), running, unbiased
---@field momentum number
---@field eps number
---@field name string
local BatchNorm = {}
BatchNorm.__index = BatchNorm

-- opts.train, which must be said.
local function flag (self, opts)
  local train
  if type(opts) == "table" then train = opts.train end
  if type(train) ~= "boolean" then
    error(("nn.%s: say {train = true} or {train = false} in every call"):format(self.name), 3)
  end
  return train
end

-- Move the running statistics towards those of x.  Ioffe & Szegedy 2015, algorithm 2.
local function track (self, x)
  local _ <close> = core.scope()
  local channels = x.shape[#x.shape]
  local n = x:count() // channels
  local moments = core.batch_moments(x:detach())
  local variance = moments:slice(1, 2, 2):reshape(channels) * (n / math.max(n - 1, 1))
  core.fused.ema({self.mean, self.variance}, {moments:slice(1, 1, 1):reshape(channels), variance},
    1 - self.momentum)
end

-- x normalised without weight and bias.
local function standardise (self, x)
  return (x - self.mean) * (self.variance + self.eps):rsqrt()
end

---Normalise by the batch, and move the running statistics, or by those.
---@param x userdata (batch, ..., channels)
---@param opts {train: boolean}
---@return userdata
function BatchNorm:__call (x, opts)
  if not flag(self, opts) then
    local y = standardise(self, x)
    return self.weight and y * self.weight + self.bias or y
  end
  local y = core.batch_norm(x, self.weight, self.bias, self.eps)
  track(self, x)
  return y
end

local known = {channels = "integer", momentum = "number?", eps = "number?", affine = "boolean?"}

local function build (name, o, level)
  local momentum = o.momentum or 0.1
  if o.channels < 1 or not (momentum >= 0 and momentum <= 1) then
    error(("nn.%s: channels = %d, momentum = %g; want at least 1, and 0 to 1"):format(name,
      o.channels, momentum), level + 1)
  end
  return {
    name = name, momentum = momentum, eps = o.eps or 1e-5,
    mean = core.zeros(o.channels):keep(), variance = core.ones(o.channels):keep(),
  }
end

---nn.batch_norm { channels = 64 }; call it as norm(x, {train = true}).  running <- (1 - momentum)
---running + momentum batch, momentum 0.1; eps 1e-5; affine = false leaves weight and bias out.
---@param given {channels: integer, momentum?: number, eps?: number, affine?: boolean}
---@return BatchNorm
local function batch_norm (given)
  local o = options.check("nn.batch_norm", given, known)
  local _ <close> = core.scope()
  local self = build("batch_norm", o, 2)
  if o.affine ~= false then
    self.weight = parameter(core.ones(o.channels))
    self.bias = parameter(core.zeros(o.channels))
  end
  return setmetatable(self, BatchNorm)
end

---@class ConditionalBatchNorm: BatchNorm
local Conditional = {}
Conditional.__index = Conditional

---@param x userdata (batch, ..., channels)
---@param class userdata index (batch), from 1
---@param opts {train: boolean}
---@return userdata
function Conditional:__call (x, class, opts)
  local train = flag(self, opts)
  local shape = {x.shape[1]}
  for i = 2, #x.shape do shape[i] = i == #x.shape and x.shape[i] or 1 end
  local weight = self.weight:index_select(class, 1):reshape(shape)
  local bias = self.bias:index_select(class, 1):reshape(shape)
  local y = train and core.batch_norm(x, 1, 0, self.eps) or standardise(self, x)
  if train then track(self, x) end
  return y * weight + bias
end

---nn.conditional_batch_norm { channels = 64, classes = 10 }; call it as norm(x, class, {train =
---true}). A weight and a bias for every class.  Dumoulin et al. 2017; Miyato & Koyama 2018.
---@param given {channels: integer, classes: integer, momentum?: number, eps?: number}
---@return ConditionalBatchNorm
local function conditional_batch_norm (given)
  local o = options.check("nn.conditional_batch_norm", given,
    {channels = "integer", classes = "integer", momentum = "number?", eps = "number?"})
  local _ <close> = core.scope()
  local self = build("conditional_batch_norm", o, 2)
  if o.classes < 1 then
    error(("nn.conditional_batch_norm: classes = %d; give at least 1"):format(o.classes), 2)
  end
  self.weight = parameter(core.ones(o.classes, o.channels))
  self.bias = parameter(core.zeros(o.classes, o.channels))
  return setmetatable(self, Conditional)
end

return {batch_norm = batch_norm, conditional_batch_norm = conditional_batch_norm, track = track,
  flag = flag, build = build}
