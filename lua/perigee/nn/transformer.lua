-- A transformer block: attention and an MLP, each behind a normalisation and around which the input
-- is added.

local attention = require "perigee.nn.attention"
local initialiser = require "perigee.nn.initialiser"
local mlp = require "perigee.nn.mlp"
local layer_norm = require "perigee.nn.norm".layer_norm
local options = require "perigee.options"

---@class TransformerBlock
---@field attention Attention
---@field cross? Attention
---@field mlp Mlp
local Block = {}
Block.__index = Block

local known_call = {context = "tensor?", mask = "tensor?", cache = "table?"}

---x + attention(norm(x)), then x + mlp(norm(x)): normalisation stands in front (Radford et al.
---2019). With a context, attention over it comes between the two.  mask and cache are those of
---nn.attention.
---@param x userdata (batch, time, inputs)
---@param given? {context?: userdata, mask?: userdata, cache?: table}
---@return userdata (batch, time, inputs)
function Block:__call (x, given)
  local o = options.check("nn.transformer_block's call", given, known_call)
  if (o.context ~= nil) ~= (self.cross ~= nil) then
    error(self.cross and "nn.transformer_block: this block looks at a context; give one"
      or "nn.transformer_block: this block was made without `context`", 2)
  end
  x = x + self.attention(self.before_attention(x), {mask = o.mask, cache = o.cache})
  if self.cross then x = x + self.cross(self.before_cross(x), {context = o.context}) end
  return x + self.mlp(self.before_mlp(x))
end

local known = {
  inputs = "integer", heads = "integer", hidden = "integer?", activation = "string|function?",
  causal = "boolean?", positions = "string?", context = "integer?", weight = "function?",
  rng = "rng",
}

---nn.transformer_block { inputs = 192, heads = 6, causal = true, rng = rng:fork "block" }
---hidden: width of the MLP, 4 inputs when absent; activation: gelu when absent; context: the size
---of what a cross-attention looks at; weight: initialiser of all weights, N(0, 0.02^2) when absent.
---@param given {inputs: integer, heads: integer, hidden?: integer, activation?: string|function,
---  causal?: boolean, positions?: string, context?: integer, weight?: function, rng: userdata}
---@return TransformerBlock
local function transformer_block (given)
  local o = options.check("nn.transformer_block", given, known)
  local weight = o.weight or initialiser.normal {std = 0.02}
  local self = {
    before_attention = layer_norm {channels = o.inputs},
    before_mlp = layer_norm {channels = o.inputs},
    attention = attention {
      inputs = o.inputs, heads = o.heads, causal = o.causal, positions = o.positions,
      weight = weight, rng = o.rng:fork "attention",
    },
    mlp = mlp {
      sizes = {o.inputs, o.hidden or 4 * o.inputs, o.inputs}, activation = o.activation or "gelu",
      weight = weight, rng = o.rng:fork "mlp",
    },
  }
  if o.context then
    self.before_cross = layer_norm {channels = o.inputs}
    self.cross = attention {
      inputs = o.inputs, heads = o.heads, context = o.context, weight = weight,
      rng = o.rng:fork "cross",
    }
  end
  return setmetatable(self, Block)
end

return transformer_block
