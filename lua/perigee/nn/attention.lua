-- Attention of several heads: over the input itself or over a context, with a cache of keys and
-- values for generation.

local core = require "perigee.core"
local linear = require "perigee.nn.linear".linear
local options = require "perigee.options"
local position = require "perigee.nn.position"

---@class Attention
---@field query Linear (inputs -> heads size)
---@field key Linear (context -> heads size)
---@field value Linear (context -> heads size)
---@field output Linear (heads size -> outputs)
local Attention = {}
Attention.__index = Attention

-- (batch, time, heads size) -> (batch, heads, time, size), a view
local function cut (x, heads)
  local s = x.shape
  return x:reshape(s[1], s[2], heads, s[3] // heads):permute {1, 3, 2, 4}
end

-- The other way; attention's result lies in memory so that this copies nothing.
local function join (x)
  local s = x.shape
  return x:permute {1, 3, 2, 4}:reshape(s[1], s[3], s[2] * s[4])
end

-- Put x (batch, heads, time, size) behind what the cache holds under a name, whose room grows by
-- doubling.  Returns a view of all.  Time stands first in memory, so that a position is a block.
local function append (cache, name, x)
  local used, s, room = cache.length or 0, x.shape, cache[name]
  local need = used + s[3]
  if not room or room.shape[1] < need then
    local capacity = math.max(64, need, room and 2 * room.shape[1] or 0)
    local bigger = core.zeros(capacity, s[1], s[2], s[4])
    if used > 0 then bigger:slice(1, 1, used):assign(room:slice(1, 1, used)) end
    room = bigger:keep()
    cache[name] = room
  end
  room:slice(1, used + 1, need):assign(x:detach():permute {3, 1, 2, 4})
  return room:slice(1, 1, need):permute {2, 3, 1, 4}
end

local known_call = {context = "tensor?", mask = "tensor?", cache = "table?"}

---softmax(q k' / sqrt(size) + mask) v for each head, joined and projected.  Vaswani et al. 2017,
---sec. 3.2.2.  mask: bytes, 1 where a query may look, or reals to add, that broadcast to (batch,
---heads, queries, keys).  cache: a table, empty at first, that keys and values of the positions so
---far are kept in; x then holds the positions that follow, and no gradient flows into the cache.
---@param x userdata (batch, time, inputs)
---@param given? {context?: userdata, mask?: userdata, cache?: table} context (batch, keys, context)
---@return userdata (batch, time, outputs)
function Attention:__call (x, given)
  local o = options.check("nn.attention's call", given, known_call)
  local source, cache = o.context or x, o.cache
  if #x.shape ~= 3 or #source.shape ~= 3 then
    error(("nn.attention: x and context are (batch, time, size); they have %d and %d axes"):format(
      #x.shape, #source.shape), 2)
  end
  if cache and o.context then
    error("nn.attention: a cache is for attention over x itself, not over a context", 2)
  end
  local before = cache and cache.length or 0
  local q, k = cut(self.query(x), self.heads), cut(self.key(source), self.heads)
  local v = cut(self.value(source), self.heads)
  if self.rotary then
    q, k = position.rotary(q, before, self.base), position.rotary(k, before, self.base)
  end
  if cache then
    k, v = append(cache, "key", k), append(cache, "value", v)
    cache.length = before + x.shape[2]
  end
  local mask = o.mask
  if self.alibi then
    local slopes = position.alibi(self.heads, q.shape[3], k.shape[3])
    if mask == nil then mask = slopes
    elseif mask.dtype == "byte" then mask = core.where(mask, slopes, -math.huge)
    else mask = mask + slopes end
  end
  return self.output(join(core.attention(q, k, v, mask, self.causal)))
end

local known = {
  inputs = "integer", heads = "integer", size = "integer?", context = "integer?",
  outputs = "integer?", causal = "boolean?", positions = "string?", base = "number?",
  bias = "boolean?", weight = "function?", rng = "rng",
}

local schemes = {none = true, rotary = true, alibi = true}

---nn.attention { inputs = 192, heads = 6, causal = true, rng = rng:fork "attention" }
---size of a head: inputs / heads when absent.  context: the size of what is looked at, when that is
---not x.  positions: "none" (default), "rotary" with `base` (10000), or "alibi".  weight and bias
---are those of the four affine layers, as in nn.linear.
---@param given {inputs: integer, heads: integer, size?: integer, context?: integer,
---  outputs?: integer, causal?: boolean, positions?: string, base?: number, bias?: boolean,
---  weight?: function, rng: userdata}
---@return Attention
local function attention (given)
  local o = options.check("nn.attention", given, known)
  if o.heads < 1 then error(("nn.attention: heads = %d; at least 1"):format(o.heads), 2) end
  if not o.size and o.inputs % o.heads ~= 0 then
    error(("nn.attention: inputs = %d do not divide by heads = %d; say the size of a head"):format(
      o.inputs, o.heads), 2)
  end
  if o.causal and o.context then
    error("nn.attention: causal is for attention over x itself, not over a context", 2)
  end
  local positions = o.positions or "none"
  if not schemes[positions] then
    error(("nn.attention: positions = '%s'; known: alibi, none, rotary"):format(positions), 2)
  end
  local width = o.heads * (o.size or o.inputs // o.heads)
  if positions == "rotary" and width // o.heads % 2 == 1 then
    error(("nn.attention: rotary positions pair a head's entries, whose number is odd: %d"):format(
      width // o.heads), 2)
  end
  local function layer (name, inputs, outputs)
    return linear {
      inputs = inputs, outputs = outputs, rng = o.rng:fork(name), weight = o.weight, bias = o.bias,
    }
  end
  local source = o.context or o.inputs
  return setmetatable({
    query = layer("query", o.inputs, width), key = layer("key", source, width),
    value = layer("value", source, width), output = layer("output", width, o.outputs or o.inputs),
    heads = o.heads, causal = o.causal or false, base = o.base,
    rotary = positions == "rotary", alibi = positions == "alibi",
  }, Attention)
end

return attention
