-- The uniform distribution on an interval, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Uniform : Distribution
---@field low userdata
---@field high userdata
local Uniform = family.class("uniform", {{"low", "real"}, {"high", "real"}}, {
  mean = function (self) return (self.low + self.high) * 0.5 end,
  variance = function (self) return core.square(self.high - self.low) / 12 end,
})
Uniform.support = "interval"

---low + (high - low) u.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function Uniform:rsample (rng, lead)
  return self.low + (self.high - self.low) * rng:uniform(shape.lead(lead, self.shape))
end

----log(high - low) in [low, high], -inf elsewhere; in nats.
---@param x userdata
---@return userdata
function Uniform:log_prob (x)
  return core.where(family.out_of(x, self.low, self.high), -math.huge, -self:entropy())
end

---@return userdata
function Uniform:entropy () return core.log(self.high - self.low) end

---@param x userdata
---@return userdata
function Uniform:cdf (x) return core.clamp((x - self.low) / (self.high - self.low), 0, 1) end

---@param p userdata probabilities
---@return userdata
function Uniform:icdf (p) return self.low + (self.high - self.low) * p end

---p(x) = 1 / (high - low) between low and high.
---@param low userdata|number
---@param high userdata|number above low
---@return Uniform
local function uniform (low, high)
  local rising = type(low) ~= "number" or type(high) ~= "number" or low < high
  if not rising then
    error(("dist.uniform: low is %g and high is %g; low is below high"):format(low, high), 2)
  end
  return (family.new(Uniform, low, high))
end

return {new = uniform, class = Uniform}
