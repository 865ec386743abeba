-- A distribution seen through an invertible map: y = f(x) for draws x of the base.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Transformed : Distribution
---@field base table a distribution
---@field bijector Bijector
---@field event integer
local Transformed = family.class("transformed", {}, {
  support = function (self) return self.bijector.support or self.base.support end,
})

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Transformed:rsample (rng, lead)
  return self.bijector:forward(self.base:rsample(rng, lead))
end

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Transformed:sample (rng, lead)
  return core.no_grad(self.bijector.forward, self.bijector, self.base:sample(rng, lead))
end

---log p(y) = log p_base(x) - log |det dy/dx| with x = inverse(y), in nats.
---@param y userdata
---@return userdata
function Transformed:log_prob (y)
  local x, f = self.bijector:inverse(y), self.bijector
  return shape.sum_last(self.base:log_prob(x), self.event - (self.base.event or 0))
    - shape.sum_last(f:log_det(x, y), self.event - f.event)
end

---Draws with their log p, without the way back.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata y
---@return userdata log_prob
function Transformed:rsample_with_log_prob (rng, lead)
  local x, f = self.base:rsample(rng, lead), self.bijector
  local y = f:forward(x)
  return y, shape.sum_last(self.base:log_prob(x), self.event - (self.base.event or 0))
    - shape.sum_last(f:log_det(x, y), self.event - f.event)
end

---y = f(x) for draws x of the base.
---@param base table a distribution
---@param f Bijector as in dist.bijector, that keeps shapes
---@return Transformed
local function transformed (base, f)
  if type(base) ~= "table" or not base.log_prob then
    error(("dist.transformed: base is a %s; give a distribution"):format(type(base)), 2)
  end
  if type(f) ~= "table" or not f.log_det then
    error(("dist.transformed: f is a %s; give a bijector"):format(type(f)), 2)
  end
  local event = math.max(base.event or 0, f.event)
  if event > #base.shape then
    error(("dist.transformed: the map takes %d axes and the base's draws have shape (%s)"):format(
      f.event, table.concat(base.shape, ", ")), 2)
  end
  return setmetatable({base = base, bijector = f, event = event, shape = base.shape}, Transformed)
end

return {new = transformed, class = Transformed}
