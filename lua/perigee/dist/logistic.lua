-- The logistic distribution, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Logistic : Distribution
---@field loc userdata
---@field scale userdata
local Logistic = family.class("logistic", {{"loc", "real"}, {"scale", "positive"}}, {
  mean = function (self) return core.expand(self.loc, self.shape) end,
  variance = function (self)
    return core.expand(core.square(self.scale) * (math.pi ^ 2 / 3), self.shape)
  end,
})

---loc + scale log(u / (1 - u)).
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Logistic:rsample (rng, lead)
  return self:icdf(family.open_uniform(rng, shape.lead(lead, self.shape)))
end

---With z = (x - loc) / scale: -z - 2 log(1 + e^-z) - log scale, in nats.
---@param x userdata
---@return userdata
function Logistic:log_prob (x)
  local z = (x - self.loc) / self.scale
  return core.log_sigmoid(z) + core.log_sigmoid(-z) - core.log(self.scale)
end

---2 + log scale.
---@return userdata
function Logistic:entropy () return core.expand(core.log(self.scale) + 2, self.shape) end

---@param x userdata
---@return userdata
function Logistic:cdf (x) return core.sigmoid((x - self.loc) / self.scale) end

---@param p userdata probabilities
---@return userdata
function Logistic:icdf (p)
  return self.loc + self.scale * core.logit(p)
end

---p(x) = e^-z / (scale (1 + e^-z)^2), z = (x - loc) / scale.
---@param loc userdata|number
---@param scale userdata|number above 0
---@return Logistic
local function logistic (loc, scale)
  return (family.new(Logistic, loc, scale))
end

return {new = logistic, class = Logistic}
