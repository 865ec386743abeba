-- Student's t distribution, element by element.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local gamma = require "perigee.dist.gamma"
local shape = require "perigee.dist.shape"

---@class StudentT : Distribution
---@field df userdata degrees of freedom
---@field loc userdata
---@field scale userdata
local StudentT = family.class("student_t",
  {{"df", "positive"}, {"loc", "real"}, {"scale", "positive"}}, {
    -- no mean (NaN) up to 1 degree of freedom, an infinite variance up to 2
    mean = function (self)
      return core.expand(core.where(core.gt(self.df, 1), self.loc, 0 / 0), self.shape)
    end,
    variance = function (self)
      local df, some = self.df, core.gt(self.df, 2)
      local v = core.square(self.scale) * df / core.where(some, df - 2, 1)
      return core.expand(core.where(some, v, core.where(core.gt(df, 1), math.huge, 0 / 0)),
        self.shape)
    end,
  })

---loc + scale z sqrt(df / 2 / g) with a normal draw z and g of Gamma(df / 2, 1).  The gradient by
---df is of first order only, as that of dist.gamma.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function StudentT:rsample (rng, lead)
  local sizes, half = shape.lead(lead, self.shape), self.df * 0.5
  local l = gamma.log_draw(rng, half, sizes)
  return self.loc + self.scale * (rng:normal(sizes) * core.exp((core.log(half) - l) * 0.5))
end

-- log of the beta function of 1/2 and df / 2
local function log_beta (df)
  return core.lgamma(df * 0.5) - core.lgamma(df * 0.5 + 0.5) + 0.5 * math.log(math.pi)
end

---With z = (x - loc) / scale: -(df + 1) / 2 log(1 + z^2 / df) - log(sqrt(df) B(1/2, df/2) scale),
---in nats.
---@param x userdata
---@return userdata
function StudentT:log_prob (x)
  local z = (x - self.loc) / self.scale
  return core.log1p(core.square(z) / self.df) * ((self.df + 1) * -0.5)
    - (core.log(self.df) * 0.5 + log_beta(self.df) + core.log(self.scale))
end

---@return userdata
function StudentT:entropy ()
  local df = self.df
  local h = (df + 1) * 0.5 * (core.digamma(df * 0.5 + 0.5) - core.digamma(df * 0.5))
    + core.log(df) * 0.5 + log_beta(df) + core.log(self.scale)
  return core.expand(h, self.shape)
end

---loc + scale t, where t has Student's distribution with df degrees of freedom.
---@param df userdata|number above 0
---@param loc? userdata|number 0 when absent
---@param scale? userdata|number above 0, 1 when absent
---@return StudentT
local function student_t (df, loc, scale)
  return (family.new(StudentT, df, loc or 0, scale or 1))
end

return {new = student_t, class = StudentT}
