-- The Dirichlet distribution over the simplex of the last axis, which is one event.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local gamma = require "perigee.dist.gamma"
local shape = require "perigee.dist.shape"

---@class Dirichlet : Distribution
---@field concentration userdata (..., classes)
local Dirichlet = family.class("dirichlet", {{"concentration", "positive"}}, {
  mean = function (self) return self.concentration / core.sum(self.concentration, -1, true) end,
  variance = function (self)
    local mean, total = self.mean, core.sum(self.concentration, -1, true)
    return mean * (1 - mean) / (total + 1)
  end,
})
Dirichlet.event = 1
Dirichlet.support = "simplex"

---Gamma draws divided by their sum.  The gradient is of first order only, as that of dist.gamma.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Dirichlet:rsample (rng, lead)
  local l = gamma.log_draw(rng, self.concentration, shape.lead(lead, self.shape))
  return core.maximum(core.softmax(l, -1), 2^-126)
end

---sum log Gamma(a_k) - log Gamma(sum a_k).
---@return userdata
function Dirichlet:log_norm ()
  local a = self.concentration
  return core.sum(core.lgamma(a), -1) - core.lgamma(core.sum(a, -1))
end

---sum (a_k - 1) log x_k - log_norm(), in nats; x is taken to add to one, and -inf where an entry is
---negative.
---@param x userdata (..., classes)
---@return userdata without the last axis
function Dirichlet:log_prob (x)
  local y = family.supported(core.lt(x, 0), x, 0.5, function (y)
    return family.xlogy(self.concentration - 1, y)
  end)
  return core.sum(y, -1) - self:log_norm()
end

---@return userdata without the last axis
function Dirichlet:entropy ()
  local a, classes = self.concentration, self.shape[#self.shape]
  local total = core.sum(a, -1)
  return self:log_norm() + (total - classes) * core.digamma(total)
    - core.sum((a - 1) * core.digamma(a), -1)
end

---p(x) in proportion to the product of x_k^(concentration_k - 1) on the simplex of the last axis,
---which is one event.
---@param concentration userdata (..., classes), above 0
---@return Dirichlet
local function dirichlet (concentration)
  shape.check_parameter("dist.dirichlet", "concentration", concentration, true)
  if #concentration.shape == 0 then
    error("dist.dirichlet: concentration of shape () has no axis of classes", 2)
  end
  return (family.new(Dirichlet, concentration))
end

return {new = dirichlet, class = Dirichlet}
