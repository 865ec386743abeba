-- The normal distribution, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

---@class Normal : Distribution
---@field mean userdata|number
---@field scale userdata|number standard deviation
---@field log_scale userdata|number
---@field shape integer[]
---@field variance userdata computed when asked for
local Normal = family.class("normal", {{"mean", "real"}, {"scale", "positive"}}, {
  variance = function (self)
    return core.expand(core.square(self.scale), self.shape)
  end,
})

local half_log_2pi = 0.5 * math.log(2 * math.pi)

---mean + scale e with e ~ N(0, 1), differentiable in both.  Kingma & Welling 2014, sec. 2.4.
---@param rng userdata
---@param lead? integer|integer[] sizes put before the distribution's own shape
---@return userdata
function Normal:rsample (rng, lead)
  return self.mean + self.scale * rng:normal(shape.lead(lead, self.shape))
end

---log p(x) = -((x - mean) / scale)^2 / 2 - log scale - log(2 pi) / 2, in nats.
---@param x userdata
---@return userdata of the shape that x and the parameters broadcast to
function Normal:log_prob (x)
  return core.square((x - self.mean) / self.scale) * -0.5 - (self.log_scale + half_log_2pi)
end

---log scale + (1 + log(2 pi)) / 2, in nats.
---@return userdata
function Normal:entropy ()
  return core.zeros(self.shape) + (self.log_scale + (0.5 + half_log_2pi))
end

---@param x userdata
---@return userdata
function Normal:cdf (x) return core.ndtr((x - self.mean) / self.scale) end

---@param p userdata probabilities
---@return userdata
function Normal:icdf (p) return self.mean + self.scale * core.ndtri(p) end

---N(mean, scale^2).  log_scale may be given when it is at hand, which saves taking the logarithm of
---an exponential.
---@param mean userdata|number
---@param scale userdata|number above 0
---@param log_scale? userdata|number
---@return Normal
local function normal (mean, scale, log_scale)
  shape.check_parameter("dist.normal", "mean", mean)
  shape.check_parameter("dist.normal", "scale", scale)
  if type(scale) == "number" and (scale ~= scale or scale <= 0) then
    error(("dist.normal: scale is %g; it is above 0"):format(scale), 2)
  end
  if not log_scale then log_scale = type(scale) == "number" and math.log(scale) or scale:log() end
  return setmetatable({
    mean = mean, scale = scale, log_scale = log_scale,
    shape = shape.broadcast("dist.normal", mean, scale),
  }, Normal)
end

return {new = normal, class = Normal}
