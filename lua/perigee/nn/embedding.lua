-- A table of vectors looked up by index.

local core = require "perigee.core"
local initialiser = require "perigee.nn.initialiser"
local options = require "perigee.options"
local parameter = require "perigee.nn.linear".parameter

---@class Embedding
---@field weight userdata (count, size)
local Embedding = {}
Embedding.__index = Embedding

---@param index userdata index tensor of any shape, counting from 1
---@return userdata (index's shape, size)
function Embedding:__call (index)
  if not options.is_tensor(index) or index.dtype ~= "index" then
    error("embedding: give an index tensor, not a " .. (options.is_tensor(index)
      and index.dtype .. " one" or options.kind(index)), 2)
  end
  local shape = index.shape
  shape[#shape + 1] = self.weight.shape[2]
  return core.index_select(self.weight, index:reshape(-1), 1):reshape(shape)
end

local known = {count = "integer", size = "integer", rng = "rng", weight = "function?"}

---A module that answers a vector of `size` for each index in 1..count.
---weight: initialiser, N(0, 1) when absent.
---@param given {count: integer, size: integer, rng: userdata, weight?: function}
---@return Embedding
return function (given)
  local o = options.check("nn.embedding", given, known)
  if o.count < 1 or o.size < 1 then
    error(("nn.embedding: count = %d, size = %d; both are at least 1"):format(o.count, o.size), 2)
  end
  local _ <close> = core.scope()
  local weight = o.weight or initialiser.normal()
  return setmetatable({weight = parameter(weight(o.rng:fork "weight", {o.count, o.size}))},
    Embedding)
end
