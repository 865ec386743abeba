-- Residual blocks: x + f(x) around any module, and the block of affine layers that flows and
-- autoregressive estimators use.

local core = require "perigee.core"
local activation_of = require "perigee.nn.activation".of
local glu = require "perigee.nn.activation".glu
local initialiser = require "perigee.nn.initialiser"
local linear = require "perigee.nn.linear".linear
local options = require "perigee.options"

local residual = {}

---@class Residual
---@field body table|function
---@field skip table|function|nil
---@field scale number
local Residual = {}
Residual.__index = Residual

---@param x userdata
---@return userdata
function Residual:__call (x, ...)
  local y = self.body(x, ...)
  if self.scale ~= 1 then y = y * self.scale end
  return (self.skip and self.skip(x) or x) + y
end

---skip(x) + scale body(x); skip (default none: x itself) changes the size where body does.
---He et al. 2016.
---@param given {body: table|function, skip?: table|function, scale?: number}
---@return Residual
function residual.residual (given)
  local o = options.check("nn.residual", given,
    {body = "table|function", skip = "table|function?", scale = "number?"})
  return setmetatable({body = o.body, skip = o.skip, scale = o.scale or 1}, Residual)
end

---@class ResidualBlock
---@field first Linear
---@field second Linear
---@field context Linear?
---@field activation fun(x: userdata): userdata
local Block = {}
Block.__index = Block

---@param x userdata (..., size)
---@param context? userdata (..., context)
---@return userdata (..., size)
function Block:__call (x, context)
  local h = self.first(self.activation(x))
  if self.context then
    if not context then error("residual block: the context is missing", 2) end
    h = h + self.context(context)
  end
  h = self.activation(h)
  if self.gated then return x + glu(self.second(h)) end
  return x + self.second(h)
end

local known = {
  size = "integer", hidden = "integer?", activation = "string|function?", gated = "boolean?",
  context = "integer?", zero = "boolean?", rng = "rng",
}

---x + w2 f(w1 f(x) + wc c): activations before the layers (He et al. 2016b).  hidden is size when
---absent, a bottleneck when less; gated makes the branch a sigmoid(b) of a twice as wide output
---(van den Oord et al. 2016; Durkan et al. 2019); context adds an affine layer of a second
---argument.  The last layer starts at 0, and so the block as the identity, unless zero is false.
---@param given {size: integer, hidden?: integer, activation?: string|function, gated?: boolean,
---  context?: integer, zero?: boolean, rng: userdata}
---@return ResidualBlock
function residual.block (given)
  local o = options.check("nn.residual_block", given, known)
  local hidden, rng = o.hidden or o.size, o.rng
  for name, v in pairs {size = o.size, hidden = hidden, context = o.context} do
    if v < 1 then error(("nn.residual_block: %s = %d; it is at least 1"):format(name, v), 2) end
  end
  local _ <close> = core.scope()
  local self = {
    activation = activation_of("nn.residual_block", "activation", o.activation or "relu"),
    gated = o.gated or false,
    first = linear {inputs = o.size, outputs = hidden, rng = rng:fork "first",
      weight = initialiser.he_normal()},
    second = linear {inputs = hidden, outputs = o.gated and 2 * o.size or o.size,
      rng = rng:fork "second", weight = o.zero ~= false and initialiser.zeros() or nil},
  }
  if o.context then
    self.context = linear {inputs = o.context, outputs = hidden, rng = rng:fork "context"}
  end
  return setmetatable(self, Block)
end

return residual
