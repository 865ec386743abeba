-- A distribution whose last axes are one event: log-probabilities and entropies are summed over
-- them.

local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Independent : Distribution
---@field base table the distribution of the elements
---@field ndims integer how many of the last axes are one event
---@field event integer
local Independent = family.class("independent", {}, {
  mean = function (self) return self.base.mean end,
  variance = function (self) return self.base.variance end,
  support = function (self) return self.base.support end,
  has_rsample = function (self) return self.base.has_rsample end,
})

function Independent:sample (rng, lead) return self.base:sample(rng, lead) end

function Independent:rsample (rng, lead) return self.base:rsample(rng, lead) end

---Sum x over the axes of one event.
---@param x userdata
---@return userdata
function Independent:total (x)
  return shape.sum_last(x, self.ndims)
end

---The base's log p(x), summed over the axes of one event.
---@param x userdata
---@return userdata
function Independent:log_prob (x) return self:total(self.base:log_prob(x)) end

---@return userdata
function Independent:entropy () return self:total(self.base:entropy()) end

---The base with its last ndims axes as one event: log-probabilities and entropies are summed over
---them.
---@param base table a distribution
---@param ndims? integer 1 when absent
---@return Independent
local function independent (base, ndims)
  ndims = ndims or 1
  if type(base) ~= "table" or not base.log_prob then
    error(("dist.independent: base is a %s; give a distribution"):format(type(base)), 2)
  end
  if math.type(ndims) ~= "integer" or ndims < 0 or ndims > #base.shape - (base.event or 0) then
    error(("dist.independent: %s last axes of a distribution of shape (%s); give 0 to %d"):format(
      tostring(ndims), table.concat(base.shape, ", "), #base.shape - (base.event or 0)), 2)
  end
  return setmetatable({base = base, ndims = ndims, shape = base.shape,
    event = ndims + (base.event or 0)}, Independent)
end

return {new = independent, class = Independent}
