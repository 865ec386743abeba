-- The von Mises distribution of an angle in radians, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class VonMises : Distribution
---@field loc userdata radians
---@field concentration userdata 0 (uniform) or more
local VonMises = family.class("von_mises",
  {{"loc", "real"}, {"concentration", "nonnegative"}}, {
    mean = function (self) return core.expand(self.loc, self.shape) end,
    -- of the circle: 1 - |E e^(i x)|
    variance = function (self)
      local k = self.concentration
      return core.expand(1 - core.i1e(k) / core.i0e(k), self.shape)
    end,
  })
VonMises.support = "angle"

---Best & Fisher 1979.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata in [-pi, pi]
function VonMises:sample (rng, lead)
  local k = core.expand(self.concentration:detach(), shape.lead(lead, self.shape))
  local x = self.loc:detach() + rng:von_mises(k)
  return x - core.round(x / (2 * math.pi)):real() * (2 * math.pi)
end

---concentration (cos(x - loc) - 1) - log(2 pi I0(concentration) e^-concentration), in nats; of
---period 2 pi in x.
---@param x userdata
---@return userdata
function VonMises:log_prob (x)
  local k = self.concentration
  return k * core.square(core.sin((x - self.loc) * 0.5)) * -2
    - (core.log(core.i0e(k)) + math.log(2 * math.pi))
end

---@return userdata
function VonMises:entropy ()
  return self.variance * self.concentration
    + core.log(core.i0e(self.concentration)) + math.log(2 * math.pi)
end

---p(x) in proportion to e^(concentration cos(x - loc)), x an angle in radians.
---@param loc userdata|number radians
---@param concentration userdata|number 0 or more
---@return VonMises
local function von_mises (loc, concentration)
  return (family.new(VonMises, loc, concentration))
end

return {new = von_mises, class = VonMises}
