-- Distributions: total probability one, draws that follow the density, entropies and divergences
-- against enumeration and Monte Carlo (five standard errors at a fixed seed), pathwise gradients.

local check = require "check"
local peri = require "perigee"

local dist = peri.dist
local N <const> = 200000                 -- draws in a Monte Carlo check

-- The mean of the real tensor x lies within five standard errors of `want`.
local function check_mean (x, want)
  local mean = x:mean():item()
  local std = (x - mean):square():mean():sqrt():item()
  if math.abs(mean - want) > 5 * std / math.sqrt(x:count()) + 1e-6 then
    error(("mean %g, standard error %g, want %g"):format(mean, std / math.sqrt(x:count()), want), 2)
  end
end

-- --- normal -------------------------------------------------------------------------------------

check.test("a normal density integrates to one and has its moments", function ()
  for _, case in ipairs {{0, 1}, {3, 0.2}, {-1, 7}} do
    local mean, scale = table.unpack(case)
    local n = 4000
    local h = 20 * scale / n                            -- the trapezoid rule over ten deviations
    local x = (peri.arange(0, n):real() - n / 2) * h + mean
    for _, d in ipairs {
      dist.normal(mean, scale), dist.normal(peri.tensor {mean}, peri.tensor {scale}),
      dist.normal(mean, peri.tensor {scale}, peri.tensor {math.log(scale)}),
    } do
      local p = d:log_prob(x):exp()
      check.close(p:sum():item() * h, 1, 2e-5)
      check.close((p * (x - mean)):sum():item() * h, 0, 1e-4 * scale)
      check.close((p * (x - mean):square()):sum():item() * h / scale ^ 2, 1, 1e-4)
    end
  end
end)

check.test("normal draws have the mean, the variance and the shape", function ()
  local d = dist.normal(peri.tensor {1, -2, 0}, peri.tensor {{0.5}, {2}})
  check.equal(d.shape, {2, 3})
  local rng = peri.rng(1)
  local x = d:sample(rng, N // 10)
  check.equal(x.shape, {N // 10, 2, 3})
  check.equal(d:rsample(rng).shape, {2, 3})
  check.equal(d:sample(rng, {4, 5}).shape, {4, 5, 2, 3})
  local z = (x - d.mean) / d.scale
  check_mean(z, 0)
  check_mean(z:square(), 1)
  check_mean(z:square():square(), 3)
end)

check.test("a normal's entropy is the mean of -log p, and its broadcast shape", function ()
  local d = dist.normal(peri.zeros(2), 3)
  check.equal(d:entropy().shape, {2})
  check_mean(-d:log_prob(d:sample(peri.rng(2), N)), d:entropy():tolist()[1])
end)

check.test("the pathwise gradient is the analytic one", function ()
  -- d/dm E z^2 = 2 m and d/ds E z^2 = 2 s for z ~ N(m, s^2)
  local m = peri.tensor {1.5}:requires_grad(true)
  local s = peri.tensor {0.7}:requires_grad(true)
  local z = dist.normal(m, s):rsample(peri.rng(3), N)
  local noise = (z:detach() - m:detach()) / s:detach()
  local dm, ds = table.unpack(peri.grad(z:square():mean(), {m, s}))
  check.close(dm:item(), 3, 5 * 2 * 0.7 / math.sqrt(N))
  check.close(ds:item(), 1.4, 5 * 2 * math.sqrt(1.5 ^ 2 + 2 * 0.7 ^ 2) / math.sqrt(N))
  -- and for the same noise it is exact: dz/dm = 1, dz/ds = noise
  check.close(dm:item(), (z:detach() * 2):mean():item(), 1e-5)
  check.close(ds:item(), (z:detach() * 2 * noise):mean():item(), 1e-4)
end)

check.test("sample cuts the gradient, log_prob gives one", function ()
  local m = peri.zeros(3):requires_grad(true)
  local d = dist.normal(m, 2)
  check.is_true(d:rsample(peri.rng(1)):requires_grad())
  check.is_true(not d:sample(peri.rng(1)):requires_grad())
  local score = peri.grad(d:log_prob(peri.tensor {1, 2, -4}):sum(), {m})[1]
  check.close(score:tolist(), {0.25, 0.5, -1}, 1e-6)       -- (x - m) / s^2
  check.is_true(not dist.bernoulli(m):sample(peri.rng(1)):requires_grad())
end)

-- --- bernoulli ----------------------------------------------------------------------------------

local LOGITS <const> = {-200, -30, -3, -0.1, 0, 0.5, 4, 30, 200}

check.test("Bernoulli probabilities add to one and stay finite", function ()
  local d = dist.bernoulli(peri.tensor(LOGITS))
  local zero, one = d:log_prob(peri.zeros(#LOGITS)), d:log_prob(peri.ones(#LOGITS))
  check.close((zero:exp() + one:exp()):tolist(), peri.ones(#LOGITS):tolist(), 1e-6)
  check.close(one:exp():tolist(), d.mean:tolist(), 1e-6)
  check.equal({zero:tolist()[9], one:tolist()[1]}, {-200, -200})
  local want = -(d.mean * one + (1 - d.mean) * zero)
  check.close(d:entropy():tolist(), want:tolist(), 2e-6)
end)

check.test("Bernoulli draws follow the mean", function ()
  local d = dist.bernoulli(peri.tensor {-1, 0.3})
  local x = d:sample(peri.rng(4), N)
  check.equal(x.shape, {N, 2})
  check.equal((x * (1 - x)):abs():max():item(), 0)
  check_mean(x - d.mean, 0)
  check.equal(d:sample(peri.rng(4)).shape, {2})
  check.raises(function () d:rsample(peri.rng(1)) end, "discrete")
end)

-- --- categorical --------------------------------------------------------------------------------

local INF <const> = math.huge

check.test("categorical probabilities add to one", function ()
  local d = dist.categorical(peri.tensor {{1, -2, 0.5, 80}, {0, 0, -INF, 3}})
  check.equal({d.shape, d.classes}, {{2}, 4})
  local outcomes = peri.arange(4):reshape(4, 1):expand(4, 2)
  local p = d:log_prob(outcomes):exp()
  check.equal(p.shape, {4, 2})
  check.close(p:sum(1):tolist(), {1, 1}, 1e-6)
  check.close(p:transpose():tolist(), d.mean:tolist(), 1e-6)
  check.equal(d:log_prob(peri.tensor({1, 3}, "index")):tolist()[2], -INF)
end)

check.test("categorical draws follow the probabilities, and never the impossible", function ()
  local d = dist.categorical(peri.tensor {0.5, -INF, 2, -1})
  local x = d:sample(peri.rng(5), N)
  check.equal({x.shape, x.dtype}, {{N}, "index"})
  local counts = peri.one_hot(x, 4)
  check.equal(counts:sum(1):tolist()[2], 0)
  for k, p in ipairs(d.mean:tolist()) do
    check_mean(counts:slice(2, k, k), p)
  end
  check.equal(dist.categorical(peri.zeros(3, 4)):sample(peri.rng(1), {2, 5}).shape, {2, 5, 3})
  check.raises(function () d:rsample(peri.rng(1)) end, "discrete")
end)

check.test("a categorical's entropy is the sum over outcomes", function ()
  local d = dist.categorical(peri.tensor {{0.5, -INF, 2, -1}, {0, 0, 0, 0}})
  local want = {0, 0}
  for i, row in ipairs(d.mean:tolist()) do
    for _, p in ipairs(row) do want[i] = want[i] - (p > 0 and p * math.log(p) or 0) end
  end
  check.close(d:entropy():tolist(), want, 1e-6)
  check.close(want[2], math.log(4), 1e-12)
  local logits = peri.tensor {0.5, -INF, 2}:requires_grad(true)
  local dl = peri.grad(dist.categorical(logits):entropy(), {logits})[1]
  check.equal(dl:is_finite():real():sum():item(), 3)
end)

check.test("the score function gives the analytic gradient of an expectation", function ()
  -- d/dl_k E[f] = p_k (f_k - E f), here enumerated: sum_x p(x) f(x) d log p(x)
  local logits = peri.tensor {0.2, -1, 0.7}:requires_grad(true)
  local d = dist.categorical(logits)
  local f = peri.tensor {3, -2, 5}
  local surrogate = (d.mean:detach() * f * d:log_prob(peri.arange(3))):sum()
  local got = peri.grad(surrogate, {logits})[1]
  local p = d.mean:detach()
  local want = p * (f - (p * f):sum())
  check.close(got:tolist(), want:tolist(), 1e-6)
end)

-- --- divergences --------------------------------------------------------------------------------

check.test("a divergence is E_p[log p - log q], and zero from itself", function ()
  local rng = peri.rng(6)
  local normals = {
    {dist.normal(peri.tensor {0.3}, peri.tensor {0.5}), dist.normal(0, 1)},
    {dist.normal(0, 1), dist.normal(peri.tensor {-1}, peri.tensor {2})},
    {dist.normal(peri.tensor {1}, 3), dist.normal(-0.5, peri.tensor {2.5})},
  }
  for _, pair in ipairs(normals) do
    local p, q = table.unpack(pair)
    local x = p:sample(rng, N)
    check_mean(p:log_prob(x) - q:log_prob(x), dist.kl(p, q):item())
    check.close(dist.kl(p, p):item(), 0, 1e-6)
  end
  local a, b = peri.tensor {-3, 0.2, 25}, peri.tensor {1, 0.2, -20}
  local p, q = dist.bernoulli(a), dist.bernoulli(b)
  local want = p.mean * (p:log_prob(peri.ones(3)) - q:log_prob(peri.ones(3)))
    + (1 - p.mean) * (p:log_prob(peri.zeros(3)) - q:log_prob(peri.zeros(3)))
  check.close(dist.kl(p, q):tolist(), want:tolist(), 1e-5)
  check.close(dist.kl(p, p):tolist(), {0, 0, 0}, 1e-5)
  local c = dist.categorical(peri.tensor {{1, -INF, 0.5}, {0, 2, 1}})
  local d = dist.categorical(peri.tensor {{0, 3, 0.1}, {-2, 0, 0}})
  local terms = {0, 0}
  local pc, pd = c.mean:tolist(), d.mean:tolist()
  for i = 1, 2 do
    for k = 1, 3 do
      if pc[i][k] > 0 then terms[i] = terms[i] + pc[i][k] * math.log(pc[i][k] / pd[i][k]) end
    end
  end
  check.close(dist.kl(c, d):tolist(), terms, 1e-5)
  check.close(dist.kl(c, c):tolist(), {0, 0}, 1e-6)
end)

check.test("a divergence's gradient is that of its formula", function ()
  local m = peri.tensor {0.4}:requires_grad(true)
  local s = peri.tensor {0.6}:requires_grad(true)
  local kl = dist.kl(dist.normal(m, s), dist.normal(0, 1))
  local dm, ds = table.unpack(peri.grad(kl:sum(), {m, s}))
  check.close({dm:item(), ds:item()}, {0.4, 0.6 - 1 / 0.6}, 1e-6)
end)

check.test("pairs without a closed form say so, and can be registered", function ()
  local p, q = dist.normal(0, 1), dist.bernoulli(peri.zeros(1))
  check.raises(function () dist.kl(p, q) end, "no closed form")
  local Point = {}
  local point = setmetatable({}, Point)
  dist.register_kl(Point, Point, function () return 7 end)
  check.equal(dist.kl(point, point), 7)
end)

-- --- independent --------------------------------------------------------------------------------

check.test("an event's log-probability is the sum over its axes", function ()
  local base = dist.normal(peri.rng(7):normal(4, 3, 2), peri.ones(4, 3, 2) * 0.5)
  local prior = dist.normal(peri.zeros(4, 3, 2), peri.ones(4, 3, 2))
  local x = peri.rng(8):normal(4, 3, 2)
  for n = 0, 3 do
    local d = dist.independent(base, n)
    local function total (y)
      for _ = 1, n do y = y:sum(-1) end
      return y
    end
    local function same (a, b)
      check.equal(a.shape, b.shape)
      check.is_true((a - b):abs():max():item() < 1e-4)
    end
    same(d:log_prob(x), total(base:log_prob(x)))
    same(d:entropy(), total(base:entropy()))
    same(dist.kl(d, dist.independent(prior, n)), total(dist.kl(base, prior)))
    check.equal(d:rsample(peri.rng(1), 5).shape, {5, 4, 3, 2})
    check.equal(d.mean:tolist(), base.mean:tolist())
  end
  check.raises(function () dist.independent(base, 4) end, "give 0 to 3")
  check.raises(function () dist.kl(dist.independent(base, 1), dist.independent(base, 2)) end,
    "events of 1 and of 2")
end)

check.test("wrong parameters are named", function ()
  check.raises(function () dist.normal(0) end, "scale is a nil")
  check.raises(function () dist.normal("x", 1) end, "mean is a string")
  check.raises(function () dist.normal(0, -1) end, "scale is %-1")
  check.raises(function () dist.normal(peri.zeros(2), peri.ones(3)) end, "%(2%) and %(3%)")
  check.raises(function () dist.bernoulli(0.5) end, "logits is a number")
  check.raises(function () dist.categorical(peri.full({}, 1)) end, "no axis of classes")
  local d = dist.categorical(peri.zeros(2, 3))
  check.raises(function () d:log_prob(peri.ones(2)) end, "real tensor; give an index tensor")
  check.raises(function () d:log_prob(peri.tensor({1, 4}, "index")) end, "4")
  check.raises(function () dist.independent(3) end, "base is a number")
end)

check.done()
