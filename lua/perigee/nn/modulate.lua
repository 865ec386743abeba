-- Scale and shift that are given with every call: FiLM, and normalisations whose weight and bias
-- come from a style or a time embedding (adaptive instance norm, AdaGN).

local core = require "perigee.core"
local linear = require "perigee.nn.linear".linear
local options = require "perigee.options"

-- (batch, channels) as it broadcasts to x (batch, ..., channels).
local function beside (x, v)
  local shape = {}
  for i = 1, #x.shape do shape[i] = 1 end
  shape[1], shape[#x.shape] = v.shape[1], v.shape[2]
  return v:reshape(shape)
end

---x (1 + scale) + shift, one scale and shift for each sample and channel.
---@param x userdata (batch, ..., channels)
---@param scale userdata (batch, channels)
---@param shift userdata (batch, channels)
---@return userdata
local function modulate (x, scale, shift)
  for i, v in ipairs {scale, shift} do
    local s, name = v.shape, i == 1 and "scale" or "shift"
    if #s ~= 2 or s[1] ~= x.shape[1] or s[2] ~= x.shape[#x.shape] then
      error(("nn.modulate: %s has shape (%s) and x (%s); want (batch, channels)"):format(name,
        table.concat(s, ", "), table.concat(x.shape, ", ")), 2)
    end
  end
  return x * (beside(x, scale) + 1) + beside(x, shift)
end

---@class Film
---@field project Linear (inputs) -> (2 channels): scale, then shift
---@field groups integer? normalise by so many groups first
---@field channels integer
---@field eps number
local Film = {}
Film.__index = Film

---@param x userdata (batch, ..., channels)
---@param condition userdata (batch, inputs)
---@return userdata
function Film:__call (x, condition)
  local both, c = self.project(condition), self.channels
  if self.groups then x = core.group_norm(x, 1, 0, self.groups, self.eps) end
  return modulate(x, both:slice(2, 1, c), both:slice(2, c + 1, 2 * c))
end

local known = {
  inputs = "integer", channels = "integer", rng = "rng", weight = "function?",
  bias = "function|boolean?",
}

local function build (name, o, groups, eps)
  if o.channels < 1 then
    error(("nn.%s: channels = %d; give at least 1"):format(name, o.channels), 3)
  end
  if groups and (groups < 1 or o.channels % groups ~= 0) then
    error(("nn.%s: groups = %d does not divide channels = %d"):format(name, groups, o.channels), 3)
  end
  return setmetatable({
    channels = o.channels, groups = groups, eps = eps,
    project = linear {
      inputs = o.inputs, outputs = 2 * o.channels, rng = o.rng, weight = o.weight, bias = o.bias,
    },
  }, Film)
end

---nn.film { inputs = 128, channels = 64, rng = rng }; film(x, condition).  Scale and shift are an
---affine function of the condition, whose weight and bias are initialisers as in nn.linear.  Perez
---et al. 2018.
---@param given {inputs: integer, channels: integer, rng: userdata, weight?: function, bias?:
---  function}
---@return Film
local function film (given)
  return build("film", options.check("nn.film", given, known))
end

---nn.adaptive_norm { inputs = 128, channels = 64, groups = 8, rng = rng }; norm(x, condition).  A
---group norm whose weight and bias come from the condition (AdaGN: Dhariwal & Nichol 2021, section
---3).  Without groups every channel is one: adaptive instance norm (Huang & Belongie 2017, eq. 8).
---@param given {inputs: integer, channels: integer, groups?: integer, eps?: number, rng: userdata,
---  weight?: function, bias?: function}
---@return Film
local function adaptive_norm (given)
  local more = {groups = "integer?", eps = "number?"}
  for k, v in pairs(known) do more[k] = v end
  local o = options.check("nn.adaptive_norm", given, more)
  return build("adaptive_norm", o, o.groups or o.channels, o.eps or 1e-5)
end

return {modulate = modulate, film = film, adaptive_norm = adaptive_norm}
