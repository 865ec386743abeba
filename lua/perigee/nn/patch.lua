-- The patch discriminator: a convolutional net whose every output judges one patch of the image.
-- Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks", sec. 3.2.2
-- and app. 6.1.2.

local batch_norm = require "perigee.nn.batch_norm".batch_norm
local conv = require "perigee.nn.conv".conv
local core = require "perigee.core"
local initialiser = require "perigee.nn.initialiser"
local norm = require "perigee.nn.norm"
local options = require "perigee.options"

---@class PatchDiscriminator
---@field field integer side of the patch that an output sees, 70 with 3 layers
---@field convs Conv[]
---@field norms table[] of all convolutions but the first and the last
local Patch = {}
Patch.__index = Patch

---@param x userdata (batch, height, width, inputs), both at least 3 * 2^layers
---@param opts? {train: boolean} wanted by norm = "batch"
---@return userdata logits (batch, height / 2^layers - 2, width / 2^layers - 2, 1)
function Patch:__call (x, opts)
  local s = options.is_tensor(x) and x.shape or {}
  if #s ~= 4 or s[4] ~= self.inputs or s[2] < self.least or s[3] < self.least then
    error(("nn.patch_discriminator: x is %s; want (batch, height, width, %d) of at least %d by %d")
      :format(#s > 0 and "(" .. table.concat(s, ", ") .. ")" or "a " .. options.kind(x),
      self.inputs, self.least, self.least), 2)
  end
  local last = #self.convs
  for i, layer in ipairs(self.convs) do
    x = layer(x)
    if i == last then return x end
    if self.norms and i > 1 then x = self.norms[i - 1](x, opts) end
    x = core.leaky_relu(x, 0.2)
  end
end

local makers = {
  batch = function (channels) return batch_norm {channels = channels} end,
  instance = function (channels) return norm.instance_norm {channels = channels} end,
}

local known = {
  inputs = "integer", width = "integer?", layers = "integer?", norm = "string?",
  weight = "function?", rng = "rng",
}

-- Side of what one output of the convolutions sees: from the last backwards, a filter of 4 on
-- places `stride` apart.
local function receptive_field (strides)
  local field = 1
  for i = #strides, 1, -1 do field = (field - 1) * strides[i] + 4 end
  return field
end

---nn.patch_discriminator { inputs = 6, rng = rng:fork "judge" }: 4 x 4 convolutions, `layers` (3)
---of stride 2 and two of stride 1, of width (64), 2 width, .. up to 8 width channels, leaky
---rectifiers of slope 0.2 between.  norm: "instance" (default), "batch" or "none"; not "batch"
---where the loss has a penalty on gradients.  weight: initialiser, N(0, 0.02^2) when absent.  To
---judge pairs concatenate them along the channels.
---@param given {inputs: integer, width?: integer, layers?: integer, norm?: string,
---  weight?: function, rng: userdata}
---@return PatchDiscriminator
return function (given)
  local o = options.check("nn.patch_discriminator", given, known)
  local width, layers, kind = o.width or 64, o.layers or 3, o.norm or "instance"
  for name, v in pairs {inputs = o.inputs, width = width, layers = layers} do
    if v < 1 then
      error(("nn.patch_discriminator: %s = %d; it is at least 1"):format(name, v), 2)
    end
  end
  if kind ~= "none" and not makers[kind] then
    error(("nn.patch_discriminator: norm = '%s'; want instance, batch or none"):format(kind), 2)
  end
  local self, strides, h = {convs = {}, norms = kind ~= "none" and {} or nil}, {}, o.inputs
  for i = 1, layers + 2 do
    local last = i == layers + 2
    local outputs = last and 1 or width << math.min(i - 1, 3)
    local normed = self.norms and i > 1 and not last
    strides[i] = i <= layers and 2 or 1
    self.convs[i] = conv {
      inputs = h, outputs = outputs, size = 4, stride = strides[i], padding = 1,
      rng = o.rng:fork("conv" .. i), weight = o.weight or initialiser.normal {std = 0.02},
      bias = not normed,                       -- a normalisation would take it away
    }
    if normed then self.norms[i - 1] = makers[kind](outputs) end
    h = outputs
  end
  self.inputs, self.least, self.field = o.inputs, 3 << layers, receptive_field(strides)
  return setmetatable(self, Patch)
end
