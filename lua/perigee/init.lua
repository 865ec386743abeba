-- The module a script requires: the core's tensors and operations, and the library's rooms, each
-- loaded when it is first mentioned.

local core = require "perigee.core"

---@class perigee
local peri = {}
for name, value in pairs(core) do peri[name] = value end
for name, value in pairs(require "perigee.movement") do peri[name] = value end

--- Gradients of a result by tensors or by all parameters of a module.
---@param y Tensor the result, of one element unless opts.seed is given
---@param x Tensor|Tensor[]|table a tensor, a list of tensors, or a module
---@param opts? { create_graph: boolean, keep_graph: boolean, seed: Tensor }
---@return Tensor[] gradients in the order of the list, or of the module's sorted walk
function peri.grad(y, x, opts)
  if type(x) == "table" then
    local first = type(rawget(x, 1))       -- a plain table is a module unless it lists tensors
    if getmetatable(x) or first == "nil" or first == "table" then
      x = require "perigee.nn.walk".trainable(x)
    end
  end
  return core.grad(y, x, opts)
end

local rooms = {
  nn = true, optim = true, dist = true, flow = true, data = true, linalg = true, einsum = true,
  help = true,
}

return setmetatable(peri, {
  rooms = rooms,                           -- for completion at the prompt
  __index = function (t, name)
    local value
    if rooms[name] then value = require("perigee." .. name)
    elseif name == "run" then value = require("perigee.run").start
    else value = core[name] end
    rawset(t, name, value)
    return value
  end,
})
