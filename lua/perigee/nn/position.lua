-- Positions for attention, which by itself knows none: sinusoids and learned vectors to add to its
-- input, rotations of queries and keys, and slopes to add to its scores.

local core = require "perigee.core"
local initialiser = require "perigee.nn.initialiser"
local options = require "perigee.options"
local parameter = require "perigee.nn.linear".parameter

local position = {}

local function check_count (what, name, n, least)
  if math.type(n) ~= "integer" or n < least then
    error(("%s: %s is %s, want an integer of %d or more"):format(what, name, tostring(n), least), 3)
  end
end

-- Angles (time, size / 2): place times base^(-2 i / size), places counted from `offset`.
local function angles (time, size, base, offset)
  local place = core.arange(time):real():reshape(time, 1) + (offset - 1)
  local half = core.arange(size // 2):real() - 1
  return place * (half * (-2 / size * math.log(base))):exp()
end

---Sinusoids (time, size): sines in the first half of the axis, cosines in the second.  Vaswani et
---al. 2017, sec. 3.5.
---@param time integer number of positions
---@param size integer even
---@param base? number wavelengths reach 2 pi base; default 10000
---@return userdata (time, size)
function position.sinusoid (time, size, base)
  check_count("nn.position.sinusoid", "time", time, 0)
  check_count("nn.position.sinusoid", "size", size, 2)
  if size % 2 == 1 then error("nn.position.sinusoid: size is odd: " .. size, 2) end
  local a = angles(time, size, base or 10000, 0)
  return core.concat({a:sin(), a:cos()}, 2)
end

---Turn pairs of entries by an angle that grows with the position, so that q'k depends on the
---distance alone: entry i is paired with entry i + size/2.  Su et al. 2021, eq. 34.
---@param x userdata (..., time, size), size even
---@param offset? integer positions before the first; default 0
---@param base? number default 10000
---@return userdata of the same shape
function position.rotary (x, offset, base)
  local size, time = x.shape[#x.shape], x.shape[#x.shape - 1]
  if not time or size % 2 == 1 then
    error("nn.position.rotary: x is (..., time, size) with an even size, not of " .. #x.shape ..
      " axes and size " .. tostring(size), 2)
  end
  local a = angles(time, size, base or 10000, offset or 0)
  local cos, sin = a:cos(), a:sin()
  local first, second = x:slice(-1, 1, size // 2), x:slice(-1, size // 2 + 1, size)
  return core.concat({first * cos - second * sin, second * cos + first * sin}, -1)
end

---Scores fall with the distance, more steeply for later heads: -2^(-8 h / heads) |i - j|, the last
---query standing at the last key.  Press et al. 2022, sec. 3.
---@param heads integer
---@param queries integer
---@param keys integer
---@return userdata (heads, queries, keys)
function position.alibi (heads, queries, keys)
  check_count("nn.position.alibi", "heads", heads, 1)
  local slope = ((core.arange(heads):real() * (-8 / heads)) * math.log(2)):exp()
  local q = core.arange(queries):real():reshape(queries, 1) + (keys - queries)
  return -(slope:reshape(heads, 1, 1) * (q - core.arange(keys):real()):abs())
end

---@class Learned
---@field weight userdata (time, size)
local Learned = {}
Learned.__index = Learned

---@param x userdata (..., time, size)
---@param offset? integer positions before the first; default 0
---@return userdata x with the vectors of its positions added
function Learned:__call (x, offset)
  local time, known = x.shape[#x.shape - 1], self.weight.shape[1]
  offset = offset or 0
  if offset + time > known then
    error(("nn.position.learned: positions %d to %d, but only %d are known"):format(offset + 1,
      offset + time, known), 2)
  end
  return x + self.weight:slice(1, offset + 1, offset + time)
end

---A vector for each of `time` positions; weight: initialiser, N(0, 0.02^2) when absent (Radford et
---al. 2019).
---@param given {time: integer, size: integer, rng: userdata, weight?: function}
---@return Learned
function position.learned (given)
  local o = options.check("nn.position.learned", given, {
    time = "integer", size = "integer", rng = "rng", weight = "function?",
  })
  local _ <close> = core.scope()
  local weight = o.weight or initialiser.normal {std = 0.02}
  return setmetatable({weight = parameter(weight(o.rng:fork "weight", {o.time, o.size}))}, Learned)
end

return position
