-- Activations that are more than one operation, and activations given by name.  A gate halves its
-- axis: x = (a, b) becomes a f(b).

local core = require "perigee.core"
local linear = require "perigee.nn.linear"
local options = require "perigee.options"

local activation = {}

-- Activations that core.dense computes with the product, in the pass that adds the bias.
activation.fused = {relu = true, leaky_relu = true, tanh = true, sigmoid = true}

---The function that an option names: an operation's name or a function.
---@param what string for messages
---@param option string
---@param v string|function
---@return fun(x: userdata): userdata
function activation.of (what, option, v)
  if type(v) == "function" then return v end
  local f = core[v]
  if type(f) ~= "function" then
    error(("%s: %s = '%s' is no operation; say tanh, relu, ..., or give a function"):format(what,
      option, tostring(v)), 3)
  end
  return f
end

-- The last size of x over `divisor`.
local function last_size (what, x, divisor, level)
  local size = options.is_tensor(x) and x.shape[#x.shape]
  if not size or size % divisor ~= 0 then
    error(("%s: x is %s; its last size must be a multiple of %d"):format(what,
      size and "(" .. table.concat(x.shape, ", ") .. ")" or "a " .. options.kind(x), divisor),
      level or 4)
  end
  return size // divisor
end

local function gate (what, x, f)
  local n = last_size(what, x, 2)
  return x:slice(-1, 1, n) * f(x:slice(-1, n + 1, 2 * n))
end

---a sigmoid(b).  Dauphin et al. 2017, eq. 1.
---@param x userdata (..., 2 n)
---@return userdata (..., n)
function activation.glu (x) return gate("nn.glu", x, core.sigmoid) end

---a gelu(b).  Shazeer 2020, eq. 5.
---@param x userdata (..., 2 n)
---@return userdata (..., n)
function activation.geglu (x) return gate("nn.geglu", x, core.gelu) end

---a max(b, 0).  Shazeer 2020, eq. 5.
---@param x userdata (..., 2 n)
---@return userdata (..., n)
function activation.reglu (x) return gate("nn.reglu", x, core.relu) end

---a silu(b).  Shazeer 2020, eq. 5.
---@param x userdata (..., 2 n)
---@return userdata (..., n)
function activation.swiglu (x) return gate("nn.swiglu", x, core.silu) end

---The largest of `pieces` neighbours: (..., n pieces) -> (..., n).  Goodfellow et al. 2013, sec. 3.
---@param x userdata
---@param pieces integer
---@return userdata
function activation.maxout (x, pieces)
  if math.type(pieces) ~= "integer" or pieces < 1 then
    error(("nn.maxout: pieces is %s; give an integer of 1 or more"):format(tostring(pieces)), 2)
  end
  local shape = {}
  local n = last_size("nn.maxout", x, pieces, 3)
  for i, size in ipairs(x.shape) do shape[i] = size end
  shape[#shape], shape[#shape + 1] = n, pieces
  return x:reshape(shape):max(-1)
end

---@class Prelu
---@field slope userdata (channels)
local Prelu = {}
Prelu.__index = Prelu

---@param x userdata (..., channels)
---@return userdata
function Prelu:__call (x)
  return core.relu(x) - self.slope * core.relu(-x)
end

---x where x > 0, else slope x with a learned slope for each channel.  He et al. 2015, eq. 1; slope
---0.25 at first when absent.
---@param given {channels: integer, slope?: number}
---@return Prelu
function activation.prelu (given)
  local o = options.check("nn.prelu", given, {channels = "integer", slope = "number?"})
  if o.channels < 1 then
    error(("nn.prelu: channels = %d; it is at least 1"):format(o.channels), 2)
  end
  return setmetatable({slope = linear.parameter(core.full({o.channels}, o.slope or 0.25))}, Prelu)
end

return activation
