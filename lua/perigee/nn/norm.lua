-- Normalisations of one sample: over its channels, over groups of channels and places, over each
-- channel. None of them depends on the batch, so training and evaluation are the same.

local core = require "perigee.core"
local options = require "perigee.options"
local parameter = require "perigee.nn.linear".parameter

local norm = {}

---@class Norm
---@field weight userdata? (channels)
---@field bias userdata? (channels)
---@field kind string which of the operations
---@field groups integer?
---@field eps number
local Norm = {}
Norm.__index = Norm

---@param x userdata (..., channels); with groups (batch, ..., channels)
---@return userdata of x's shape
function Norm:__call (x)
  if self.kind == "rms" then return core.rms_norm(x, self.weight, self.eps) end
  if self.kind == "layer" then return core.layer_norm(x, self.weight, self.bias, self.eps) end
  return core.group_norm(x, self.weight, self.bias, self.groups, self.eps)
end

-- A constructor `name` of kind `kind`; what it knows besides channels, eps and affine is in `more`.
local function build (name, kind, given, more)
  local known = {channels = "integer", eps = "number?", affine = "boolean?"}
  for k, v in pairs(more or {}) do known[k] = v end
  local o = options.check("nn." .. name, given, known, 4)
  local groups = kind == "instance" and o.channels or o.groups
  if o.channels < 1 then
    error(("nn.%s: channels = %d; give at least 1"):format(name, o.channels), 3)
  end
  if groups and (groups < 1 or o.channels % groups ~= 0) then
    error(("nn.%s: groups = %d does not divide channels = %d"):format(name, groups, o.channels), 3)
  end
  local self = {kind = kind, groups = groups, eps = o.eps or 1e-5}
  if o.affine ~= false then
    local _ <close> = core.scope()
    self.weight = parameter(core.ones(o.channels))
    if kind ~= "rms" then self.bias = parameter(core.zeros(o.channels)) end
  end
  return setmetatable(self, Norm)
end

---nn.layer_norm { channels = 192 }: (x - mean) / sqrt(variance + eps) weight + bias over the last
---axis. Ba, Kiros & Hinton 2016.  eps 1e-5; affine = false leaves weight and bias out.
---@param given {channels: integer, eps?: number, affine?: boolean}
---@return Norm
function norm.layer_norm (given) return build("layer_norm", "layer", given) end

---nn.rms_norm { channels = 192 }: x / sqrt(mean of x^2 + eps) weight.  Zhang & Sennrich 2019.
---@param given {channels: integer, eps?: number, affine?: boolean}
---@return Norm
function norm.rms_norm (given) return build("rms_norm", "rms", given) end

---nn.group_norm { channels = 64, groups = 8 }: over the places and a group's channels of each
---sample. Wu & He 2018.
---@param given {channels: integer, groups: integer, eps?: number, affine?: boolean}
---@return Norm
function norm.group_norm (given)
  return build("group_norm", "group", given, {groups = "integer"})
end

---nn.instance_norm { channels = 64 }: over the places of each sample and channel.
---Ulyanov, Vedaldi & Lempitsky 2016.
---@param given {channels: integer, eps?: number, affine?: boolean}
---@return Norm
function norm.instance_norm (given) return build("instance_norm", "instance", given) end

---x / sqrt(mean of x^2 over the channels + eps), without parameters.  Karras et al. 2018, section
---4.2.
---@param x userdata (..., channels)
---@param eps? number default 1e-8
---@return userdata
function norm.pixel_norm (x, eps) return core.rms_norm(x, 1, eps or 1e-8) end

return norm
