-- Layers whose weight is computed anew in every call: weight norm and spectral norm.  They wrap any
-- layer that has a `weight` with its outputs on the last axis.

local core = require "perigee.core"
local options = require "perigee.options"
local parameter = require "perigee.nn.linear".parameter

-- Take the weight out of the layer: from now on it is the wrapper's.
local function take (name, layer)
  local weight = type(layer) == "table" and rawget(layer, "weight")
  if type(weight) ~= "userdata" then
    error(("nn.%s: give a layer that has a weight, such as nn.linear {...}"):format(name), 3)
  end
  layer.weight = nil
  return weight
end

-- layer(x, ...) with this weight, which is taken out again whatever happens.
local function call_with (layer, weight, ...)
  local _ <close> = setmetatable({}, {__close = function () layer.weight = nil end})
  layer.weight = weight
  return layer(...)
end

-- (.., outputs) as (rows, outputs)
local function as_matrix (w) return w:reshape(-1, w.shape[#w.shape]) end

---@class WeightNorm
---@field layer table without its weight
---@field direction userdata of the weight's shape
---@field length userdata (outputs)
local WeightNorm = {}
WeightNorm.__index = WeightNorm

---The weight in use: length direction / |direction|, the norm over all axes but the last.
---@return userdata
function WeightNorm:weight ()
  local size = as_matrix(self.direction):square():sum(1):sqrt()
  return self.direction * (self.length / size)
end

function WeightNorm:__call (...) return call_with(self.layer, self:weight(), ...) end

---nn.weight_norm(layer): the same function as layer, with each output's weights as a direction and
---a length.  Salimans & Kingma 2016, eq. 2.
---@param layer table with a weight (.., outputs)
---@return WeightNorm
local function weight_norm (layer)
  local weight = take("weight_norm", layer)
  local _ <close> = core.scope()
  local length = as_matrix(weight:detach()):square():sum(1):sqrt()
  return setmetatable({layer = layer, direction = weight, length = parameter(length)}, WeightNorm)
end

---@class SpectralNorm
---@field layer table without its weight
---@field raw userdata the weight before it is divided
---@field u userdata (outputs), constant: the leading right singular vector as far as it is known
local SpectralNorm = {}
SpectralNorm.__index = SpectralNorm

local function unit (v) return v / (v:square():sum():sqrt() + 1e-12) end

-- v = W u / |W u| and u = W' v / |W' v|, `n` times from u; both (.., 1).
local function iterate (w, u, n)
  local v = unit(w:matmul(u))
  for _ = 1, n do
    u = unit(w:transpose():matmul(v))
    v = unit(w:matmul(u))
  end
  return v, u
end

---The weight in use: raw / sigma, sigma = v' raw u.  The derivative passes through sigma, not
---through u and v.
---@return userdata
function SpectralNorm:weight ()
  local w, u = as_matrix(self.raw), self.u:reshape(-1, 1)
  local v = iterate(w:detach(), u, 0)
  return self.raw / (v * w:matmul(u)):sum()
end

---@param x userdata what the layer takes
---@param opts {train: boolean} a training call refines u by one step
---@return userdata
function SpectralNorm:__call (x, opts, ...)
  if type(opts) ~= "table" or type(opts.train) ~= "boolean" then
    error("nn.spectral_norm: say {train = true} or {train = false} in every call", 2)
  end
  if opts.train then self:refine(1) end
  return call_with(self.layer, self:weight(), x, ...)
end

---Bring u nearer to the leading singular vector by `steps` power iterations.
---@param steps integer
function SpectralNorm:refine (steps)
  local _ <close> = core.scope()
  local _, u = iterate(as_matrix(self.raw:detach()), self.u:reshape(-1, 1), steps)
  self.u:assign(u:reshape(-1))
end

---nn.spectral_norm(layer, { rng = rng }): layer with its weight, as a matrix (.., outputs), divided
---by its largest singular value.  Miyato et al. 2018, algorithm 1.  `refine` (default 15)
---iterations to begin with.
---@param layer table with a weight (.., outputs)
---@param given {rng: userdata, refine?: integer}
---@return SpectralNorm
local function spectral_norm (layer, given)
  local o = options.check("nn.spectral_norm", given, {rng = "rng", refine = "integer?"})
  local raw = take("spectral_norm", layer)
  local _ <close> = core.scope()
  local u = unit(o.rng:normal(raw.shape[#raw.shape], 1)):reshape(-1):clone():keep()
  local self = setmetatable({layer = layer, raw = raw, u = u}, SpectralNorm)
  self:refine(o.refine or 15)
  return self
end

return {weight_norm = weight_norm, spectral_norm = spectral_norm}
