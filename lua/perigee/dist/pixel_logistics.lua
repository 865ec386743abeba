-- Mixture of discretised logistics for the channels of a pixel, where the mean of a channel moves
-- with the channels before it.  Salimans et al. 2017, "PixelCNN++", section 2.2.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"
local levels = require "perigee.dist.discretized_logistic"

---@class PixelLogistics : Distribution
---@field logits userdata (..., components)
---@field loc userdata (..., components, channels) in units where the levels span [-1, 1]
---@field log_scale userdata (..., components, channels), at least -7
---@field mix userdata? (..., components, pairs of channels) how a channel follows those before it
---@field components integer
---@field channels integer
---@field bins integer
local PixelLogistics = family.class("pixel_logistics", {}, {})
PixelLogistics.event = 1
PixelLogistics.support = "count"

local function channel (x, c) return core.slice(x, -1, c, c) end

-- The mean of channel c, (..., components, 1), given the channels before it in [-1, 1],
-- (..., 1 or components, channels).
local function mean_of (self, c, before)
  local loc, first = channel(self.loc, c), (c - 1) * (c - 2) // 2
  for i = 1, c - 1 do loc = loc + channel(self.mix, first + i) * channel(before, i) end
  return loc
end

---log sum over components of the product over channels, in nats.
---@param x userdata (..., channels) real levels
---@return userdata without the last axis
function PixelLogistics:log_prob (x)
  local sizes = x.shape
  table.insert(sizes, #sizes, 1)
  local pixel = core.reshape(x, sizes)
  local before, total = pixel * (2 / (self.bins - 1)) - 1, core.log_softmax(self.logits, -1)
  for c = 1, self.channels do
    local d = levels.new(mean_of(self, c, before), channel(self.log_scale, c), self.bins)
    total = total + core.sum(d:log_prob(channel(pixel, c)), -1)
  end
  return core.logsumexp(total, -1)
end

-- One component for the pixel, and its channels in turn.
local function draw (self, rng, lead)
  local batch = shape.lead(lead, self.logits.shape)
  local k = core.one_hot(rng:categorical(core.expand(self.logits, batch)), self.components)
  local pick = core.reshape(k, shape.lead(k.shape, {1}))
  local function chosen (x) return core.sum(pick * x, -2) end
  local one = {loc = chosen(self.loc), log_scale = chosen(self.log_scale),
    mix = self.mix and chosen(self.mix)}
  local pixels, values = {}, {}
  for c = 1, self.channels do
    local before = c > 1 and core.concat(values, -1)
    local d = levels.new(mean_of(one, c, before), channel(one.log_scale, c), self.bins)
    pixels[c] = d:sample(rng)
    values[c] = pixels[c] * (2 / (self.bins - 1)) - 1
  end
  return core.concat(pixels, -1)
end

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata (..., channels) real levels
function PixelLogistics:sample (rng, lead)
  return core.no_grad(draw, self, rng, lead)
end

---How many numbers the parameters of a pixel are: 10 for each component of three channels.
---@param components integer
---@param channels integer
---@return integer
local function width (components, channels)
  return components * (1 + 2 * channels + channels * (channels - 1) // 2)
end

---Mixture of discretised logistics for the channels of a pixel, where the mean of a channel moves
---with the channels before it.  Salimans et al. 2017, "PixelCNN++", section 2.2.
---@param params userdata (..., width(components, channels)): logits, then means, log-scales and
---  mixing coefficients before their tanh
---@param components integer
---@param channels? integer 3 when absent
---@param bins? integer 256 when absent
---@return PixelLogistics
local function pixel_logistics (params, components, channels, bins)
  channels, bins = channels or 3, bins or 256
  shape.check_parameter("dist.pixel_logistics", "params", params, true)
  local sizes = params.shape
  local want = width(components, channels)
  if sizes[#sizes] ~= want then
    error(("dist.pixel_logistics: params of shape (%s); %d components of %d channels take %d "
      .. "numbers on the last axis"):format(table.concat(sizes, ", "), components, channels, want),
      2)
  end
  sizes[#sizes] = nil
  local at = 1
  local function take (n)
    local part = core.slice(params, -1, at, at + components * n - 1)
    at = at + components * n
    return core.reshape(part, shape.lead(sizes, {components, n}))
  end
  local self = {components = components, channels = channels, bins = bins}
  self.logits = core.reshape(take(1), shape.lead(sizes, {components}))
  self.loc = take(channels)
  self.log_scale = core.maximum(take(channels), -7)       -- as published
  if channels > 1 then self.mix = core.tanh(take(channels * (channels - 1) // 2)) end
  self.shape = shape.lead(sizes, {channels})
  return setmetatable(self, PixelLogistics)
end

return {new = pixel_logistics, class = PixelLogistics, width = width}
