-- The Gumbel distribution of largest values, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

local EULER <const> = 0.57721566490153286061

---@class Gumbel : Distribution
---@field loc userdata
---@field scale userdata
local Gumbel = family.class("gumbel", {{"loc", "real"}, {"scale", "positive"}}, {
  mean = function (self) return self.loc + self.scale * EULER end,
  variance = function (self)
    return core.expand(core.square(self.scale) * (math.pi ^ 2 / 6), self.shape)
  end,
})

---loc - scale log(-log u).
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Gumbel:rsample (rng, lead)
  return self.loc + self.scale * rng:gumbel(shape.lead(lead, self.shape))
end

---With z = (x - loc) / scale: -z - e^-z - log scale, in nats.
---@param x userdata
---@return userdata
function Gumbel:log_prob (x)
  local z = (x - self.loc) / self.scale
  return -(z + core.exp(-z)) - core.log(self.scale)
end

---log scale + 1 + Euler's constant.
---@return userdata
function Gumbel:entropy () return core.expand(core.log(self.scale) + (1 + EULER), self.shape) end

---@param x userdata
---@return userdata
function Gumbel:cdf (x) return core.exp(-core.exp((self.loc - x) / self.scale)) end

---@param p userdata probabilities
---@return userdata
function Gumbel:icdf (p) return self.loc - self.scale * core.log(-core.log(p)) end

---p(x) = e^(-z - e^-z) / scale, z = (x - loc) / scale: the largest of many values.
---@param loc userdata|number
---@param scale userdata|number above 0
---@return Gumbel
local function gumbel (loc, scale)
  return (family.new(Gumbel, loc, scale))
end

return {new = gumbel, class = Gumbel}
