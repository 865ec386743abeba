-- Likelihood bounds of models with a latent variable: any model with encode(x) -> q(z | x),
-- decode(z) -> p(x | z) and a standard normal prior.  For reporting, so nothing here makes a graph.

local core = require "perigee.core"
local dist = require "perigee.dist"
local options = require "perigee.options"

local bounds = {prior = dist.normal(0, 1)}

-- Rows (images times draws) decoded at once: bounds the memory.
local ROWS = 4096

-- Call f(model, part of x, k, rng) on parts small enough for k draws each; f answers a list with a
-- number for each image.  Every part's tensors are freed before the next.
local function by_parts (f, model, x, k, rng)
  local numbers, n, images = {}, x.shape[1], math.max(1, ROWS // k)
  for first = 1, n, images do
    local _ <close> = core.scope()
    local part = x:slice(1, first, math.min(first + images - 1, n))
    local answers = core.no_grad(f, model, part, k, rng)
    table.move(answers, 1, #answers, #numbers + 1, numbers)
  end
  return core.tensor(numbers)
end

-- log p(x, z) - log q(z | x) for `count` draws of z: (count, batch).
local function log_weights (model, x, q, rng, count)
  local z = q:rsample(rng, count)
  local joint = model:decode(z):log_prob(x):sum(-1) + bounds.prior:log_prob(z):sum(-1)
  return joint - q:log_prob(z):sum(-1)
end

local function log_add (a, b)
  local high, low = math.max(a, b), math.min(a, b)
  if high == -math.huge then return high end
  return high + math.log(1 + math.exp(low - high))
end

local function likelihoods (model, x, k, rng)
  local q, total = model:encode(x), {}
  for drawn = 0, k - 1, ROWS do
    local _ <close> = core.scope()
    local weights = log_weights(model, x, q, rng, math.min(ROWS, k - drawn))
    for i, v in ipairs(weights:logsumexp(1):tolist()) do
      total[i] = total[i] and log_add(total[i], v) or v
    end
  end
  for i, v in ipairs(total) do total[i] = v - math.log(k) end
  return total
end

local function elbos (model, x, k, rng)
  local q = model:encode(x)
  local rec = model:decode(q:rsample(rng, k)):log_prob(x):sum(-1):mean(1)
  return (rec - dist.kl(q, bounds.prior):sum(-1)):tolist()
end

local function samples_of (what, given, default)
  local k = options.check(what, given, {samples = "integer?"}, 4).samples or default
  if k < 1 then error(("%s: samples = %d; at least one is needed"):format(what, k), 3) end
  return k
end

---log 1/k sum_i p(x, z_i) / q(z_i | x), z_i ~ q: below log p(x) on average, and nearer with every
---draw. Burda et al. 2016, eq. 8.
---@param model table
---@param x userdata (batch, features)
---@param rng userdata
---@param given? {samples?: integer} k, 500 when absent
---@return userdata (batch), nats
---@return "estimate" kind
function bounds.log_prob (model, x, rng, given)
  return by_parts(likelihoods, model, x, samples_of("log_prob", given, 500), rng), "estimate"
end

---E_q log p(x | z) - KL(q(z | x) || p(z)), the expectation as a mean over `samples` draws.
---@param model table
---@param x userdata (batch, features)
---@param rng userdata
---@param given? {samples?: integer} 1 when absent
---@return userdata (batch), nats
---@return "bound" kind
function bounds.elbo (model, x, rng, given)
  return by_parts(elbos, model, x, samples_of("elbo", given, 1), rng), "bound"
end

return bounds
