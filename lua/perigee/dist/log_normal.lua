-- e^z for z ~ N(loc, scale^2), element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

local half_log_2pi <const> = 0.5 * math.log(2 * math.pi)

---@class LogNormal : Distribution
---@field loc userdata mean of the logarithm
---@field scale userdata standard deviation of the logarithm
local LogNormal = family.class("log_normal", {{"loc", "real"}, {"scale", "positive"}}, {
  mean = function (self) return core.exp(self.loc + core.square(self.scale) * 0.5) end,
  variance = function (self)
    local s = core.square(self.scale)
    return core.expm1(s) * core.exp(self.loc * 2 + s)
  end,
})
LogNormal.support = "positive"

---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function LogNormal:rsample (rng, lead)
  return core.exp(self.loc + self.scale * rng:normal(shape.lead(lead, self.shape)))
end

---log N(log x; loc, scale^2) - log x for x > 0, -inf elsewhere; in nats.
---@param x userdata
---@return userdata
function LogNormal:log_prob (x)
  return family.supported(core.le(x, 0), x, 1, function (y)
    local l = core.log(y)
    local z = (l - self.loc) / self.scale
    return core.square(z) * -0.5 - (core.log(self.scale) + half_log_2pi + l)
  end)
end

---loc + log scale + (1 + log(2 pi)) / 2.
---@return userdata
function LogNormal:entropy () return self.loc + core.log(self.scale) + (0.5 + half_log_2pi) end

---@param x userdata
---@return userdata
function LogNormal:cdf (x)
  local none = core.le(x, 0)
  local z = (core.log(core.where(none, 1, x)) - self.loc) / self.scale
  return core.where(none, 0, core.ndtr(z))
end

---@param p userdata probabilities
---@return userdata
function LogNormal:icdf (p) return core.exp(self.loc + self.scale * core.ndtri(p)) end

---e^z for z ~ N(loc, scale^2).
---@param loc userdata|number
---@param scale userdata|number above 0
---@return LogNormal
local function log_normal (loc, scale)
  return (family.new(LogNormal, loc, scale))
end

return {new = log_normal, class = LogNormal}
