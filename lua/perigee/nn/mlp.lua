-- A stack of affine layers with one activation between them.

local activation_of = require "perigee.nn.activation".of
local core = require "perigee.core"
local fused = require "perigee.nn.activation".fused
local initialiser = require "perigee.nn.initialiser"
local linear = require "perigee.nn.linear".linear
local Linear = require "perigee.nn.linear".Linear
local options = require "perigee.options"

---@class Mlp
---@field activation fun(x: userdata): userdata
---@field word? string its name where it is fused with the layer
---@field output? fun(x: userdata): userdata
local Mlp = {}
Mlp.__index = Mlp

---@param x userdata (..., sizes[1])
---@return userdata (..., sizes[#sizes])
function Mlp:__call (x)
  local n, activation, word = #self, self.activation, self.word
  for i = 1, n - 1 do
    local layer = self[i]
    if word and getmetatable(layer) == Linear then      -- another layer may have taken its place
      x = core.dense(x, layer.weight, layer.bias or 0, word)
    else
      x = activation(layer(x))
    end
  end
  x = self[n](x)
  return self.output and self.output(x) or x
end

-- Weights for what follows them: He et al. 2015 for rectifiers, else Glorot & Bengio 2010.
local rectifiers = {relu = true, leaky_relu = true, elu = true, silu = true, gelu = true}

local known = {
  sizes = "table", activation = "string|function?", output = "string|function?", rng = "rng",
  weight = "function?", bias = "function|boolean?",
}

---nn.mlp { sizes = {784, 200, 200}, activation = "tanh", rng = rng:fork "net" } activation (default
---relu) stands between the layers, output (default none) after the last.  weight and bias are
---initialisers for every layer as in nn.linear; weight fits the activation when absent.  Layer i
---draws from rng:fork(i) and its parameters are named "i.weight" and "i.bias".
---@param given {sizes: integer[], activation?: string|function, output?: string|function,
---  rng: userdata, weight?: function, bias?: function|false}
---@return Mlp
local function mlp (given)
  local o = options.check("nn.mlp", given, known)
  if #o.sizes < 2 then
    error(("nn.mlp: sizes has %d entries; give at least {inputs, outputs}"):format(#o.sizes), 2)
  end
  local activation = o.activation or "relu"
  local self = {
    activation = activation_of("nn.mlp", "activation", activation),
    word = fused[activation] and activation or nil,
  }
  self.output = o.output and activation_of("nn.mlp", "output", o.output) or nil
  local fitting = rectifiers[activation] and initialiser.he_normal() or initialiser.xavier_uniform()
  for i = 1, #o.sizes - 1 do
    self[i] = linear {
      inputs = o.sizes[i], outputs = o.sizes[i + 1], rng = o.rng:fork(tostring(i)),
      weight = o.weight or fitting, bias = o.bias,
    }
  end
  return setmetatable(self, Mlp)
end

return mlp
