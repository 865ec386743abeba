-- Affine layers whose weights are masked, and the masked autoencoder for distribution estimation
-- made of them (MADE, Germain et al. 2015).

local core = require "perigee.core"
local fused = require "perigee.nn.activation".fused
local activation_of = require "perigee.nn.activation".of
local initialiser = require "perigee.nn.initialiser"
local linear = require "perigee.nn.linear"
local options = require "perigee.options"

local masked = {}

---@class MaskedLinear
---@field weight userdata (inputs, outputs)
---@field mask userdata (inputs, outputs), 0 or 1; saved, not trained
---@field bias userdata (outputs)
local MaskedLinear = {}
MaskedLinear.__index = MaskedLinear

---@param x userdata (..., inputs)
---@return userdata (..., outputs)
function MaskedLinear:__call (x)
  return core.linear(x, self.weight * self.mask, self.bias)
end

local known = {mask = "tensor", rng = "rng", weight = "function?", bias = "function?"}

---x (w * mask) + b, the mask being (inputs, outputs); weight and bias as in nn.linear.
---@param given {mask: userdata, rng: userdata, weight?: function, bias?: function}
---@return MaskedLinear
function masked.linear (given)
  local o = options.check("nn.masked_linear", given, known)
  local shape = o.mask.shape
  if #shape ~= 2 then
    error(("nn.masked_linear: mask is (%s); give (inputs, outputs)"):format(
      table.concat(shape, ", ")), 2)
  end
  local layer = linear.linear {inputs = shape[1], outputs = shape[2], rng = o.rng,
    weight = o.weight, bias = o.bias}
  layer.mask = o.mask:real():detach():clone():keep()
  return setmetatable(layer, MaskedLinear)
end

-- Degrees of the inputs: 1 is the feature that comes first.
local function input_degrees (o)
  local n, degrees = o.features, {}
  if type(o.order) == "table" then
    local seen = {}
    for i = 1, n do
      local d = o.order[i]
      if math.type(d) ~= "integer" or d < 1 or d > n or seen[d] then
        error(("nn.made: order is no permutation of 1..%d: entry %d is %s"):format(n, i,
          tostring(d)), 3)
      end
      seen[d], degrees[i] = true, d
    end
    return degrees
  end
  if o.order == "random" then return o.rng:fork("order"):permutation(n):tolist() end
  for i = 1, n do degrees[i] = i end
  if o.order == "reverse" then
    for i = 1, n do degrees[i] = n + 1 - i end
  elseif o.order and o.order ~= "sequential" then
    error(("nn.made: order = '%s'; say sequential, reverse, random, or give a list"):format(
      o.order), 3)
  end
  return degrees
end

-- Degrees low..features - 1 of `count` hidden units, in turn or drawn; 0 sees only the context.
local function hidden_degrees (o, count, layer)
  local low = o.context and 0 or math.min(1, o.features - 1)
  local span, degrees = math.max(o.features - low, 1), {}
  if o.degrees == "random" then
    return o.rng:fork("degrees" .. layer):integers({count}, low, low + span - 1):tolist()
  elseif o.degrees and o.degrees ~= "cyclic" then
    error(("nn.made: degrees = '%s'; say cyclic or random"):format(o.degrees), 3)
  end
  for i = 1, count do degrees[i] = low + (i - 1) % span end
  return degrees
end

-- 1 where an output of degree `to` may read an input of degree `from`.
local function make_mask (from, to, strict)
  local x = core.tensor(from):real():reshape(#from, 1)
  local y = core.tensor(to):real():reshape(1, #to)
  return (strict and core.lt(x, y) or core.le(x, y)):real()
end

-- Every degree `times` times in a row.
local function spread (degrees, times)
  local out = {}
  for _, d in ipairs(degrees) do
    for _ = 1, times do out[#out + 1] = d end
  end
  return out
end

---@class Made
---@field features integer
---@field outputs integer numbers for each feature
---@field degrees integer[] place of every feature in the order
---@field hidden MaskedLinear[]
---@field output MaskedLinear
---@field direct MaskedLinear?
---@field context Linear?
---@field word string? the activation's name where it is fused with the layer
local Made = {}
Made.__index = Made

---Numbers for feature i depend on the features of lower degree alone.  Germain et al. 2015,
---eq. 12 and 13.
---@param x userdata (..., features)
---@param context? userdata (..., context)
---@return userdata (..., features, outputs)
function Made:__call (x, context)
  if (context ~= nil) ~= (self.context ~= nil) then
    error("made: this network has " .. (self.context and "a context, which is missing"
      or "no context"), 2)
  end
  local h = x
  for i, layer in ipairs(self.hidden) do
    if i == 1 and context then h = self.activation(layer(h) + self.context(context))
    elseif self.word then h = core.dense(h, layer.weight * layer.mask, layer.bias, self.word)
    else h = self.activation(layer(h)) end
  end
  local y = self.output(h)
  if self.direct then y = y + self.direct(x) end
  local shape = y.shape
  shape[#shape], shape[#shape + 1] = self.features, self.outputs
  return y:reshape(shape)
end

local known_made = {
  features = "integer", hidden = "table", outputs = "integer?", order = "string|table?",
  degrees = "string?", direct = "boolean?", context = "integer?", activation = "string|function?",
  zero = "boolean?", rng = "rng",
}

---nn.made { features = 784, hidden = {500, 500}, outputs = 1, rng = rng }
---order: "sequential" (default), "reverse", "random" or the list of degrees; degrees of hidden
---units: "cyclic" (default) or "random"; direct connects inputs to outputs as well; context is the
---size of a second argument that every output may depend on; zero starts the outputs at 0.
---@param given {features: integer, hidden: integer[], outputs?: integer,
---  order?: string|integer[], degrees?: string, direct?: boolean, context?: integer,
---  activation?: string|function, zero?: boolean, rng: userdata}
---@return Made
function masked.made (given)
  local o = options.check("nn.made", given, known_made)
  local outputs, rng = o.outputs or 1, o.rng
  for name, v in pairs {features = o.features, outputs = outputs, context = o.context} do
    if v < 1 then error(("nn.made: %s = %d; it is at least 1"):format(name, v), 2) end
  end
  if #o.hidden == 0 then error("nn.made: hidden is empty; give the sizes of hidden layers", 2) end
  local _ <close> = core.scope()
  local self = {features = o.features, outputs = outputs, hidden = {}}
  self.activation = activation_of("nn.made", "activation", o.activation or "relu")
  self.word = fused[o.activation or "relu"] and (o.activation or "relu") or nil
  self.degrees = input_degrees(o)
  local before = self.degrees
  for i, size in ipairs(o.hidden) do
    if math.type(size) ~= "integer" or size < 1 then
      error(("nn.made: hidden layer %d has size %s"):format(i, tostring(size)), 2)
    end
    local here = hidden_degrees(o, size, i)
    self.hidden[i] = masked.linear {mask = make_mask(before, here), rng = rng:fork("hidden" .. i),
      weight = initialiser.he_normal()}
    before = here
  end
  local last = spread(self.degrees, outputs)
  local weight = o.zero and initialiser.zeros() or nil
  self.output = masked.linear {mask = make_mask(before, last, true), rng = rng:fork "output",
    weight = weight}
  if o.direct then
    self.direct = masked.linear {mask = make_mask(self.degrees, last, true), weight = weight,
      rng = rng:fork "direct"}
  end
  if o.context then
    self.context = linear.linear {inputs = o.context, outputs = o.hidden[1], bias = false,
      rng = rng:fork "context"}
  end
  return setmetatable(self, Made)
end

return masked
