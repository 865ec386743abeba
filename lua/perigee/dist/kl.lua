-- Kullback-Leibler divergences: the closed forms of pairs of families, and the estimate to ask for
-- where there is none.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

local pairs_of = {}

---Register the divergence of a pair of families.
---@param class_p table metatable of p
---@param class_q table metatable of q
---@param f fun(p: table, q: table): userdata
local function register (class_p, class_q, f)
  pairs_of[class_p] = pairs_of[class_p] or {}
  pairs_of[class_p][class_q] = f
end

---KL(p || q) = E_p[log p - log q] in nats, for each element (each event of an independent pair).
---@param p table a distribution
---@param q table a distribution of the same family
---@return userdata
local function kl (p, q)
  local row = pairs_of[getmetatable(p)]
  local f = row and row[getmetatable(q)]
  if not f then
    error("dist.kl: this pair of families has no closed form here; estimate it with "
      .. "dist.kl_monte_carlo(p, q, rng, n), or register one with dist.register_kl", 2)
  end
  return f(p, q)
end

---The mean of log p(x) - log q(x) over draws x of p, in nats: an estimate, which carries the
---gradient of p's parameters where p has rsample.
---@param p table a distribution
---@param q table a distribution over the same draws
---@param rng userdata
---@param n integer draws
---@return userdata
local function monte_carlo (p, q, rng, n)
  if math.type(n) ~= "integer" or n < 1 then
    error(("dist.kl_monte_carlo: n is %s; give 1 draw or more"):format(tostring(n)), 2)
  end
  local x = p.has_rsample and p:rsample(rng, n) or p:sample(rng, n)
  return core.mean(p:log_prob(x) - q:log_prob(x), 1)
end

-- --- closed forms -------------------------------------------------------------------------------

-- Both of one family, the class of lua/perigee/dist/NAME.lua.
local function within (name, f)
  local class = require("perigee.dist." .. name).class
  register(class, class, f)
end

-- log(s / r) + (r^2 + (m - n)^2) / (2 s^2) - 1/2 for N(m, r^2) from N(n, s^2).  Kingma & Welling
-- 2014, appendix B, where n = 0 and s = 1.
within("normal", function (p, q)
  local spread = core.square(p.scale / q.scale) + core.square((p.mean - q.mean) / q.scale)
  return (spread - 1) * 0.5 - (p.log_scale - q.log_scale)
end)

-- That of the logarithms.
within("log_normal", function (p, q)
  local ratio = p.scale / q.scale
  local spread = core.square(ratio) + core.square((p.loc - q.loc) / q.scale)
  return (spread - 1) * 0.5 - core.log(ratio)
end)

within("half_normal", function (p, q)
  local ratio = p.scale / q.scale
  return (core.square(ratio) - 1) * 0.5 - core.log(ratio)
end)

-- With M = Lq^-1 Lp: (|M|^2 + |Lq^-1 (m - n)|^2 - k) / 2 + log |det Lq| - log |det Lp|.
within("multivariate_normal", function (p, q)
  local m = core.solve_triangular(q.scale_tril, p:lower())
  local off = p.loc - q.loc
  local z = core.solve_triangular(q.scale_tril, core.reshape(off, shape.lead(off.shape, {1})))
  return (core.sum(core.square(m), {-2, -1}) + core.sum(core.square(z), {-2, -1})
    - p.shape[#p.shape]) * 0.5 + q:log_det() - p:log_det()
end)

-- p (log p - log q) + (1 - p) (log(1 - p) - log(1 - q)) = p (a - b) - softplus(a) + softplus(b).
local function bernoulli (p, q)
  local a, b = p.logits, q.logits
  return core.sigmoid(a) * (a - b) - core.softplus(a) + core.softplus(b)
end
within("bernoulli", bernoulli)

within("binomial", function (p, q)
  if core.max(core.abs(p.n - q.n)):item() > 0 then
    error("dist.kl: binomials of other numbers of trials have no closed form", 3)
  end
  return bernoulli(p, q) * p.n
end)

-- E x (a - b) - A(a) + A(b).
within("continuous_bernoulli", function (p, q)
  return p.mean * (p.logits - q.logits) - p.log_norm + q.log_norm
end)

-- sum p (log p - log q).
within("categorical", function (p, q)
  return p:expect(p.log_probs - q.log_probs)
end)

-- log(p / q) + E x (log(1 - p) - log(1 - q)).
within("geometric", function (p, q)
  local a, b = p.logits, q.logits
  return core.log_sigmoid(a) - core.log_sigmoid(b)
    + core.exp(-a) * (core.softplus(b) - core.softplus(a))
end)

-- r log(r / s) - r + s.
within("poisson", function (p, q)
  local r, s = p.rate, q.rate
  return family.xlogy(r, r) - family.xlogy(r, s) - r + s
end)

within("exponential", function (p, q)
  local ratio = q.rate / p.rate
  return ratio - 1 - core.log(ratio)
end)

-- (a - c) digamma(a) - log Gamma(a) + log Gamma(c) + c log(r / s) + a (s - r) / r for shapes a, c
-- and rates r, s.
within("gamma", function (p, q)
  local a, c, ratio = p.concentration, q.concentration, q.rate / p.rate
  return (a - c) * core.digamma(a) - core.lgamma(a) + core.lgamma(c) - c * core.log(ratio)
    + a * (ratio - 1)
end)

within("beta", function (p, q)
  local da, db = p.a - q.a, p.b - q.b
  return q:log_norm() - p:log_norm() + da * core.digamma(p.a) + db * core.digamma(p.b)
    - (da + db) * core.digamma(p.a + p.b)
end)

within("dirichlet", function (p, q)
  local a = p.concentration
  local slope = core.digamma(a) - core.digamma(core.sum(a, -1, true))
  return q:log_norm() - p:log_norm() + core.sum((a - q.concentration) * slope, -1)
end)

-- log(s / r) + (r e^(-|m - n| / r) + |m - n|) / s - 1 for scales r, s around m, n.
within("laplace", function (p, q)
  local off = core.abs(p.loc - q.loc)
  return core.log(q.scale / p.scale) + (p.scale * core.exp(-off / p.scale) + off) / q.scale - 1
end)

-- log(s / r) + (m - n) / s + e^((n - m) / s) Gamma(1 + r / s) + Euler (r / s - 1) - 1.
within("gumbel", function (p, q)
  local ratio, off = p.scale / q.scale, (p.loc - q.loc) / q.scale
  return off - core.log(ratio) + core.exp(core.lgamma(ratio + 1) - off)
    + (ratio - 1) * 0.57721566490153286061 - 1
end)

-- log of the ratio of the lengths, and infinite where p reaches out of q.
within("uniform", function (p, q)
  local out = core.gt(core.maximum(q.low - p.low, p.high - q.high), 0)
  return core.where(out, math.huge, q:entropy() - p:entropy())
end)

-- log I0(l) - log I0(k) + I1(k) / I0(k) (k - l cos(m - n)) for concentrations k, l around m, n.
within("von_mises", function (p, q)
  local k, l = p.concentration, q.concentration
  return core.log_i0(l) - core.log_i0(k)
    + core.i1e(k) / core.i0e(k) * (k - l * core.cos(p.loc - q.loc))
end)

within("independent", function (p, q)
  if p.ndims ~= q.ndims then
    error(("dist.kl: events of %d and of %d axes"):format(p.ndims, q.ndims), 3)
  end
  return p:total(kl(p.base, q.base))
end)

return {kl = kl, register = register, monte_carlo = monte_carlo}
