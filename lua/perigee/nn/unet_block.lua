-- The parts of a U-Net on channels-last data over one to three axes: residual block told the time,
-- self-attention over all places, and the steps between two resolutions.

local core = require "perigee.core"
local attention = require "perigee.nn.attention"
local conv = require "perigee.nn.conv".conv
local dropout = require "perigee.nn.dropout".dropout
local initialiser = require "perigee.nn.initialiser"
local linear = require "perigee.nn.linear".linear
local modulate = require "perigee.nn.modulate".modulate
local norm = require "perigee.nn.norm".group_norm

local block = {}

---What the parts are told by the net.
---@class UnetShared
---@field axes integer
---@field groups integer
---@field heads integer
---@field embedding integer
---@field scale_shift boolean
---@field dropout number

---A convolution of size 3 that keeps the sizes, or halves them with stride 2.
---@param o UnetShared
---@param inputs integer
---@param outputs integer
---@param rng userdata
---@param given? {stride?: integer, weight?: function}
---@return Conv
function block.conv (o, inputs, outputs, rng, given)
  return conv {
    inputs = inputs, outputs = outputs, size = 3, axes = o.axes, padding = 1, rng = rng,
    stride = given and given.stride, weight = given and given.weight,
  }
end

-- --- residual block ------------------------------------------------------------------------------

---@class UnetResidual
---@field norm1 Norm
---@field conv1 Conv
---@field embed Linear (embedding) -> (outputs), or (2 outputs): scale, then shift
---@field norm2 Norm
---@field conv2 Conv zero at the start
---@field short Linear? where the channels change
local Residual = {}
Residual.__index = Residual

---h = conv1(silu(norm1(x))), then silu(norm2(h + embed(e))) or, as scale and shift,
---silu(norm2(h) (1 + scale) + shift), then dropout and conv2; x is added, or its projection.
---@param x userdata (batch, spatial.., inputs)
---@param e userdata (batch, embedding), activated
---@param rng? userdata|false for the dropout
---@return userdata (batch, spatial.., outputs)
function Residual:__call (x, e, rng)
  local h, told, c = self.conv1(self.norm1(x):silu()), self.embed(e), self.outputs
  if self.scale_shift then
    h = modulate(self.norm2(h), told:slice(2, 1, c), told:slice(2, c + 1, 2 * c))
  else
    local shape = {told.shape[1]}
    for i = 2, #h.shape do shape[i] = 1 end
    shape[#shape] = c
    h = self.norm2(h + told:reshape(shape))
  end
  h = h:silu()
  if self.dropout > 0 then h = dropout(h, self.dropout, rng) end
  return (self.short and self.short(x) or x) + self.conv2(h)
end

---Ho et al. 2020, app. B; scale and shift: Nichol & Dhariwal 2021, sec. 3, and Dhariwal & Nichol
---2021 (AdaGN).
---@param o UnetShared
---@param inputs integer
---@param outputs integer
---@param rng userdata
---@return UnetResidual
function block.residual (o, inputs, outputs, rng)
  return setmetatable({
    outputs = outputs, scale_shift = o.scale_shift, dropout = o.dropout,
    norm1 = norm {channels = inputs, groups = o.groups},
    norm2 = norm {channels = outputs, groups = o.groups},
    conv1 = block.conv(o, inputs, outputs, rng:fork "conv1"),
    conv2 = block.conv(o, outputs, outputs, rng:fork "conv2", {weight = initialiser.zeros()}),
    embed = linear {inputs = o.embedding, outputs = o.scale_shift and 2 * outputs or outputs,
      rng = rng:fork "embed"},
    short = inputs ~= outputs and linear {inputs = inputs, outputs = outputs,
      rng = rng:fork "short"} or nil,
  }, Residual)
end

-- --- attention -----------------------------------------------------------------------------------

---@class UnetAttention
---@field norm Norm
---@field attention Attention whose output is zero at the start
local Attention = {}
Attention.__index = Attention

---x + attention(norm(x)) over all places.
---@param x userdata (batch, spatial.., channels)
---@return userdata of x's shape
function Attention:__call (x)
  local s = x.shape
  return x + self.attention(self.norm(x):reshape(s[1], -1, s[#s])):reshape(s)
end

---@param o UnetShared
---@param channels integer
---@param rng userdata
---@return UnetAttention
function block.attention (o, channels, rng)
  local self = setmetatable({
    norm = norm {channels = channels, groups = o.groups},
    attention = attention {inputs = channels, heads = o.heads, rng = rng},
  }, Attention)
  local last = self.attention.output.weight
  last:assign(core.zeros(last.shape))
  return self
end

-- --- to the next resolution and back -------------------------------------------------------------

---@class UnetUp
---@field conv Conv
local Up = {}
Up.__index = Up

---Each place becomes 2 for each axis, then a convolution.
---@param x userdata (batch, spatial.., channels)
---@return userdata (batch, 2 spatial.., channels)
function Up:__call (x)
  local s, sizes = x.shape, {}
  for i = 2, #s - 1 do sizes[i - 1] = 2 * s[i] end
  return self.conv(core.resize(x, sizes, "nearest"))
end

---@param o UnetShared
---@param channels integer
---@param rng userdata
---@return UnetUp
function block.up (o, channels, rng)
  return setmetatable({conv = block.conv(o, channels, channels, rng)}, Up)
end

return block
