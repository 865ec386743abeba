-- The U-Net of diffusion models: residual blocks down through the resolutions, a middle, and up
-- again with what each resolution left behind.  Ho et al. 2020, app. B; Ronneberger et al. 2015.

local core = require "perigee.core"
local block = require "perigee.nn.unet_block"
local group_norm = require "perigee.nn.norm".group_norm
local initialiser = require "perigee.nn.initialiser"
local linear = require "perigee.nn.linear".linear
local options = require "perigee.options"
local plan = require "perigee.nn.unet_plan"
local sinusoid = require "perigee.nn.time".sinusoid

---@class Unet
---@field time1 Linear
---@field time2 Linear
---@field first Conv
---@field down table[] a level each: blocks, attention, and the convolution to the next level
---@field middle table
---@field up table[]
---@field norm Norm
---@field last Conv zero at the start
local Unet = {}
Unet.__index = Unet

-- --- call ----------------------------------------------------------------------------------------

local function text (x)
  return options.is_tensor(x) and "(" .. table.concat(x.shape, ", ") .. ")"
    or "a " .. options.kind(x)
end

local layout = {"time", "height, width", "depth, height, width"}

local function check_image (self, x)
  local axes, factor = self.axes, 1 << (#self.down - 1)
  local s = options.is_tensor(x) and x.shape or {}
  if #s ~= axes + 2 or s[#s] ~= self.inputs then
    error(("nn.unet: x is %s; want (batch, %s, %d)"):format(text(x), layout[axes], self.inputs), 3)
  end
  for i = 2, axes + 1 do
    if s[i] == 0 or s[i] % factor ~= 0 then
      error(("nn.unet: x is %s; %d levels want spatial sizes that divide by %d"):format(text(x),
        #self.down, factor), 3)
    end
  end
end

---The embedding of times: sinusoids of `width` entries through two affine layers.  What else the
---net shall know, such as an nn.embedding of a class, may be added to it.
---@param t userdata (batch), of any scale; steps 1 to 1000 suit it
---@return userdata (batch, embedding)
function Unet:embed (t)
  if not options.is_tensor(t) or #t.shape ~= 1 then
    error(("nn.unet: t is %s; want (batch)"):format(text(t)), 2)
  end
  return self.time2(self.time1(sinusoid(t, self.width)):silu())
end

-- The embedding that t is or has, activated, once the batch sizes are known to be equal.
local function condition (self, x, t)
  local s = options.is_tensor(t) and t.shape or {}
  local right = #s == 1 or (#s == 2 and s[2] == self.embedding)
  if not right or s[1] ~= x.shape[1] then
    error(("nn.unet: t is %s for x %s; want (batch) or (batch, %d)"):format(text(t), text(x),
      self.embedding), 3)
  end
  return (#s == 1 and self:embed(t) or t):silu()
end

---@param x userdata (batch, spatial.., inputs), sizes that divide by 2^(levels - 1)
---@param t userdata times (batch), or an embedding (batch, embedding)
---@param rng? userdata|false a stream to train, false to evaluate; wanted when there is dropout
---@return userdata (batch, spatial.., outputs)
function Unet:__call (x, t, rng)
  check_image(self, x)
  if self.dropout > 0 and rng ~= false and options.kind(rng) ~= "rng" then
    error("nn.unet: with dropout give a random stream to train or false to evaluate", 2)
  end
  local e, h, left = condition(self, x, t), self.first(x), {}
  left[1] = h
  for _, level in ipairs(self.down) do
    for i, residual in ipairs(level.blocks) do
      h = residual(h, e, rng)
      if level.attention then h = level.attention[i](h) end
      left[#left + 1] = h
    end
    if level.shrink then
      h = level.shrink(h)
      left[#left + 1] = h
    end
  end
  h = self.middle.block1(h, e, rng)
  if self.middle.attention then h = self.middle.attention(h) end
  h = self.middle.block2(h, e, rng)
  for _, level in ipairs(self.up) do
    for i, residual in ipairs(level.blocks) do
      h = residual(core.concat({h, table.remove(left)}, -1), e, rng)
      if level.attention then h = level.attention[i](h) end
    end
    if level.grow then h = level.grow(h) end
  end
  return self.last(self.norm(h):silu())
end

-- --- construction --------------------------------------------------------------------------------

-- One level's residual blocks, from channel counts to `outputs`, and their attention.
local function build_level (shared, inputs, outputs, attend, rng)
  local level = {blocks = {}, attention = attend and {} or nil}
  for i, n in ipairs(inputs) do
    level.blocks[i] = block.residual(shared, n, outputs, rng:fork("block" .. i))
    if attend then
      level.attention[i] = block.attention(shared, outputs, rng:fork("attention" .. i))
    end
  end
  return level
end

-- The way down.  Returns its levels and the channels of everything left behind, the last on top.
local function build_down (shared, o, c, attend)
  local levels, left, h = {}, {o.width}, o.width
  for l, outputs in ipairs(c) do
    local inputs, rng = {}, o.rng:fork("down" .. l)
    for i = 1, o.blocks or 2 do
      inputs[i], h, left[#left + 1] = h, outputs, outputs
    end
    levels[l] = build_level(shared, inputs, outputs, attend[l], rng)
    if l < #c then
      levels[l].shrink = block.conv(shared, h, h, rng:fork "shrink", {stride = 2})
      left[#left + 1] = h
    end
  end
  return levels, left
end

-- The way up, lowest resolution first: a block more than on the way down, for what was left when
-- the level began.
local function build_up (shared, o, c, attend, left)
  local levels, h = {}, c[#c]
  for l = #c, 1, -1 do
    local inputs, rng = {}, o.rng:fork("up" .. l)
    for i = 1, (o.blocks or 2) + 1 do
      inputs[i], h = h + table.remove(left), c[l]
    end
    local level = build_level(shared, inputs, c[l], attend[l], rng)
    if l > 1 then level.grow = block.up(shared, h, rng:fork "grow") end
    levels[#levels + 1] = level
  end
  return levels
end

---nn.unet { inputs = 3, width = 32, multipliers = {1, 2, 2}, attention = {false, true, false},
---          rng = rng:fork "net" }; net(x, t)
---outputs: inputs when absent; multipliers: of width, one for each level, {1, 2, 2}; blocks: on
---each level of the way down, 2, and one more on the way up; attention: true or false for each
---level and, as one more entry, the middle, which else attends when a level does; or resolutions,
---such as {16}, of images of `size`; groups: of the normalisations, 8; heads: 4; embedding: 4
---width; axes: spatial, 2; scale_shift: the embedding scales and shifts (AdaGN) instead of being
---added; dropout: in the blocks, 0.  The last layer and each branch's last start at 0, so the net's
---result is 0 at first.
---@param given {inputs: integer, outputs?: integer, width: integer, multipliers?: integer[],
---  blocks?: integer, attention?: boolean[], resolutions?: integer[], size?: integer,
---  groups?: integer, heads?: integer, embedding?: integer, axes?: integer,
---  scale_shift?: boolean, dropout?: number, rng: userdata}
---@return Unet
return function (given)
  local o, shared, c, attend = plan(given)
  local rng, _ <close> = o.rng, core.scope()
  local down, left = build_down(shared, o, c, attend)
  local middle = {
    block1 = block.residual(shared, c[#c], c[#c], rng:fork "middle1"),
    block2 = block.residual(shared, c[#c], c[#c], rng:fork "middle2"),
    attention = attend[#c + 1] and block.attention(shared, c[#c], rng:fork "middle") or nil,
  }
  return setmetatable({
    inputs = o.inputs, width = o.width, axes = shared.axes, embedding = shared.embedding,
    dropout = shared.dropout, down = down, middle = middle,
    time1 = linear {inputs = o.width, outputs = shared.embedding, rng = rng:fork "time1"},
    time2 = linear {inputs = shared.embedding, outputs = shared.embedding,
      rng = rng:fork "time2"},
    first = block.conv(shared, o.inputs, o.width, rng:fork "first"),
    up = build_up(shared, o, c, attend, left),
    norm = group_norm {channels = c[1], groups = shared.groups},
    last = block.conv(shared, c[1], o.outputs or o.inputs, rng:fork "last",
      {weight = initialiser.zeros()}),
  }, Unet)
end
