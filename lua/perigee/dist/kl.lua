-- Kullback-Leibler divergences in closed form, one function for each pair of families.

local core = require "perigee.core"
local Bernoulli = require "perigee.dist.bernoulli".class
local Categorical = require "perigee.dist.categorical".class
local Independent = require "perigee.dist.independent".class
local Normal = require "perigee.dist.normal".class

local pairs_of = {}

-- log(s / r) + (r^2 + (m - n)^2) / (2 s^2) - 1/2 for N(m, r^2) from N(n, s^2).  Kingma & Welling
-- 2014, appendix B, where n = 0 and s = 1.
local function normal (p, q)
  local spread = core.square(p.scale / q.scale) + core.square((p.mean - q.mean) / q.scale)
  return (spread - 1) * 0.5 - (p.log_scale - q.log_scale)
end

-- p (log p - log q) + (1 - p) (log(1 - p) - log(1 - q)) = p (a - b) - softplus(a) + softplus(b).
local function bernoulli (p, q)
  local a, b = p.logits, q.logits
  return p.mean * (a - b) - core.softplus(a) + core.softplus(b)
end

-- sum p (log p - log q).
local function categorical (p, q)
  return p:expect(p.log_probs - q.log_probs)
end

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
    error("dist.kl: this pair of families has no closed form here; estimate it from draws of p, or "
      .. "register one with dist.register_kl", 2)
  end
  return f(p, q)
end

register(Normal, Normal, normal)
register(Bernoulli, Bernoulli, bernoulli)
register(Categorical, Categorical, categorical)
register(Independent, Independent, function (p, q)
  if p.ndims ~= q.ndims then
    error(("dist.kl: events of %d and of %d axes"):format(p.ndims, q.ndims), 3)
  end
  return p:total(kl(p.base, q.base))
end)

return {kl = kl, register = register}
