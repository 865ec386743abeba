-- The Laplace distribution, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Laplace : Distribution
---@field loc userdata
---@field scale userdata
local Laplace = family.class("laplace", {{"loc", "real"}, {"scale", "positive"}}, {
  mean = function (self) return core.expand(self.loc, self.shape) end,
  variance = function (self) return core.expand(core.square(self.scale) * 2, self.shape) end,
})

---loc + scale (e - e') with two exponential draws.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Laplace:rsample (rng, lead)
  local sizes = shape.lead(lead, self.shape)
  return self.loc + self.scale * (rng:exponential(sizes) - rng:exponential(sizes))
end

----|x - loc| / scale - log(2 scale), in nats.
---@param x userdata
---@return userdata
function Laplace:log_prob (x)
  return -core.abs(x - self.loc) / self.scale - core.log(self.scale * 2)
end

---1 + log(2 scale).
---@return userdata
function Laplace:entropy ()
  return core.expand(core.log(self.scale * 2) + 1, self.shape)
end

---@param x userdata
---@return userdata
function Laplace:cdf (x)
  local z = (x - self.loc) / self.scale
  return 0.5 - core.sign(z):real() * core.expm1(-core.abs(z)) * 0.5
end

---@param p userdata probabilities
---@return userdata
function Laplace:icdf (p)
  local q = p - 0.5
  return self.loc - self.scale * core.sign(q):real() * core.log1p(core.abs(q) * -2)
end

---p(x) = e^(-|x - loc| / scale) / (2 scale).
---@param loc userdata|number
---@param scale userdata|number above 0
---@return Laplace
local function laplace (loc, scale)
  return (family.new(Laplace, loc, scale))
end

return {new = laplace, class = Laplace}
