-- Coupling layers (Dinh et al. 2015, 2017): some features stay and tell how the others change.

local check = require "perigee.flow.check"
local choose = require "perigee.flow.choose"
local core = require "perigee.core"
local nn = require "perigee.nn"
local options = require "perigee.options"

---@class Coupling
---@field net table (..., kept [+ context]) -> (..., changed * outputs)
---@field features integer
---@field kept integer number of features that stay
---@field order userdata? where the features stand: those that stay, then the others
---@field back userdata? and the way back
local Coupling = {}
Coupling.__index = Coupling

local function split (self, x)
  if self.order then x = core.index_select(x, self.order, -1) end
  local kept, features = self.kept, self.features
  return x:slice(-1, 1, kept), x:slice(-1, kept + 1, features)
end

local function join (self, kept, changed)
  local x = core.concat({kept, changed}, -1)
  return self.back and core.index_select(x, self.back, -1) or x
end

local function parameters (self, kept, context)
  local p
  if self.own_net then p = self.net(kept, context)
  elseif self.context > 0 then
    check.features("coupling: the context", context, self.context)
    p = self.net(core.concat({kept, context}, -1))
  else p = self.net(kept) end
  local shape, outputs = kept.shape, self.transform.outputs
  shape[#shape], shape[#shape + 1] = self.features - self.kept, outputs
  return p:reshape(shape)
end

---One part of the features, moved by what the other part and the context say.
---@param x userdata (..., features)
---@param context? userdata (..., context)
---@return userdata y (..., features)
---@return userdata logdet (...)
function Coupling:forward (x, context)
  check.features("coupling", x, self.features)
  local kept, changed = split(self, x)
  local y, slopes = self.transform.forward(changed, parameters(self, kept, context))
  return join(self, kept, y), slopes:sum(-1)
end

---The map backwards, and the logarithm of its volume change.
---@param y userdata (..., features)
---@param context? userdata (..., context)
---@return userdata x (..., features)
---@return userdata logdet (...)
function Coupling:inverse (y, context)
  check.features("coupling", y, self.features)
  local kept, changed = split(self, y)
  local x, slopes = self.transform.inverse(changed, parameters(self, kept, context))
  return join(self, kept, x), slopes:sum(-1)
end

-- The features that stay, as a list.
local function kept_features (o)
  local n, keep = o.features, o.keep or "first"
  local half, list = n // 2, {}
  if type(keep) == "table" then return keep end
  for i = 1, n do
    local stays
    if keep == "first" then stays = i <= half
    elseif keep == "last" then stays = i > n - half
    elseif keep == "odd" then stays = i % 2 == 1
    elseif keep == "even" then stays = i % 2 == 0
    else
      error(("flow.coupling: keep = '%s'; say first, last, odd, even or give a list"):format(keep),
        3)
    end
    if stays then list[#list + 1] = i end
  end
  return list
end

-- The order that puts the kept features first, its inverse, and whether it changes anything.
local function orders (features, kept)
  local order, back, seen = {}, {}, {}
  for i, k in ipairs(kept) do
    if math.type(k) ~= "integer" or k < 1 or k > features or seen[k] then
      error(("flow.coupling: keep: entry %d is %s; give different features of 1..%d"):format(i,
        tostring(k), features), 3)
    end
    seen[k], order[i] = true, k
  end
  for k = 1, features do
    if not seen[k] then order[#order + 1] = k end
  end
  local moved = false
  for i, k in ipairs(order) do
    back[k] = i
    moved = moved or i ~= k
  end
  return order, back, moved
end

local function default_net (o, inputs, outputs)
  local sizes = {inputs}
  for _, size in ipairs(o.hidden) do sizes[#sizes + 1] = size end
  sizes[#sizes + 1] = outputs
  local net = nn.mlp {sizes = sizes, activation = o.activation, rng = o.rng}
  local last = net[#net].weight
  last:assign(core.zeros(last.shape))
  return net
end

local known = {
  features = "integer", keep = "string|table?", transform = "string?", limit = "number?",
  bins = "integer?", bound = "number?", net = "table|function?", hidden = "table?",
  activation = "string|function?", context = "integer?", rng = "rng?",
}

---flow.coupling { features = 2, keep = "first", hidden = {64, 64}, rng = rng }
---keep: the features that stay, "first" or "last" half, "odd", "even", or a list.
---transform: "affine" (log scales within limit, 5), "additive", "spline" (8 bins on [-3, 3]).
---Its parameters come from an mlp of sizes `hidden`, which starts the layer as the identity and
---reads kept features and context side by side; or from `net`, a module called with (kept, context)
---that answers (..., changed * parameters).
---@param given {features: integer, keep?: string|integer[], transform?: string, limit?: number,
---  bins?: integer, bound?: number, net?: table|function, hidden?: integer[],
---  activation?: string|function, context?: integer, rng?: userdata}
---@return Coupling
return function (given)
  local o = options.check("flow.coupling", given, known)
  if o.features < 2 then
    error(("flow.coupling: features = %d; it is at least 2"):format(o.features), 2)
  end
  local kept = kept_features(o)
  if #kept == 0 or #kept >= o.features then
    error(("flow.coupling: keep has %d of %d features; some must stay and some change"):format(
      #kept, o.features), 2)
  end
  local order, back, moved = orders(o.features, kept)
  local self = {
    features = o.features, kept = #kept, context = o.context or 0, own_net = o.net ~= nil,
    transform = choose("flow.coupling", o),
  }
  if moved then
    self.order = core.tensor(order, "index"):keep()
    self.back = core.tensor(back, "index"):keep()
  end
  if not o.net and not (o.hidden and o.rng) then
    error("flow.coupling: give hidden sizes and rng, or a net", 2)
  end
  self.net = o.net or default_net(o, #kept + self.context,
    (o.features - #kept) * self.transform.outputs)
  return setmetatable(self, Coupling)
end
