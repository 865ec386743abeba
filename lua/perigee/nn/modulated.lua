-- Convolution whose filter is scaled for every sample by a style and brought back to unit
-- deviation.  Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section
-- 2.2.

local core = require "perigee.core"
local conv = require "perigee.nn.conv".conv
local initialiser = require "perigee.nn.initialiser"
local linear = require "perigee.nn.linear".linear
local options = require "perigee.options"

---@class ModulatedConv
---@field conv Conv
---@field style Linear (style) -> (inputs), bias 1 at the start
---@field demodulate boolean
---@field eps number
local Modulated = {}
Modulated.__index = Modulated

local function text (x)
  return options.is_tensor(x) and "(" .. table.concat(x.shape, ", ") .. ")"
    or "a " .. options.kind(x)
end

-- v (batch, n) as it broadcasts to x (batch, spatial.., n).
local function beside (x, v)
  local shape = {v.shape[1]}
  for i = 2, #x.shape do shape[i] = 1 end
  shape[#shape] = v.shape[2]
  return v:reshape(shape)
end

---With w the filter and s = style(v): each sample's own filter w s, over its root sum of squares
---for each output (eq. 1 and 3).  A scale of a filter's input is one of the data and a scale of its
---output one of the result, so one convolution serves the batch.
---@param x userdata (batch, spatial.., inputs)
---@param v userdata (batch, style)
---@return userdata (batch, spatial.., outputs)
function Modulated:__call (x, v)
  local inside, s = self.conv, options.is_tensor(v) and v.shape or {}
  if #s ~= 2 or s[2] ~= self.size or not options.is_tensor(x) or s[1] ~= x.shape[1] then
    error(("nn.modulated_conv: the style is %s for x %s; want (batch, %d)"):format(text(v), text(x),
      self.size), 2)
  end
  local scale, weight = self.style(v), inside.weight
  local y = inside.apply(x * beside(x, scale), weight)
  if self.demodulate then
    local shape = weight.shape
    local squares = weight:square():reshape(-1, shape[#shape - 1], shape[#shape]):sum(1)
    y = y * beside(y, (core.matmul(scale:square(), squares) + self.eps):rsqrt())
  end
  return inside.bias and y + inside.bias or y
end

local known = {
  inputs = "integer", outputs = "integer", size = "integer|table", axes = "integer?",
  stride = "integer|table?", padding = "integer|table|string?", style = "integer",
  demodulate = "boolean?", eps = "number?", weight = "function?", bias = "function|boolean?",
  rng = "rng",
}

---nn.modulated_conv { inputs = 64, outputs = 64, size = 3, style = 128, rng = rng }; conv(x, v).
---demodulate: true when absent, false for the layer that makes colours; padding "same", eps 1e-8,
---weight N(0, 1) when absent; the rest as in nn.conv.
---@param given {inputs: integer, outputs: integer, size: integer|integer[], axes?: integer,
---  stride?: integer|integer[], padding?: integer|table|string, style: integer,
---  demodulate?: boolean, eps?: number, weight?: function, bias?: function|false, rng: userdata}
---@return ModulatedConv
return function (given)
  local o = options.check("nn.modulated_conv", given, known)
  if o.style < 1 then
    error(("nn.modulated_conv: style = %d; it is at least 1"):format(o.style), 2)
  end
  return setmetatable({
    size = o.style, demodulate = o.demodulate ~= false, eps = o.eps or 1e-8,
    conv = conv {
      inputs = o.inputs, outputs = o.outputs, size = o.size, axes = o.axes, stride = o.stride,
      padding = o.padding or "same", weight = o.weight or initialiser.normal(), bias = o.bias,
      rng = o.rng,
    },
    style = linear {inputs = o.style, outputs = o.inputs, bias = initialiser.constant(1),
      rng = o.rng:fork "style"},
  }, Modulated)
end
