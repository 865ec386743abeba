-- Distributions.  Each answers sample(rng, lead), rsample(rng, lead), log_prob(x), entropy(), mean
-- and shape; results are element by element, and dist.independent sums them over an event's axes.

local kl = require "perigee.dist.kl"

return {
  normal = require "perigee.dist.normal".new,
  bernoulli = require "perigee.dist.bernoulli".new,
  categorical = require "perigee.dist.categorical".new,
  independent = require "perigee.dist.independent".new,
  kl = kl.kl,
  register_kl = kl.register,
}
