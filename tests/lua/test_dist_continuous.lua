-- Densities of one number: each integrates to one, its draws follow it, and its moments, entropy,
-- cumulative probabilities, quantiles and pathwise gradients are those of the integral.

local check = require "check"
local density = require "density"
local peri = require "perigee"

local dist = peri.dist
local N <const> = 20000                  -- draws of a case
local INF <const> = math.huge

-- Name and parameters; low and high of an interval; moments = 0 or 1: how many are finite; slack:
-- the probability that float32 cannot see near an end of the interval.
local cases = {
  {"normal", {-1.5, 0.3}}, {"normal", {100, 20}},
  {"half_normal", {2.5}},
  {"log_normal", {0.5, 0.8}}, {"log_normal", {-3, 0.1}},
  {"truncated_normal", {0, 1, -1, 2}, low = -1, high = 2},
  {"truncated_normal", {1, 2, 5, 9}, low = 5, high = 9},
  {"truncated_normal", {1, 0.5, -7, -2}, low = -7, high = -2, slack = 1e-3},
  {"truncated_normal", {0, 3, -INF, 1}, low = -60, high = 1},
  {"student_t", {3.5, 1, 2}, moments = 1}, {"student_t", {30}}, {"student_t", {1.2}, moments = 0},
  {"cauchy", {2, 0.5}, moments = 0},
  {"uniform", {-3, 5}, low = -3, high = 5},
  {"exponential", {0.4}}, {"exponential", {30}},
  {"laplace", {1, 0.7}}, {"logistic", {-2, 1.5}}, {"gumbel", {0.5, 2}},
  {"von_mises", {0.5, 3}}, {"von_mises", {0, 0}}, {"von_mises", {-2, 0.4}, moments = 0},
  {"von_mises", {1, 60}},
  {"gamma", {0.3, 2}}, {"gamma", {1, 1}}, {"gamma", {4.5, 0.2}}, {"gamma", {60, 7}},
  {"beta", {0.5, 0.6}, slack = 2e-3}, {"beta", {2, 3}}, {"beta", {1, 1}}, {"beta", {30, 4}},
  {"continuous_bernoulli", {0}}, {"continuous_bernoulli", {1e-3}}, {"continuous_bernoulli", {-0.4}},
  {"continuous_bernoulli", {3}}, {"continuous_bernoulli", {-20}},
  {"relaxed_bernoulli", {0.7, 0.5}, slack = 1e-4}, {"relaxed_bernoulli", {2, -1}},
}

-- Laws by name, each of a distribution, its integral and its case; run case by case, so that one
-- case's draws are gone before the next one's.
local laws = {}
local function law (name, f) laws[#laws + 1] = {name, f} end

law("the density integrates to one", function (_, p, case)
  check.close(p.total, 1, case.slack or 3e-5)
end)

law("draws follow the density", function (_, p, case)
  local worst = density.kolmogorov(case.list, p.cdf)
  if worst > 2.3 then error(("Kolmogorov-Smirnov statistic %.3g"):format(worst)) end
end)

law("the mean and the variance are the density's", function (d, p, case)
  if case.moments == 0 or not d.mean or d.support == "angle" then return end
  local mean = peri.mean(d.mean):item()
  local got = density.expect(p, function (x) return x end) / p.total
  check.close(got, mean, 20 * (case.slack or 3e-5))
  if case.moments == 1 then return end
  local spread = density.expect(p, function (x) return peri.square(x - mean) end) / p.total
  check.close(d.variance:item() / spread, 1, 20 * (case.slack or 3e-5) + 5e-4)
end)

law("the entropy is the integral of -p log p", function (d, p, case)
  if case[1] == "relaxed_bernoulli" then return end
  local want = density.expect(p, function (x) return -d:log_prob(x) end)
  check.close(d:entropy():item(), want, 10 * (case.slack or 5e-5))
  density.check_mean(-d:log_prob(case.draws), d:entropy():item(), 1e-5)
end)

local none = {gamma = true, beta = true, student_t = true, von_mises = true}

law("cumulative probabilities are the integral, quantiles their inverse", function (d, p, case)
  local q = peri.tensor {0.001, 0.2, 0.5, 0.77, 0.999}
  if none[case[1]] then
    check.raises(function () d:cdf(q) end, "no cumulative probability in closed form")
    check.raises(function () d:icdf(q) end, "no quantiles in closed form")
    return
  end
  local at = {}
  for i = 1, 20 do at[i] = case.list[i * N // 20 - 500] end
  local got = d:cdf(peri.tensor(at)):tolist()
  for i, x in ipairs(at) do check.close(got[i], p.cdf(x), 2e-4 + (case.slack or 0)) end
  if case[1] ~= "relaxed_bernoulli" then
    check.close(d:cdf(d:icdf(q)):tolist(), q:tolist(), 1e-4)
  end
end)

-- E sin x by quadrature.
local function expectation (name, parameters, case)
  local d = dist[name](table.unpack(parameters))
  local low, high = case.low, case.high
  if name == "uniform" then low, high = parameters[1], parameters[2] end
  if name == "truncated_normal" then
    low, high = parameters[3] > -INF and parameters[3] or low, parameters[4]
  end
  local p = density.of(d, case.list, low, high)
  return density.expect(p, peri.sin) / p.total
end

law("the pathwise gradient is the derivative of the expectation", function (d, _, case)
  local name, parameters = case[1], case[2]
  if not d.has_rsample then
    return check.raises(function () d:rsample(peri.rng(1)) end, "no path")
  end
  local leaves = {}
  for i, v in ipairs(parameters) do leaves[i] = peri.full({N}, v):requires_grad(true) end
  local x = dist[name](table.unpack(leaves)):rsample(peri.rng(23))
  local grads = peri.grad(peri.sin(x):sum(), leaves)
  for i, v in ipairs(parameters) do
    if v - v == 0 then
      local h = 0.02 * math.max(math.abs(v), 0.5)
      local function moved (step)
        local copy = table.move(parameters, 1, #parameters, 1, {})
        copy[i] = v + step
        return expectation(name, copy, case)
      end
      local want = (8 * (moved(h / 2) - moved(-h / 2)) - (moved(h) - moved(-h))) / (6 * h)
      density.check_mean(grads[i], want, 2e-3)
    end
  end
end)

for _, case in ipairs(cases) do
  local name, parameters = case[1], case[2]
  local label = ("%s(%s): "):format(name, table.concat(parameters, ", "))
  local d = dist[name](table.unpack(parameters))
  case.draws = d:sample(peri.rng(17), N)
  case.list = density.sorted(case.draws)
  local p = density.of(d, case.list, case.low, case.high)
  for _, l in ipairs(laws) do check.test(label .. l[1], function () l[2](d, p, case) end) end
  case.draws, case.list = nil, nil
end

check.test("outside the support log p is -inf, and no NaN comes back", function ()
  local outside = {
    {"half_normal", {1}, {-0.1}}, {"log_normal", {0, 1}, {0, -2}},
    {"truncated_normal", {0, 1, -1, 2}, {-1.1, 2.1, 50}}, {"uniform", {-3, 5}, {-3.1, 5.2}},
    {"exponential", {2}, {-1}}, {"gamma", {0.5, 2}, {-1}}, {"gamma", {3, 2}, {-1}},
    {"beta", {2, 3}, {-0.1, 1.1}}, {"continuous_bernoulli", {1}, {-0.1, 1.01}},
    {"relaxed_bernoulli", {1, 0}, {0, 1, -1}},
  }
  for _, case in ipairs(outside) do
    local name, parameters, xs = table.unpack(case)
    local leaves = {}
    for i, v in ipairs(parameters) do leaves[i] = peri.tensor {v}:requires_grad(true) end
    local x = peri.tensor(xs):requires_grad(true)
    local l = dist[name](table.unpack(leaves)):log_prob(x)
    for _, v in ipairs(l:tolist()) do check.equal(v, -INF) end
    leaves[#leaves + 1] = x
    for _, g in ipairs(peri.grad(peri.where(peri.eq(l, -INF), 0, l):sum(), leaves)) do
      if peri.sum(peri.is_finite(g):real()):item() ~= g:count() then error(name, 0) end
    end
    local nan = dist[name](table.unpack(parameters)):log_prob(peri.tensor {0 / 0})
    check.is_true(nan:item() ~= nan:item() or name == "uniform" or name == "continuous_bernoulli")
  end
  check.close(dist.gamma(1, 3):log_prob(peri.tensor {0}):item(), math.log(3), 1e-6)
  check.equal(dist.gamma(3, 2):log_prob(peri.tensor {0}):item(), -INF)
  check.equal(dist.beta(2, 3):log_prob(peri.tensor {0, 1}):tolist(), {-INF, -INF})
  check.equal(dist.gamma(0.5, 3):log_prob(peri.tensor {0}):item(), INF)
end)

check.test("the gradient of a gamma draw: d E x / d concentration = 1 / rate", function ()
  for _, a in ipairs {0.1, 1, 7, 200} do
    local leaf = peri.full({N}, a):requires_grad(true)
    local x = dist.gamma(leaf, 2):rsample(peri.rng(29))
    density.check_mean(peri.grad(x:sum(), {leaf})[1], 0.5)
    check.is_true(not dist.gamma(leaf, 2):sample(peri.rng(29)):requires_grad())
  end
end)

check.test("a truncated normal's ends carry the gradient of its draws", function ()
  -- x = quantile(u), so at given u the slope by an end is p(end) (1 - u) / p(x), and 1 at u = 0
  local low = peri.full({N}, -1):requires_grad(true)
  local d = dist.truncated_normal(0, 1, low, 2)
  local x = d:rsample(peri.rng(31))
  local fixed = dist.truncated_normal(0, 1, -1, 2)
  local u = fixed:cdf(x:detach())
  local want = peri.exp(fixed:log_prob(peri.tensor {-1}) - fixed:log_prob(x:detach())) * (1 - u)
  check.is_true((peri.grad(x:sum(), {low})[1] - want):abs():max():item() < 2e-3)
end)

check.test("parameters broadcast, draws put their axes before them", function ()
  for _, name in ipairs {"normal", "laplace", "logistic", "gumbel", "cauchy", "von_mises", "gamma",
    "beta", "log_normal"} do
    local d = dist[name](peri.ones(3), peri.ones(2, 1))
    check.equal({d.shape, d.event}, {{2, 3}, 0})
    check.equal(d:sample(peri.rng(1)).shape, {2, 3})
    check.equal(d:sample(peri.rng(1), {5, 4}).shape, {5, 4, 2, 3})
    check.equal(d:entropy().shape, {2, 3})
    check.equal({(d.mean + d.variance).shape, d.variance.shape}, {{2, 3}, {2, 3}})
    check.equal(d:log_prob(d:sample(peri.rng(1), 7)).shape, {7, 2, 3})
  end
  local d = dist.student_t(peri.ones(4) * 5, 0, peri.ones(2, 1))
  check.equal({d:entropy().shape, d.mean.shape, d.variance.shape}, {{2, 4}, {2, 4}, {2, 4}})
end)

check.test("wrong parameters are named", function ()
  check.raises(function () dist.gamma(-1, 1) end, "dist.gamma: concentration is %-1; it is above 0")
  check.raises(function () dist.gamma(1) end, "rate is a nil")
  check.raises(function () dist.laplace(0, 0) end, "scale is 0")
  check.raises(function () dist.uniform(2, 2) end, "low is 2 and high is 2")
  check.raises(function () dist.student_t(0 / 0) end, "df is .*nan")
  check.raises(function () dist.beta(peri.ones(2), peri.ones(3)) end, "%(2%) and %(3%)")
  check.raises(function () dist.truncated_normal(0, 1, 3, 2) end, "low is 3")
  check.raises(function () dist.logistic("a", 1) end, "loc is a string")
  local d = dist.laplace(peri.zeros(3), peri.tensor {1, -2, 0 / 0})
  check.raises(function () d:check() end, "2 of 3 entries of scale are not above 0")
  check.is_true(dist.normal(peri.zeros(3), 2):check().scale == 2)
  check.raises(function () dist.normal(peri.tensor {0, 1 / 0}, 2):check() end, "1 of 2 .* mean")
  check.raises(function () dist.gamma(peri.tensor {1, -1}, 1):sample(peri.rng(1)) end,
    "entry 2 of shape is %-1")
  local ok, message = pcall(function () dist.exponential(-3) end)
  check.is_true(not ok and message:find "test_dist_continuous.lua:%d+: dist.exponential")
end)

check.done()
