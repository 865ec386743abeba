-- The block of the gated PixelCNN: a vertical stack that sees the rows above and a horizontal one
-- that sees the row to the left, so that no pixel before the current one stays unseen.
-- van den Oord et al. 2016b, "Conditional Image Generation with PixelCNN Decoders", sec. 2.

local core = require "perigee.core"
local conv = require "perigee.nn.conv"
local linear = require "perigee.nn.linear".linear
local options = require "perigee.options"

---@class GatedPixelBlock
---@field vertical Conv
---@field horizontal Conv masked
---@field link Linear from the vertical stack to the horizontal one
---@field output Conv 1 x 1
---@field condition_v Linear?
---@field condition_h Linear?
local Block = {}
Block.__index = Block

-- tanh(a) sigmoid(b) of x = (a, b) along the channels (eq. 2).
local function gate (x, n)
  return x:slice(-1, 1, n):tanh() * x:slice(-1, n + 1, 2 * n):sigmoid()
end

local function text (x)
  return options.is_tensor(x) and "(" .. table.concat(x.shape, ", ") .. ")"
    or "a " .. options.kind(x)
end

local function check (self, v, h)
  for i = 1, 2 do
    local name, x = i == 1 and "v" or "h", i == 1 and v or h
    local s = options.is_tensor(x) and x.shape or {}
    if #s ~= 4 or s[4] ~= self.inputs then
      error(("nn.gated_pixel_block: %s is %s; want (batch, height, width, %d)"):format(name,
        text(x), self.inputs), 3)
    end
  end
  if table.concat(v.shape, ", ", 1, 3) ~= table.concat(h.shape, ", ", 1, 3) then
    error(("nn.gated_pixel_block: v is %s and h %s; make them equal"):format(text(v), text(h)), 3)
  end
end

-- What a condition (batch, condition) or (batch, height, width, condition) adds.
local function told (layer, c)
  local s = c.shape
  return layer(#s == 2 and c:reshape(s[1], 1, 1, s[2]) or c)
end

---v at a place knows the input up to its row, h before its pixel in raster order (with `first`), or
---up to it.  The first block is called with the image twice: v, h = block(x, x).
---@param v userdata (batch, height, width, inputs)
---@param h userdata of v's shape
---@param c? userdata (batch, condition), or (batch, height, width, condition)
---@return userdata v (batch, height, width, outputs)
---@return userdata h (batch, height, width, outputs)
function Block:__call (v, h, c)
  check(self, v, h)
  if (c ~= nil) ~= (self.condition_v ~= nil) then
    error("nn.gated_pixel_block: give a condition where the option says so, and only there", 2)
  end
  local n, rows = self.outputs, v.shape[2]
  local down = self.vertical(v)
  -- a row lower, as what is known at a pixel ends with the row above
  local above = core.pad(down, 2, 1, 0):slice(2, 1, rows)
  local along = self.horizontal(h) + self.link(above)
  if c then
    down, along = down + told(self.condition_v, c), along + told(self.condition_h, c)
  end
  along = self.output(gate(along, n))
  return gate(down, n), self.residual and h + along or along
end

local known = {
  inputs = "integer", outputs = "integer?", size = "integer?", first = "boolean?",
  condition = "integer?", colours = "integer?", rng = "rng",
}

local function check_options (o, n, size, colours)
  for name, x in pairs {inputs = o.inputs, outputs = n, condition = o.condition or 1} do
    if x < 1 then error(("nn.gated_pixel_block: %s = %d; it is at least 1"):format(name, x), 3) end
  end
  if size < 3 or size % 2 == 0 then
    error(("nn.gated_pixel_block: size = %d; want an odd one of at least 3"):format(size), 3)
  end
  if colours < 1 or o.inputs % colours ~= 0 or n % colours ~= 0 then
    error(("nn.gated_pixel_block: inputs = %d and outputs = %d do not divide into colours = %d")
      :format(o.inputs, n, colours), 3)
  end
end

---nn.gated_pixel_block { inputs = 3, outputs = 48, first = true, colours = 3, rng = rng }, then
---nn.gated_pixel_block { inputs = 48, colours = 3, rng = rng }; v, h = block(v, h, c).
---outputs: inputs when absent; size: of the filters, 3; first: h sees only what comes before its
---pixel; condition: size of c; colours: so many equal parts of the channels, the first before the
---second and so on, as in nn.pixel_mask.  h is added to the result unless first or sizes differ.
---A 1 x 1 nn.conv on the last h, masked with type "B" when there are colours, makes the logits.
---@param given {inputs: integer, outputs?: integer, size?: integer, first?: boolean,
---  condition?: integer, colours?: integer, rng: userdata}
---@return GatedPixelBlock
return function (given)
  local o = options.check("nn.gated_pixel_block", given, known)
  local n, size, colours = o.outputs or o.inputs, o.size or 3, o.colours or 1
  check_options(o, n, size, colours)
  local rng, half, _ <close> = o.rng, size // 2, core.scope()
  local function mask (width, inputs, kind)
    return conv.pixel_mask {size = {1, width}, inputs = inputs, outputs = n, type = kind,
      colours = colours}
  end
  local along = mask(size, o.inputs, o.first and "A" or "B")
  local self = {
    inputs = o.inputs, outputs = n, residual = not o.first and n == o.inputs,
    vertical = conv.conv {inputs = o.inputs, outputs = 2 * n, size = {half + 1, size},
      padding = {{half, 0}, half}, rng = rng:fork "vertical"},
    horizontal = conv.conv {inputs = o.inputs, outputs = 2 * n, size = {1, size},
      padding = {0, half}, mask = core.concat({along, along}, -1), rng = rng:fork "horizontal"},
    link = linear {inputs = 2 * n, outputs = 2 * n, bias = false, rng = rng:fork "link"},
    output = conv.conv {inputs = n, outputs = n, size = 1, mask = mask(1, n, "B"),
      rng = rng:fork "output"},
  }
  for _, name in ipairs(o.condition and {"condition_v", "condition_h"} or {}) do
    self[name] = linear {inputs = o.condition, outputs = 2 * n, bias = false, rng = rng:fork(name)}
  end
  return setmetatable(self, Block)
end
