-- What the families share: classes whose moments are computed when asked for, parameters that are
-- checked, and refusals that say what to do instead.  Knows no family.

local core = require "perigee.core"
local shape = require "perigee.dist.shape"

local family = {}

local INF <const> = math.huge

---x as a tensor.
---@param x userdata|number
---@return userdata
function family.tensor (x)
  return type(x) == "number" and core.tensor(x) or x
end

-- What a parameter may be: a test of a number and of a tensor (1 where it is good).
local constraints = {
  real = {"finite", function (v) return v - v == 0 end, core.is_finite},
  positive = {"above 0", function (v) return v > 0 end, function (x) return core.gt(x, 0) end},
  nonnegative = {"0 or more", function (v) return v >= 0 end,
    function (x) return core.ge(x, 0) end},
  count = {"a whole number, 0 or more", function (v) return v >= 0 and v % 1 == 0 end,
    function (x) return core.eq(core.maximum(core.floor(x), 0), x) end},
  logits = {"a number or infinite", function (v) return v == v end,
    function (x) return core.eq(x, x) end},
}

---What a distribution answers when its family says nothing else.
---@class Distribution
---@field name string as in dist.NAME
---@field shape integer[] of one draw
---@field event integer how many of the last axes of a draw are one event: log_prob has one value
---  for an event
---@field support string where draws lie: real, positive, nonnegative, unit, simplex, interval,
---  angle, count, binary or class
---@field mean userdata|number
---@field variance userdata|number
---@field has_rsample boolean
local Distribution = {event = 0, support = "real"}

---Draws that no gradient passes.
---@param rng userdata
---@param lead? integer|integer[] sizes put before the distribution's own shape
---@return userdata
function Distribution:sample (rng, lead)
  return core.no_grad(self.rsample, self, rng, lead)
end

local function refuse (self, what, instead)
  error(("dist.%s: no %s; %s"):format(self.name, what, instead), 3)
end

---Draws that carry the gradient of the parameters, where there are such.
function Distribution:rsample ()
  local s = self.support
  local discrete = s == "count" or s == "binary" or s == "class"
  refuse(self, discrete and "rsample, since draws are discrete"
    or "rsample, since draws have no path of derivatives",
    "use sample, and the score function log_prob for gradients")
end

---- E log p, in nats.
---@return userdata
function Distribution:entropy ()
  refuse(self, "entropy in closed form", "estimate it: -d:log_prob(d:sample(rng, n)):mean(1)")
end

---P(X <= x).
---@return userdata
function Distribution:cdf ()
  refuse(self, "cumulative probability in closed form", "count draws: d:sample(rng, n) <= x")
end

---The quantile: the x with P(X <= x) = p.
---@return userdata
function Distribution:icdf ()
  refuse(self, "quantiles in closed form", "sort draws: d:sample(rng, n)")
end

---All outcomes on a new first axis, where they are finitely many.
function Distribution:enumerate ()
  refuse(self, "finite list of outcomes", "draw them: d:sample(rng, n)")
end

---Look at the values of the parameters that are tensors.  Making a distribution looks at shapes and
---at numbers only, since reading tensors would cost a training step a pass for each.
---@return table self
function Distribution:check ()
  for _, p in ipairs(self.parameters or {}) do
    local want, _, good = table.unpack(constraints[p[2]])
    local x = family.tensor(self[p[1]])
    local bad = x:count() - core.sum(good(x):real()):item()
    if bad > 0 then
      error(("dist.%s: %d of %d entries of %s are not %s"):format(self.name, bad, x:count(), p[1],
        want), 2)
    end
  end
  return self
end

---A class of distributions.
---@param name string
---@param parameters table[] a list of {name, constraint} in the order of the constructor
---@param fields table<string, fun(self: table): any> what is computed when asked for
---@return table class
function family.class (name, parameters, fields)
  local class = setmetatable({name = name, parameters = parameters}, {__index = Distribution})
  function class:__index (key)
    local f = fields[key]
    if f then return f(self) end
    if key == "has_rsample" then return class.rsample ~= Distribution.rsample end
    return class[key]
  end
  return class
end

---A distribution from its parameters, as tensors: shapes and the values of numbers are checked.
---Constructors call it in parentheses, which is no tail call, so that errors name the user's line.
---@param class table
---@param ... userdata|number the parameters in the order of the class
---@return table
function family.new (class, ...)
  local given, self = {...}, {}
  for i, p in ipairs(class.parameters) do
    local x = shape.check_parameter("dist." .. class.name, p[1], given[i], false, 4)
    if type(x) == "number" then
      local want, good = table.unpack(constraints[p[2]])
      if not good(x) then
        error(("dist.%s: %s is %g; it is %s"):format(class.name, p[1], x, want), 3)
      end
      x = core.tensor(x)
    end
    given[i] = x
    self[p[1]] = x
    self.shape = shape.broadcast("dist." .. class.name, self.shape or x, x, 4)
  end
  return setmetatable(self, class)
end

---Uniform numbers in (0, 1): never 0, which has no logarithm.
---@param rng userdata
---@param sizes integer[]
---@return userdata
function family.open_uniform (rng, sizes)
  -- half a step of the generator: numbers of 1/2 and above round back to themselves
  return rng:uniform(sizes) + 2^-26
end

---0, 1, ..., n - 1 as real numbers on a new first axis before `sizes`.
---@param n integer
---@param sizes integer[]
---@return userdata
function family.outcomes (n, sizes)
  local ones = {n}
  for i = 1, #sizes do ones[i + 1] = 1 end
  return core.expand(core.reshape(core.arange(n):real() - 1, ones), shape.lead(n, sizes))
end

---- sum p log p over the outcomes, in nats; an outcome of probability 0 adds nothing.
---@param d table
---@return userdata
function family.enumerated_entropy (d)
  local l = d:log_prob(d:enumerate())
  local none = core.eq(l, -INF)
  l = core.where(none, 0, l)
  return -core.sum(core.where(none, 0, core.exp(l) * l), 1)
end

---f(x) where `outside` is 0, and -inf elsewhere.  f sees `safe` there, so that no NaN comes back
---with the gradient; a NaN in x stays one.
---@param outside userdata byte
---@param x userdata
---@param safe number|userdata
---@param f fun(x: userdata): userdata
---@return userdata
function family.supported (outside, x, safe, f)
  return core.where(outside, -INF, f(core.where(outside, safe, x)))
end

---a log x, and 0 where a is 0 whatever x is.
---@param a userdata
---@param x userdata
---@return userdata
function family.xlogy (a, x)
  local none = core.eq(a, 0)
  return core.where(none, 0, a * core.log(core.where(none, 1, x)))
end

---a b, and 0 where a is 0 whatever b is.
---@param a userdata
---@param b userdata
---@return userdata
function family.product (a, b)
  local none = core.eq(a, 0)
  return core.where(none, 0, a * core.where(none, 0, b))
end

---Entries of x between `low` and `high` (numbers or tensors) count as 0, others as 1.
---@param x userdata|number
---@param low userdata|number
---@param high userdata|number
---@return userdata byte
function family.out_of (x, low, high)
  return core.gt(core.maximum(low - x, x - high), 0)
end

return family
