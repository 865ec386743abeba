-- Divergences in closed form against E_p[log p - log q] over draws, zero from itself, gradients,
-- and what has no closed form.

local check = require "check"
local density = require "density"
local peri = require "perigee"

local dist = peri.dist
local N <const> = 40000

local tril = peri.tensor {{1, 0, 0}, {0.5, 0.8, 0}, {-0.3, 0.2, 1.5}}
local other = peri.tensor {{1.4, 0, 0}, {-0.2, 1, 0}, {0.1, 0.4, 0.9}}
local T = peri.tensor

-- family, p's parameters, q's
local pairs_of = {
  {"normal", {0.3, 0.5}, {0, 1}}, {"normal", {T {1, 2}, 3}, {-0.5, T {2.5, 1}}},
  {"log_normal", {0.3, 0.5}, {0, 0.7}}, {"half_normal", {2}, {3}}, {"half_normal", {3}, {2}},
  {"multivariate_normal", {T {1, 0, -1}, tril}, {T {0.5, 0.5, 0}, other}},
  {"multivariate_normal", {peri.zeros(2, 3), tril}, {T {{0.5, 0.5, 0}, {1, 1, 1}}, other}},
  {"bernoulli", {T {0.3, -2}}, {T {1, 0.5}}}, {"binomial", {12, 0.3}, {12, -0.1}},
  {"continuous_bernoulli", {2}, {-1}}, {"continuous_bernoulli", {0}, {0.7}},
  {"categorical", {T {0.3, 1, -1}}, {T {0, 0, 0.5}}}, {"geometric", {0.5}, {-1}},
  {"poisson", {3.5}, {2}}, {"poisson", {20}, {25}}, {"exponential", {2}, {0.5}},
  {"gamma", {2.5, 3}, {1.2, 0.8}}, {"gamma", {0.6, 1}, {3, 2}},
  {"beta", {2, 3}, {1.5, 0.7}}, {"beta", {0.8, 0.9}, {2, 2}},
  {"dirichlet", {T {1, 2, 0.7}}, {T {3, 1, 1}}}, {"laplace", {0, 1}, {0.8, 2}},
  {"laplace", {2, 0.5}, {1, 0.3}}, {"gumbel", {0.5, 1}, {0, 1.6}}, {"gumbel", {0, 2}, {1, 1.9}},
  {"uniform", {0, 1}, {-1, 2.5}}, {"von_mises", {0.4, 3}, {-1, 1.5}}, {"von_mises", {0, 0}, {1, 2}},
}

local function each (f)
  for _, case in ipairs(pairs_of) do
    local name = case[1]
    local p, q = dist[name](table.unpack(case[2])), dist[name](table.unpack(case[3]))
    local ok, message = pcall(f, p, q, name)
    if not ok then error(name .. ": " .. tostring(message), 0) end
  end
end

check.test("a divergence is the mean of log p - log q over draws of p", function ()
  each(function (p, q)
    local x = p:sample(peri.rng(6), N)
    local diff = p:log_prob(x) - q:log_prob(x)
    local want = peri.expand(dist.kl(p, q), peri.mean(diff, 1).shape)
    local flat = diff:reshape(N, -1)
    for i, v in ipairs(want:reshape(-1):tolist()) do
      density.check_mean(flat:slice(2, i, i), v, 2e-5, 4)
    end
  end)
end)

check.test("it is zero from itself and not below zero otherwise", function ()
  each(function (p, q)
    check.is_true(peri.abs(dist.kl(p, p)):max():item() < 1e-5)
    check.is_true(dist.kl(p, q):min():item() > 0 and dist.kl(q, p):min():item() > 0)
  end)
  local wide, narrow = dist.uniform(0, 2), dist.uniform(0, 1)
  check.equal(dist.kl(wide, narrow):item(), math.huge)
end)

check.test("independent pairs add up", function ()
  local p, q = dist.gamma(peri.ones(3, 2) * 2, 1), dist.gamma(1, peri.ones(3, 2))
  local total = dist.kl(dist.independent(p), dist.independent(q))
  check.close(total:tolist(), dist.kl(p, q):sum(-1):tolist(), 1e-5)
end)

check.test("an estimate is asked for by name, and carries p's gradient", function ()
  local p, q = dist.student_t(5, 0, 1), dist.normal(0, 1)
  check.raises(function () dist.kl(p, q) end, "no closed form.*kl_monte_carlo")
  local rng = peri.rng(8)
  -- the integral of p log(p / q), by quadrature
  local d = density.of(p, density.sorted(p:sample(rng, 1000)))
  local want = density.expect(d, function (x)
    return peri.where(peri.lt(peri.abs(x), 1e3), p:log_prob(x) - q:log_prob(x), 0)
  end)
  check.close(dist.kl_monte_carlo(p, q, rng, N):item(), want, 0.1 * want)
  local m = T(0.7):requires_grad(true)
  local kl = dist.kl_monte_carlo(dist.normal(m, 1), q, rng, N)
  check.close(peri.grad(kl, {m})[1]:item(), 0.7, 5 / math.sqrt(N) + 0.01)
  check.raises(function () dist.kl_monte_carlo(p, q, rng, 0) end, "n is 0")
end)

check.test("what has no closed form says so", function ()
  check.raises(function () dist.kl(dist.binomial(3, 0), dist.binomial(4, 0)) end, "trials")
  check.raises(function () dist.kl(dist.normal(0, 1), dist.laplace(0, 1)) end, "no closed form")
end)

check.done()
