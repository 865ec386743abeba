-- Distributions made of others: mixtures, maps, independent axes, points.

local check = require "check"
local density = require "density"
local peri = require "perigee"

local dist = peri.dist
local bijector = dist.bijector
local N <const> = 20000

-- One and the draws, by the integral of d's own density.
local function follows (d, low, high)
  local x = d:sample(peri.rng(9), N)
  check.equal(x.shape, {N})
  local list = density.sorted(x)
  local p = density.of(d, list, low, high)
  check.close(p.total, 1, 1e-4)
  local worst = density.kolmogorov(list, p.cdf)
  if worst > 2.3 then error(("Kolmogorov-Smirnov statistic %.3g"):format(worst), 2) end
  return p, list
end

check.test("mixtures integrate to one, are followed, and have their moments", function ()
  local logits = peri.tensor {0.5, -1, 0.2}
  for _, parts in ipairs {
    dist.normal(peri.tensor {-2, 0, 3}, peri.tensor {0.5, 0.2, 1}),
    dist.laplace(peri.tensor {-2, 0, 3}, 0.5), dist.gamma(peri.tensor {1, 2, 9}, 2),
    dist.logistic(0, peri.tensor {0.1, 1, 3}),
  } do
    local d = dist.mixture(logits, parts)
    check.equal(d.shape, {})
    local p, list = follows(d)
    local mean = d.mean:item()
    check.close(density.expect(p, function (x) return x end), mean, 1e-3)
    check.close(density.expect(p, function (x) return peri.square(x - mean) end),
      d.variance:item(), 1e-3)
    if parts.support == "real" then
      check.close(d:cdf(peri.tensor {list[5000]}):item(), p.cdf(list[5000]), 1e-4)
    end
    check.raises(function () d:rsample(peri.rng(1)) end, "no rsample")
  end
end)

check.test("a mixture of one part is that part, whatever its event", function ()
  local part = dist.multivariate_normal(peri.zeros(4, 1, 3), peri.one_hot(peri.arange(3), 3) * 2)
  local d = dist.mixture(peri.zeros(4, 1), part)
  check.equal({d.shape, d.event}, {{4, 3}, 1})
  local x = d:sample(peri.rng(1), 6)
  check.equal(x.shape, {6, 4, 3})
  check.close(d:log_prob(x):tolist(), part:log_prob(x:reshape(6, 4, 1, 3)):reshape(6, 4):tolist(),
    1e-5)
  check.equal({d.mean.shape, d.variance.shape}, {{4, 3}, {4, 3}})
end)

check.test("components are drawn by their weights, and whole events", function ()
  local loc = peri.tensor {{-50, -50}, {50, 50}}
  local d = dist.mixture(peri.tensor {0, math.log(3)}, dist.independent(dist.normal(loc, 1)))
  local x = d:sample(peri.rng(3), N)
  local sign = peri.sign(x)
  check.equal((sign:slice(2, 1, 1) - sign:slice(2, 2, 2)):abs():max():item(), 0)
  density.check_mean(sign, 0.5)
  local g = dist.mixture_of_gaussians(peri.zeros(5, 3), peri.zeros(5, 3), peri.ones(5, 3))
  check.equal({g.shape, g:sample(peri.rng(1), 2).shape}, {{5}, {2, 5}})
  check.close(g:log_prob(peri.zeros(5)):tolist(),
    dist.normal(peri.zeros(5), 1):log_prob(0):tolist(), 1e-5)
  local levels = dist.mixture(peri.zeros(2), dist.discretized_logistic(peri.tensor {0, 1}, -1, 16))
  check.close(levels:log_prob(levels:enumerate()):exp():sum():item(), 1, 1e-5)
  check.raises(function () dist.mixture(peri.zeros(3), dist.normal(peri.zeros(2), 1)) end,
    "%(3%).*%(2%)")
  check.raises(function () dist.mixture(peri.zeros(3), 4) end, "components is a number")
end)

local maps = {
  {"affine", bijector.affine(0.5, -2)}, {"exp", bijector.exp()}, {"sigmoid", bijector.sigmoid()},
  {"tanh", bijector.tanh()}, {"softplus", bijector.softplus()},
  {"chain", bijector.chain {bijector.affine(1, 0.5), bijector.softplus(), bijector.affine(0, 3)}},
  {"inverse", bijector.inverse(bijector.affine(1, 4))},
}

check.test("maps have an inverse, and the logarithm of their derivative", function ()
  local x = peri.tensor {-3, -0.7, 0, 0.2, 2.5}
  for _, case in ipairs(maps) do
    local name, f = table.unpack(case)
    local leaf = x:clone():requires_grad(true)
    local y = f:forward(leaf)
    local slope = peri.grad(y:sum(), {leaf})[1]
    check.close(f:inverse(y:detach()):tolist(), x:tolist(), 2e-5)
    check.close(f:log_det(x, y:detach()):tolist(), slope:abs():log():tolist(), 1e-5)
    if f:log_det(x * 20, f:forward(x * 20)):is_finite():real():min():item() < 1 then error(name) end
  end
end)

check.test("transformed densities integrate to one and are followed", function ()
  local base = dist.normal(0.3, 0.8)
  for _, case in ipairs(maps) do
    local name, f = table.unpack(case)
    local d = dist.transformed(base, f)
    if name == "tanh" then follows(d, -1, 1) else follows(d) end
  end
  local x = peri.tensor {0.1, 1, 4}
  check.close(dist.transformed(base, bijector.exp()):log_prob(x):tolist(),
    dist.log_normal(0.3, 0.8):log_prob(x):tolist(), 1e-5)
  check.equal({dist.transformed(base, bijector.exp()).support,
    dist.transformed(base, bijector.affine(0, 1)).support}, {"positive", "real"})
end)

check.test("permutations and events of different axes", function ()
  local loc = peri.tensor {1, 2, 3}
  local d = dist.transformed(dist.normal(loc, 0.1), bijector.permute {3, 1, 2})
  check.equal({d.event, d.shape}, {1, {3}})
  local y = d:sample(peri.rng(1), 4)
  check.equal({y.shape, d:log_prob(y).shape}, {{4, 3}, {4}})
  check.close(y:mean(1):tolist(), {3, 1, 2}, 0.3)
  check.close(d:log_prob(peri.tensor {3, 1, 2}):item(),
    dist.normal(loc, 0.1):log_prob(loc):sum():item(), 1e-5)
  local f = bijector.chain {bijector.exp(), bijector.permute {2, 1}, bijector.affine(0, 2)}
  check.equal(f.event, 1)
  local x = peri.tensor {{0.1, -0.4}}
  check.close(f:log_det(x, f:forward(x)):tolist(), {0.1 - 0.4 + 2 * math.log(2)}, 1e-5)
  check.close(f:inverse(f:forward(x)):tolist(), x:tolist(), 1e-5)
  -- an event of the base's is summed once
  local whole = dist.transformed(dist.independent(dist.normal(peri.zeros(2), 1)), bijector.exp())
  local parts = dist.transformed(dist.normal(peri.zeros(2), 1), bijector.exp())
  local z = peri.tensor {{0.5, 2}, {1, 3}}
  check.close(whole:log_prob(z):tolist(), parts:log_prob(z):sum(-1):tolist(), 1e-5)
  local sample, log_prob = d:rsample_with_log_prob(peri.rng(2), 5)
  check.close(log_prob:tolist(), d:log_prob(sample):tolist(), 1e-4)
  check.raises(function () bijector.permute {1, 1} end, "entry 2 is 1; each of 1..2 comes once")
  check.raises(function () bijector.permute(3) end, "no order")
  check.raises(function () bijector.affine(0, 0) end, "no inverse")
  check.raises(function () bijector.chain {} end, "empty")
  check.raises(function () bijector.chain {3} end, "entry 1 is a number")
  check.raises(function () dist.transformed(dist.normal(0, 1), bijector.permute {1}) end,
    "shape %(%)")
  check.raises(function () dist.transformed(3, bijector.exp()) end, "base is a number")
end)

check.test("gradients pass through a map, and stop in sample", function ()
  local m = peri.tensor {0.5}:requires_grad(true)
  local d = dist.transformed(dist.normal(m, 1), bijector.exp())
  local y = d:rsample(peri.rng(1), 100)
  check.close(peri.grad(y:sum(), {m})[1]:item(), y:sum():item(), 1e-5)
  check.is_true(not d:sample(peri.rng(1)):requires_grad())
end)

check.test("independent sums over axes before a base's own event", function ()
  local d = dist.independent(dist.dirichlet(peri.ones(4, 2, 3)))
  check.equal({d.event, d:log_prob(d:sample(peri.rng(1))).shape, d:entropy().shape},
    {2, {4}, {4}})
  check.raises(function () dist.independent(dist.dirichlet(peri.ones(4, 3)), 2) end, "give 0 to 1")
end)

check.test("points and windows around them", function ()
  local points = peri.rng(1):normal(30, 2)
  local d = dist.kde(points, 0.4)
  local x = peri.rng(2):normal(5, 7, 2)
  local parts = dist.mixture(peri.zeros(30), dist.independent(dist.normal(points, 0.4)))
  check.close(d:log_prob(x):reshape(35):tolist(), parts:log_prob(x):reshape(35):tolist(), 1e-4)
  local draws = d:sample(peri.rng(3), N)
  for i = 1, 2 do
    local one, mean = draws:slice(2, i, i), d.mean:tolist()[i]
    density.check_mean(one, mean)
    density.check_mean((one - mean):square(), d.variance:tolist()[i])
  end
  check.raises(function () dist.kde(points, 0) end, "scale is 0")
  check.raises(function () dist.kde(peri.zeros(3), 1) end, "points of shape %(3%)")
  check.raises(function () dist.kde(points, peri.ones(2)) end, "scale of shape %(2%)")
  local e = dist.empirical(peri.tensor {3, 1, 2, 2})
  check.close(e:cdf(peri.tensor {0, 1, 2, 2.5, 3}):tolist(), {0, 0.25, 0.75, 0.75, 1}, 1e-6)
  density.check_mean(e:sample(peri.rng(4), N), 2)
  check.close({e.mean:item(), e.variance:item()}, {2, 0.5}, 1e-6)
  check.equal(dist.empirical(points):sample(peri.rng(1), {3, 4}).shape, {3, 4, 2})
  check.raises(function () e:log_prob(peri.zeros(1)) end, "no density")
  check.raises(function () dist.empirical(peri.zeros(0, 2)) end, "at least one")
end)

check.done()
