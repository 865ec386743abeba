-- Distributions.  Each answers sample(rng, lead), rsample(rng, lead) where draws can carry a
-- gradient, log_prob(x), entropy(), cdf(x), icdf(p) and enumerate() where they exist, and mean,
-- variance, shape, event and support; a method that a family lacks says so.  Results are element by
-- element, and dist.independent sums them over an event's axes.

local kl = require "perigee.dist.kl"

local dist = {
  kl = kl.kl, kl_monte_carlo = kl.monte_carlo, register_kl = kl.register,
  bijector = require "perigee.dist.bijector",
  mixture_of_gaussians = require "perigee.dist.mixture".gaussians,
  low_rank_normal = require "perigee.dist.multivariate_normal".low_rank,
  kde = require "perigee.dist.empirical".kde,
  toy = require "perigee.dist.toy",
}

for _, name in ipairs {
  "normal", "multivariate_normal", "bernoulli", "categorical", "independent",
  "half_normal", "log_normal", "truncated_normal", "student_t", "cauchy",
  "uniform", "exponential", "laplace", "logistic", "gumbel", "von_mises",
  "gamma", "beta", "dirichlet",
  "poisson", "geometric", "binomial", "multinomial",
  "continuous_bernoulli", "relaxed_bernoulli", "relaxed_categorical",
  "discretized_logistic", "pixel_logistics", "mixture", "transformed", "empirical",
} do
  dist[name] = require("perigee.dist." .. name).new
end

return dist
