-- Affine layers of few numbers: low rank, low-rank adapters of a trained layer, and bilinear forms.

local core = require "perigee.core"
local initialiser = require "perigee.nn.initialiser"
local linear = require "perigee.nn.linear"
local options = require "perigee.options"

local parameter = linear.parameter
local lowrank = {}

local function at_least_one (what, sizes)
  for name, v in pairs(sizes) do
    if v < 1 then error(("%s: %s = %d; it is at least 1"):format(what, name, v), 3) end
  end
end

---@class LowRankLinear
---@field down userdata (inputs, rank)
---@field up userdata (rank, outputs)
---@field bias userdata? (outputs)
local LowRank = {}
LowRank.__index = LowRank

---@param x userdata (..., inputs)
---@return userdata (..., outputs)
function LowRank:__call (x)
  local h = core.matmul(x, self.down)
  if self.bias then return core.linear(h, self.up, self.bias) end
  return core.matmul(h, self.up)
end

---x down up + b: rank (inputs + outputs) numbers in place of inputs x outputs.
---@param given {inputs: integer, outputs: integer, rank: integer, rng: userdata, bias?: boolean}
---@return LowRankLinear
function lowrank.linear (given)
  local o = options.check("nn.low_rank_linear", given,
    {inputs = "integer", outputs = "integer", rank = "integer", rng = "rng", bias = "boolean?"})
  at_least_one("nn.low_rank_linear", {inputs = o.inputs, outputs = o.outputs, rank = o.rank})
  local _ <close> = core.scope()
  local draw = initialiser.lecun_normal()
  return setmetatable({
    down = parameter(draw(o.rng:fork "down", {o.inputs, o.rank})),
    up = parameter(draw(o.rng:fork "up", {o.rank, o.outputs})),
    bias = o.bias ~= false and parameter(core.zeros(o.outputs)) or nil,
  }, LowRank)
end

---@class Lora
---@field base Linear its parameters no longer train
---@field down userdata (inputs, rank)
---@field up userdata (rank, outputs), zeros at first
---@field scale number
local Lora = {}
Lora.__index = Lora

---@param x userdata (..., inputs)
---@return userdata (..., outputs)
function Lora:__call (x)
  return self.base(x) + core.matmul(core.matmul(x, self.down), self.up) * self.scale
end

---Add the adapter into the base's weight and set it to 0: the same function as one product.
---@return Linear base
function Lora:merge ()
  core.no_grad(function ()
    local _ <close> = core.scope()
    self.base.weight:assign(self.base.weight + core.matmul(self.down, self.up) * self.scale)
    self.up:assign(core.zeros(self.up.shape))
  end)
  return self.base
end

---base(x) + scale / rank x down up, with base frozen.  Hu et al. 2022, sec. 4.1; scale (their
---alpha) is rank when absent.
---@param given {base: Linear, rank: integer, scale?: number, rng: userdata}
---@return Lora
function lowrank.lora (given)
  local o = options.check("nn.lora", given,
    {base = "table", rank = "integer", scale = "number?", rng = "rng"})
  if not options.is_tensor(o.base.weight) or #o.base.weight.shape ~= 2 then
    error("nn.lora: base is no affine layer: it has no weight (inputs, outputs)", 2)
  end
  at_least_one("nn.lora", {rank = o.rank})
  local _ <close> = core.scope()
  local inputs, outputs = table.unpack(o.base.weight.shape)
  o.base.weight:requires_grad(false)
  if o.base.bias then o.base.bias:requires_grad(false) end
  return setmetatable({
    base = o.base, scale = (o.scale or o.rank) / o.rank,
    down = parameter(initialiser.he_uniform {gain = 1}(o.rng:fork "down", {inputs, o.rank})),
    up = parameter(core.zeros(o.rank, outputs)),
  }, Lora)
end

---@class Bilinear
---@field weight userdata (left, right, outputs)
---@field bias userdata (outputs)
local Bilinear = {}
Bilinear.__index = Bilinear

---y_k = sum_ij x_i w_ijk z_j + b_k
---@param x userdata (batch, left)
---@param z userdata (batch, right)
---@return userdata (batch, outputs)
function Bilinear:__call (x, z)
  local left, right, outputs = table.unpack(self.weight.shape)
  local a, b = x.shape, z.shape
  if #a ~= 2 or #b ~= 2 or a[1] ~= b[1] or a[2] ~= left or b[2] ~= right then
    error(("bilinear: x is (%s), z is (%s); want (batch, %d) and (batch, %d)"):format(
      table.concat(a, ", "), table.concat(b, ", "), left, right), 2)
  end
  local h = core.matmul(x, self.weight:reshape(left, right * outputs)):reshape(-1, right, outputs)
  return core.matmul(z:reshape(-1, 1, right), h):reshape(-1, outputs) + self.bias
end

---y_k = sum_ij x_i w_ijk z_j + b_k of two arguments x (batch, left) and z (batch, right).
---@param given {left: integer, right: integer, outputs: integer, rng: userdata}
---@return Bilinear
function lowrank.bilinear (given)
  local o = options.check("nn.bilinear", given,
    {left = "integer", right = "integer", outputs = "integer", rng = "rng"})
  at_least_one("nn.bilinear", {left = o.left, right = o.right, outputs = o.outputs})
  local _ <close> = core.scope()
  local draw = initialiser.normal {std = 1 / math.sqrt(o.left * o.right)}
  return setmetatable({
    weight = parameter(draw(o.rng:fork "weight", {o.left, o.right, o.outputs})),
    bias = parameter(core.zeros(o.outputs)),
  }, Bilinear)
end

return lowrank
