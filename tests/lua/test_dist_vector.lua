-- Distributions of vectors: simplices, multivariate normals, pixels.  Each integrates to one where
-- a grid can show it, its draws have its moments, and its parts agree with other ways to them.

local check = require "check"
local density = require "density"
local peri = require "perigee"

local dist = peri.dist
local N <const> = 40000

-- The integral of exp(log_prob) over the triangle of (x, y, 1 - x - y), in logistic coordinates.
local function triangle (d)
  local n, reach = 300, 14
  local h = 2 * reach / n
  local t = (peri.arange(n):real() - 0.5) * h - reach
  local a, b = peri.expand(t:reshape(n, 1), n, n), peri.expand(t, n, n)
  -- x = s(a), y = (1 - x) s(b); dx dy = x (1 - x)^2 s(b) (1 - s(b)) da db
  local lx, rest = peri.log_sigmoid(a), peri.log_sigmoid(-a)
  local ly, lz = rest + peri.log_sigmoid(b), rest + peri.log_sigmoid(-b)
  local x = peri.exp(peri.stack({lx, ly, lz}, -1))
  local p = peri.exp(d:log_prob(x) + lx + ly + lz)
  return p:sum():item() * h * h
end

local function check_moments (d, x, variance)
  local mean = peri.expand(d.mean, d.shape):tolist()
  local spread = variance and d.variance:tolist()
  for i = 1, #mean do
    local one = x:slice(-1, i, i)
    density.check_mean(one, mean[i])
    if spread then density.check_mean((one - mean[i]):square(), spread[i]) end
  end
end

check.test("a Dirichlet integrates to one and has its moments and entropy", function ()
  for _, a in ipairs {{1, 1, 1}, {2, 3.5, 1.2}, {0.7, 4, 2}} do
    local d = dist.dirichlet(peri.tensor(a))
    check.equal({d.shape, d.event}, {{3}, 1})
    check.close(triangle(d), 1, 5e-4)
    local x = d:sample(peri.rng(3), N)
    check.close(x:sum(-1):max():item(), 1, 1e-5)
    check_moments(d, x, true)
    density.check_mean(-d:log_prob(x), d:entropy():item(), 1e-4)
  end
  local d = dist.dirichlet(peri.ones(4, 3))
  check.equal({d:entropy().shape, d:sample(peri.rng(1), {2, 5}).shape}, {{4}, {2, 5, 4, 3}})
  check.equal(dist.dirichlet(peri.tensor {2, 2}):log_prob(peri.tensor {-0.1, 1.1}):item(),
    -math.huge)
  -- of two classes it is the beta distribution
  local x = peri.tensor {0.1, 0.6, 0.95}
  check.close(dist.dirichlet(peri.tensor {0.7, 2}):log_prob(peri.stack({x, 1 - x}, -1)):tolist(),
    dist.beta(0.7, 2):log_prob(x):tolist(), 1e-5)
  -- concentrations so small that gamma draws are 0 in float32
  local tiny = dist.dirichlet(peri.full({3}, 0.005)):sample(peri.rng(5), N)
  check.equal(tiny:is_finite():real():min():item(), 1)
  density.check_mean(tiny:slice(-1, 1, 1), 1 / 3)
  check.raises(function () dist.dirichlet(3) end, "concentration is a number")
  check.raises(function () dist.dirichlet(peri.tensor(3)) end, "no axis of classes")
end)

check.test("a Dirichlet's pathwise gradient is that of its mean", function ()
  local a = peri.expand(peri.tensor {2, 0.5, 1}, N, 3):clone():requires_grad(true)
  local x = dist.dirichlet(a):rsample(peri.rng(7))
  local g = peri.grad(x:slice(-1, 1, 1):sum(), {a})[1]
  local total = 3.5                                     -- d (a1 / total) / d a
  for i, want in ipairs {(total - 2) / total ^ 2, -2 / total ^ 2, -2 / total ^ 2} do
    density.check_mean(g:slice(-1, i, i), want)
  end
end)

check.test("a relaxed categorical integrates to one and follows its temperature", function ()
  for _, t in ipairs {0.7, 1, 2} do
    local d = dist.relaxed_categorical(t, peri.tensor {0.3, -1, 0.8})
    check.close(triangle(d), 1, t < 1 and 2e-2 or 5e-4)
    local x = d:sample(peri.rng(2), N)
    check.close(x:sum(-1):tolist()[1], 1, 1e-5)
    -- the largest entry is a draw of the categorical
    local top = peri.one_hot(peri.argmax(x, -1), 3)
    local p = peri.softmax(d.logits, -1):tolist()
    for i = 1, 3 do density.check_mean(top:slice(-1, i, i), p[i]) end
  end
  local l = peri.tensor {0.5}
  local x = peri.tensor {0.2, 0.9}
  check.close(dist.relaxed_categorical(0.6, peri.tensor {0.5, 0}):log_prob(
    peri.stack({x, 1 - x}, -1)):tolist(), dist.relaxed_bernoulli(0.6, l):log_prob(x):tolist(), 1e-5)
  local logits = peri.tensor {1, 2, 3}:requires_grad(true)
  local d = dist.relaxed_categorical(0.1, logits)
  local draw = d:rsample_log(peri.rng(1), 100)
  check.is_true(peri.grad(d:log_prob_of_log(draw):sum(), {logits})[1]:is_finite():real():min()
    :item() == 1)
  check.raises(function () dist.relaxed_categorical(peri.ones(3), peri.zeros(2, 3)) end,
    "temperature of shape %(3%)")
end)

local tril = {{1, 0, 0}, {0.5, 0.8, 0}, {-0.3, 0.2, 1.5}}

check.test("a multivariate normal is the product of its conditionals", function ()
  local d = dist.multivariate_normal(peri.tensor {1, 0, -1}, peri.tensor(tril))
  check.equal({d.shape, d.event}, {{3}, 1})
  local x = d:sample(peri.rng(4), N)
  check_moments(d, x, true)
  check.equal(d:sample(peri.rng(4)).shape, {3})
  density.check_mean(-d:log_prob(x), d:entropy():item())
  -- x = loc + L z row by row: each given those before it is a normal of scale L_ii
  local some = x:slice(1, 1, 50)
  local total, z = peri.zeros(50), {}
  for i = 1, 3 do
    local mean = peri.full({50}, ({1, 0, -1})[i])
    for k = 1, i - 1 do mean = mean + z[k] * tril[i][k] end
    local xi = some:slice(-1, i, i):reshape(50)
    total = total + dist.normal(mean, tril[i][i]):log_prob(xi)
    z[i] = (xi - mean) / tril[i][i]
  end
  check.close(d:log_prob(some):tolist(), total:tolist(), 1e-4)
  local covariance = peri.matmul((x - d.mean):transpose(), x - d.mean) / N
  check.is_true((covariance - d.covariance):abs():max():item() < 5 * 4 / math.sqrt(N))
  -- what stands above the diagonal is not read
  local full = peri.tensor {{1, 9, 9}, {0.5, 0.8, 9}, {-0.3, 0.2, 1.5}}
  local same = dist.multivariate_normal(d.loc, full)
  check.equal(same:log_prob(some):tolist(), d:log_prob(some):tolist())
  check.equal(same:sample(peri.rng(4), 5):tolist(), d:sample(peri.rng(4), 5):tolist())
  check.close(dist.kl(same, d):item(), 0, 1e-6)
end)

check.test("batches of normals, and their gradients", function ()
  local l = peri.stack({peri.tensor(tril), peri.tensor(tril) * 2}, 1):requires_grad(true)
  local d = dist.multivariate_normal(peri.zeros(5, 1, 3), l)
  check.equal({d.shape, d:entropy().shape}, {{5, 2, 3}, {5, 2}})
  local x = d:rsample(peri.rng(1), 4)
  check.equal({x.shape, d:log_prob(x).shape}, {{4, 5, 2, 3}, {4, 5, 2}})
  for i = 1, 2 do
    local one = dist.multivariate_normal(peri.zeros(3), l:detach():slice(1, i, i):reshape(3, 3))
    local y = x:detach():slice(3, i, i):reshape(4, 5, 3)
    check.close(d:log_prob(x):detach():slice(3, i, i):reshape(20):tolist(),
      one:log_prob(y):reshape(20):tolist(), 1e-4)
  end
  local g = peri.grad(d:log_prob(x:detach()):sum(), {l})[1]
  local h = 1e-2
  local moved = peri.zeros(2, 3, 3) + peri.tensor {{0, 0, 0}, {0, h, 0}, {0, 0, 0}}
  local function at (m) return dist.multivariate_normal(peri.zeros(5, 1, 3), m):log_prob(
    x:detach()):sum():item() end
  local want = (at(l:detach() + moved) - at(l:detach() - moved)) / (2 * h)
  local got = g:slice(2, 2, 2):slice(3, 2, 2):sum():item()
  check.close(got, want, 1e-2)
  check.raises(function () dist.multivariate_normal(peri.zeros(3), peri.ones(2, 2)) end,
    "%(3%) and scale_tril of shape %(2, 2%)")
end)

check.test("a normal of low rank is the full one of the same covariance", function ()
  local loc = peri.tensor {1, 0, -1, 2}
  local w = peri.rng(1):normal(4, 2)
  local scale = peri.tensor {0.5, 1, 0.3, 2}
  local d = dist.low_rank_normal(loc, w, scale)
  local eye = peri.one_hot(peri.arange(4), 4)
  local full = dist.multivariate_normal(loc,
    peri.cholesky(peri.matmul(w, w:transpose()) + eye * peri.square(scale)))
  local x = d:sample(peri.rng(2), N)
  check.close(d:log_prob(x:slice(1, 1, 50)):tolist(), full:log_prob(x:slice(1, 1, 50)):tolist(),
    1e-4)
  check.close(d:entropy():item(), full:entropy():item(), 1e-5)
  check.close(d.variance:tolist(), full.variance:tolist(), 1e-4)
  check_moments(d, x, true)
  local batch = dist.low_rank_normal(peri.zeros(5, 4), peri.stack({w, w, w, w, w}, 1), scale)
  check.equal(d:sample(peri.rng(1)).shape, {4})
  check.equal({batch.shape, batch:sample(peri.rng(1), 3).shape}, {{5, 4}, {3, 5, 4}})
  local y = batch:sample(peri.rng(1), 3)
  check.close(batch:log_prob(y):reshape(15):tolist(),
    dist.low_rank_normal(peri.zeros(4), w, scale):log_prob(y):reshape(15):tolist(), 1e-4)
  check.raises(function () dist.low_rank_normal(loc, peri.ones(3, 2), scale) end, "%(4%).*%(3, 2%)")
  check.raises(function () dist.low_rank_normal(loc, w, peri.ones(3)) end, "%(3%).*%(4%)")
end)

check.test("pixels of three channels add to one over all levels", function ()
  local rng = peri.rng(3)
  local K, B = 3, 5
  check.equal(require "perigee.dist.pixel_logistics".width(10, 3), 100)
  local params = rng:normal(10 * K)
  local d = dist.pixel_logistics(params, K, 3, B)
  check.equal({d.shape, d.event}, {{3}, 1})
  local all = {}
  for r = 0, B - 1 do
    for g = 0, B - 1 do
      for b = 0, B - 1 do all[#all + 1] = {r, g, b} end
    end
  end
  local p = d:log_prob(peri.tensor(all)):exp()
  check.close(p:sum():item(), 1, 1e-5)
  local counts, expected = {}, {}
  for i, v in ipairs(p:tolist()) do counts[i], expected[i] = 0, v * N end
  for _, x in ipairs(d:sample(rng, N):tolist()) do
    local i = (x[1] * B * B + x[2] * B + x[3] + 1) // 1
    counts[i] = counts[i] + 1
  end
  local ok, found = density.chi_square(counts, expected)
  if not ok then error(found, 0) end
  -- of one channel it is a mixture of discretised logistics
  local one = rng:normal(7, 3 * K)
  local x = peri.tensor {0, 1, 2, 3, 4, 4, 0}
  local parts = dist.discretized_logistic(one:slice(2, K + 1, 2 * K),
    one:slice(2, 2 * K + 1, 3 * K), B)
  check.close(dist.pixel_logistics(one, K, 1, B):log_prob(x:reshape(7, 1)):tolist(),
    dist.mixture(one:slice(2, 1, K), parts):log_prob(x):tolist(), 1e-5)
  local images = dist.pixel_logistics(rng:normal(2, 4, 4, 20), 2)
  check.equal({images:sample(rng).shape, images:log_prob(images:sample(rng)).shape},
    {{2, 4, 4, 3}, {2, 4, 4}})
  check.raises(function () dist.pixel_logistics(peri.zeros(2, 19), 2) end, "take 20 numbers")
end)

check.done()
