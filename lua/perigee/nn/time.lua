-- Features of a time or noise level, for networks that are told it.

local core = require "perigee.core"
local options = require "perigee.options"

local time = {}

local function column (what, t)
  if not options.is_tensor(t) then
    error(("%s: t is a %s; give a tensor"):format(what, options.kind(t)), 3)
  end
  local shape = t.shape
  shape[#shape + 1] = 1
  return t:real():reshape(shape)
end

---sin(t w_i), then cos(t w_i), with w_i = period^(-i / (size / 2)), i = 0, 1, ...  Vaswani et al.
---2017, sec. 3.5; Ho et al. 2020, app. B.  period is 1e4 when absent.
---@param t userdata (...)
---@param size integer even
---@param period? number
---@return userdata (..., size)
function time.sinusoid (t, size, period)
  if math.type(size) ~= "integer" or size < 2 or size % 2 ~= 0 then
    error(("nn.sinusoid: size is %s; give an even integer"):format(tostring(size)), 2)
  end
  local half, w = size // 2, {}
  for i = 1, half do w[i] = (period or 1e4) ^ (-(i - 1) / half) end
  local angle = column("nn.sinusoid", t) * core.tensor(w)
  return core.concat({core.sin(angle), core.cos(angle)}, -1)
end

---@class Fourier
---@field frequencies userdata (size / 2); saved, not trained
local Fourier = {}
Fourier.__index = Fourier

---sin(2 pi f t), then cos(2 pi f t).
---@param t userdata (...)
---@return userdata (..., size)
function Fourier:__call (t)
  local angle = column("fourier", t) * (self.frequencies * (2 * math.pi))
  return core.concat({core.sin(angle), core.cos(angle)}, -1)
end

---Random Fourier features: frequencies from N(0, scale^2), fixed.  Tancik et al. 2020, eq. 5; scale
---16 when absent (Song et al. 2021, app. C.2, of the logarithm of the noise level).
---@param given {size: integer, scale?: number, rng: userdata}
---@return Fourier
function time.fourier (given)
  local o = options.check("nn.fourier", given, {size = "integer", scale = "number?", rng = "rng"})
  if o.size < 2 or o.size % 2 ~= 0 then
    error(("nn.fourier: size = %d; it is even and at least 2"):format(o.size), 2)
  end
  local frequencies = o.rng:fork("frequencies"):normal(o.size // 2) * (o.scale or 16)
  return setmetatable({frequencies = frequencies:keep()}, Fourier)
end

return time
