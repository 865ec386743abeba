-- Normalisations that are steps of a flow: they return log |det dy/dx| of every sample, and invert.

local core = require "perigee.core"
local options = require "perigee.options"
local parameter = require "perigee.nn.linear".parameter
local batch = require "perigee.nn.batch_norm"

-- (batch): what each place of a sample adds, times the places.
local function log_det (x, sum)
  local places = x:count() // math.max(x.shape[1] * x.shape[#x.shape], 1)
  return (sum * places):reshape(1):expand(x.shape[1])
end

local function check_channels (name, channels)
  if channels < 1 then
    error(("nn.%s: channels = %d; give at least 1"):format(name, channels), 3)
  end
end

---@class ActNorm
---@field bias userdata (channels)
---@field log_scale userdata (channels)
local ActNorm = {}
ActNorm.__index = ActNorm

---@param x userdata (batch, ..., channels)
---@return userdata y (x + bias) e^log_scale
---@return userdata log_det (batch)
function ActNorm:__call (x)
  return (x + self.bias) * self.log_scale:exp(), log_det(x, self.log_scale:sum())
end

---Inverse of the call.
---@param y userdata
---@return userdata x
function ActNorm:inverse (y)
  return y * (-self.log_scale):exp() - self.bias
end

---Set bias and scale so that y has mean 0 and variance 1 on this batch.  A flow is initialised from
---its first step on: initialise, pass the batch through, go to the next.
---@param x userdata (batch, ..., channels)
function ActNorm:initialise (x)
  local _ <close> = core.scope()
  local moments = core.batch_moments(x:detach())
  self.bias:assign(-moments:slice(1, 1, 1):reshape(-1))
  self.log_scale:assign((moments:slice(1, 2, 2):reshape(-1) + 1e-6):log() * -0.5)
end

---nn.actnorm { channels = 12 }: a scale and a shift a channel; :initialise(x) fits them to a batch.
---Kingma & Dhariwal 2018, section 3.1.
---@param given {channels: integer}
---@return ActNorm
local function actnorm (given)
  local o = options.check("nn.actnorm", given, {channels = "integer"})
  check_channels("actnorm", o.channels)
  local _ <close> = core.scope()
  return setmetatable({
    bias = parameter(core.zeros(o.channels)), log_scale = parameter(core.zeros(o.channels)),
  }, ActNorm)
end

---@class FlowBatchNorm: BatchNorm
---@field log_scale userdata (channels)
---@field bias userdata (channels)
local FlowBatchNorm = {}
FlowBatchNorm.__index = FlowBatchNorm

---y = (x - mean) / sqrt(variance + eps) e^log_scale + bias, with the batch's statistics in training
---(which moves the running ones) and the running ones otherwise.
---@param x userdata (batch, ..., channels)
---@param opts {train: boolean}
---@return userdata y
---@return userdata log_det (batch)
function FlowBatchNorm:__call (x, opts)
  local scale, variance = self.log_scale:exp(), self.variance
  local y
  if batch.flag(self, opts) then
    y = core.batch_norm(x, scale, self.bias, self.eps)
    variance = core.batch_moments(x):slice(1, 2, 2):reshape(-1)
    batch.track(self, x)
  else
    y = (x - self.mean) * ((variance + self.eps):rsqrt() * scale) + self.bias
  end
  return y, log_det(x, (self.log_scale - (variance + self.eps):log() * 0.5):sum())
end

---Inverse of the call with {train = false}.
---@param y userdata
---@return userdata x
function FlowBatchNorm:inverse (y)
  local back = (self.variance + self.eps):sqrt() * (-self.log_scale):exp()
  return (y - self.bias) * back + self.mean
end

---nn.flow_batch_norm { channels = 6 }; y, log_det = norm(x, {train = true}).  Dinh, Sohl-Dickstein
---& Bengio 2017, section 3.7 and appendix E; momentum 0.1 and eps 1e-5 when absent.
---@param given {channels: integer, momentum?: number, eps?: number}
---@return FlowBatchNorm
local function flow_batch_norm (given)
  local o = options.check("nn.flow_batch_norm", given,
    {channels = "integer", momentum = "number?", eps = "number?"})
  local _ <close> = core.scope()
  local self = batch.build("flow_batch_norm", o, 2)
  self.log_scale = parameter(core.zeros(o.channels))
  self.bias = parameter(core.zeros(o.channels))
  return setmetatable(self, FlowBatchNorm)
end

return {actnorm = actnorm, flow_batch_norm = flow_batch_norm}
