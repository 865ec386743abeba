-- Convolutional layers over channels-last data: (batch, time, channel) for one spatial axis,
-- (batch, height, width, channel) for two; and the masks that make them autoregressive.

local core = require "perigee.core"
local initialiser = require "perigee.nn.initialiser"
local options = require "perigee.options"
local parameter = require "perigee.nn.linear".parameter

local conv = {}

-- One number for every axis, or a list of one for each, as a new list.
local function per_axis (what, name, given, axes, least)
  local list = {}
  if type(given) == "table" and #given ~= axes then
    error(("%s: %s has %d entries for %d spatial axes"):format(what, name, #given, axes), 4)
  end
  for i = 1, axes do
    local n = given
    if type(given) == "table" then n = given[i] end
    if math.type(n) ~= "integer" or n < least then
      error(("%s: %s = %s; want integers of at least %d"):format(what, name, tostring(n), least), 4)
    end
    list[i] = n
  end
  return list
end

-- Checked options of both layers: sizes as lists, defaults filled in.
local function read (what, given, known)
  local o = options.check(what, given, known, 4)
  local axes = type(o.size) == "table" and #o.size or o.axes or 2
  if axes < 1 or axes > 3 then
    error(("%s: %d spatial axes; want 1, 2 or 3"):format(what, axes), 3)
  end
  local groups = o.groups or 1
  for _, name in ipairs {"inputs", "outputs"} do
    if o[name] < 1 or groups < 1 or o[name] % groups ~= 0 then
      error(("%s: %s = %d does not divide into groups = %d"):format(what, name, o[name], groups), 3)
    end
  end
  if type(o.padding) == "string" and o.padding ~= "same" and o.padding ~= "causal" then
    error(("%s: padding = '%s'; want a number, a list, \"same\" or \"causal\""):format(what,
      o.padding), 3)
  end
  return o, axes, {
    size = per_axis(what, "size", o.size, axes, 1),
    stride = per_axis(what, "stride", o.stride or 1, axes, 1),
    dilation = per_axis(what, "dilation", o.dilation or 1, axes, 1),
    groups = groups,
  }
end

-- A filter (size.., inputs / groups, outputs / groups) for each group, side by side, so that a
-- group's fans are its own.
local function draw_weight (o, window)
  local shape, draw = table.move(window.size, 1, #window.size, 1, {}), {}
  local weight, rng = o.weight or initialiser.xavier_uniform(), o.rng:fork "weight"
  shape[#shape + 1] = o.inputs // window.groups
  shape[#shape + 1] = o.outputs // window.groups
  for g = 1, window.groups do draw[g] = weight(rng, shape) end
  return draw, #shape
end

local function draw_bias (o)
  if o.bias == false then return nil end
  local bias = type(o.bias) == "function" and o.bias or initialiser.zeros()
  return parameter(bias(o.rng:fork "bias", {o.outputs}))
end

-- --- padding other than zeros --------------------------------------------------------------------

-- How much to add before and after an axis of n positions.
local function amounts (padding, axis, n, window)
  local stride = window.stride[axis]
  local reach = (window.size[axis] - 1) * window.dilation[axis] + 1
  if padding == "causal" then return reach - 1, 0 end
  if padding == "same" then
    local all = math.max(0, ((n + stride - 1) // stride - 1) * stride + reach - n)
    return all // 2, all - all // 2
  end
  local p = type(padding) == "table" and padding[axis] or padding
  if type(p) == "table" then return p[1], p[2] end
  return p, p
end

local function pad (x, mode, padding, window)
  if not core.pad then error("nn.conv: mode = '" .. mode .. "' needs the operation pad", 3) end
  for axis = 1, #window.size do
    local before, after = amounts(padding, axis, x.shape[axis + 1], window)
    if before > 0 or after > 0 then x = core.pad(x, axis + 1, before, after, mode) end
  end
  return x
end

-- --- convolution ---------------------------------------------------------------------------------

---@class Conv
---@field weight userdata (size.., inputs / groups, outputs)
---@field bias userdata? (outputs)
---@field mask userdata? of weight's shape, 0 or 1
---@field apply fun(x: userdata, w: userdata, b: userdata?): userdata
local Conv = {}
Conv.__index = Conv

---@param x userdata (batch, spatial.., inputs)
---@return userdata (batch, spatial.., outputs)
function Conv:__call (x)
  local weight = self.weight
  if self.mask then weight = weight * self.mask end
  return self.apply(x, weight, self.bias)
end

local modes = {zero = true, reflect = true, replicate = true, circular = true}

local known = {
  inputs = "integer", outputs = "integer", size = "integer|table", axes = "integer?",
  stride = "integer|table?", padding = "integer|table|string?", mode = "string?",
  dilation = "integer|table?", groups = "integer?", rng = "rng", weight = "function?",
  bias = "function|boolean?", mask = "tensor?",
}

---nn.conv { inputs = 3, outputs = 64, size = 3, padding = "same", rng = rng:fork "layer" }
---size: of the filter, a number for all spatial axes (`axes` of them, 2 when absent) or a list of
---one for each; stride, dilation likewise; padding: a number, a list of numbers and pairs {before,
---after}, "same" (the result has ceil(size / stride) positions) or "causal" (all of it in front);
---mode: what is padded, "zero", "reflect", "replicate" or "circular"; groups: channels fall into
---that many parts that do not meet; mask: 0 or 1 for each weight.  weight, bias: as in nn.linear.
---@param given {inputs: integer, outputs: integer, size: integer|integer[], axes?: integer,
---  stride?: integer|integer[], padding?: integer|table|string, mode?: string,
---  dilation?: integer|integer[], groups?: integer, rng: userdata, weight?: function,
---  bias?: function|false, mask?: userdata}
---@return Conv
function conv.conv (given)
  local o, _, window = read("nn.conv", given, known)
  local mode, padding = o.mode or "zero", o.padding or 0
  if not modes[mode] then
    error(("nn.conv: mode = '%s'; want zero, reflect, replicate or circular"):format(mode), 2)
  end
  local _ <close> = core.scope()
  local filters, last = draw_weight(o, window)
  local self = {weight = parameter(core.concat(filters, last)), bias = draw_bias(o)}
  if o.mask then
    local want, got = table.concat(self.weight.shape, ", "), table.concat(o.mask.shape, ", ")
    if want ~= got then
      error(("nn.conv: mask has shape (%s) and the weight (%s); make them equal"):format(got, want),
        2)
    end
    self.mask = o.mask:detach():clone():keep()
  end
  local told = {stride = window.stride, dilation = window.dilation, groups = window.groups}
  if mode == "zero" then told.padding = padding end
  function self.apply (x, w, b)
    if mode ~= "zero" then x = pad(x, mode, padding, window) end
    return core.conv(x, w, b, told)
  end
  return setmetatable(self, Conv)
end

-- --- transposed convolution ----------------------------------------------------------------------

local known_transpose = {
  inputs = "integer", outputs = "integer", size = "integer|table", axes = "integer?",
  stride = "integer|table?", padding = "integer|table|string?", output_padding = "integer|table?",
  dilation = "integer|table?", groups = "integer?", rng = "rng", weight = "function?",
  bias = "function|boolean?",
}

---nn.conv_transpose { inputs = 128, outputs = 64, size = 4, stride = 2, padding = 1, rng = rng }
---The adjoint of the convolution with this size, stride and padding: n positions become
---(n - 1) stride + dilation (size - 1) + 1 - padding before and after + output_padding, or n stride
---when padding is "same" or "causal".  Options as in nn.conv.  Dumoulin & Visin 2016, ch. 4.
---@param given {inputs: integer, outputs: integer, size: integer|integer[], axes?: integer,
---  stride?: integer|integer[], padding?: integer|table|string,
---  output_padding?: integer|integer[], dilation?: integer|integer[], groups?: integer,
---  rng: userdata, weight?: function, bias?: function|false}
---@return Conv its weight is (size.., outputs / groups, inputs)
function conv.conv_transpose (given)
  local o, axes, window = read("nn.conv_transpose", given, known_transpose)
  local _ <close> = core.scope()
  local filters, last = draw_weight(o, window)
  for g, filter in ipairs(filters) do filters[g] = filter:transpose(-2, -1) end
  local self = {weight = parameter(core.concat(filters, last)), bias = draw_bias(o)}
  local told = {
    stride = window.stride, dilation = window.dilation, groups = window.groups,
    padding = o.padding,
  }
  told.output_padding =
    per_axis("nn.conv_transpose", "output_padding", o.output_padding or 0, axes, 0)
  function self.apply (x, w, b) return core.conv_transpose(x, w, b, told) end
  return setmetatable(self, Conv)
end

-- --- masks ---------------------------------------------------------------------------------------

-- The part, of `parts` equal ones, that channel i of n lies in.
local function part (i, n, parts) return (i - 1) * parts // n end

local known_mask = {
  size = "integer|table", axes = "integer?", inputs = "integer", outputs = "integer",
  type = "string", colours = "integer?",
}

---Weights that see only what comes before in raster order, for nn.conv's mask.  Of the position
---itself type "A" shows the colours that come before, type "B" those and the own one; with one
---colour (the default) nothing, or the position.  Channels in and out are split into `colours`
---equal parts in order, red first.  van den Oord et al. 2016, "Pixel Recurrent Neural Networks",
---section 3.4.
---@param given {size: integer|integer[], axes?: integer, inputs: integer, outputs: integer,
---  type: "A"|"B", colours?: integer}
---@return userdata mask (size.., inputs, outputs) of 0 and 1
function conv.pixel_mask (given)
  local o = options.check("nn.pixel_mask", given, known_mask)
  local axes = type(o.size) == "table" and #o.size or o.axes or 2
  local size, colours = per_axis("nn.pixel_mask", "size", o.size, axes, 1), o.colours or 1
  if o.type ~= "A" and o.type ~= "B" then
    error(("nn.pixel_mask: type = '%s'; want \"A\" or \"B\""):format(o.type), 2)
  end
  for _, name in ipairs {"inputs", "outputs"} do
    if o[name] < 1 or colours < 1 or o[name] % colours ~= 0 then
      error(("nn.pixel_mask: %s = %d does not divide into colours = %d"):format(name, o[name],
        colours), 2)
    end
  end
  local taps, shape = 1, {}
  for i = 1, axes do
    if size[i] % 2 == 0 then
      error(("nn.pixel_mask: size %d has no centre; make it odd"):format(size[i]), 2)
    end
    taps, shape[i] = taps * size[i], size[i]
  end
  local flat, own = {}, o.type == "A" and 0 or 1
  for tap = 1, taps do
    local before = 2 * tap - 1 - taps                   -- raster order: the centre gives 0
    for i = 1, o.inputs do
      local colour = part(i, o.inputs, colours)
      for j = 1, o.outputs do
        local seen = before < 0 or (before == 0 and colour < part(j, o.outputs, colours) + own)
        flat[#flat + 1] = seen and 1 or 0
      end
    end
  end
  shape[#shape + 1], shape[#shape + 2] = o.inputs, o.outputs
  return core.tensor(flat):reshape(shape)
end

return conv
