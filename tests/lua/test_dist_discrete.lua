-- Families of counts and classes: probabilities add to one, draws follow them, and moments,
-- entropies and cumulative probabilities are sums over the outcomes.

local check = require "check"
local density = require "density"
local peri = require "perigee"

local dist = peri.dist
local N <const> = 50000
local INF <const> = math.huge

-- name, parameters, the largest outcome that matters
local cases = {
  {"bernoulli", {peri.tensor(0.4)}, 1},
  {"poisson", {0.3}, 20}, {"poisson", {4}, 60}, {"poisson", {9.99}, 80}, {"poisson", {10}, 80},
  {"poisson", {45.5}, 160}, {"poisson", {1000}, 1500}, {"poisson", {0}, 5},
  {"geometric", {0.3}, 100}, {"geometric", {-2}, 300}, {"geometric", {4}, 30},
  {"binomial", {7, 0.2}, 7}, {"binomial", {1, -1}, 1}, {"binomial", {0, 1}, 0},
  {"binomial", {30, 0}, 30}, {"binomial", {200, 2}, 200}, {"binomial", {1000, -6}, 40},
  {"binomial", {100, -0.5}, 100},
  {"discretized_logistic", {0.1, -1}, 255}, {"discretized_logistic", {-0.9, -4}, 255},
  {"discretized_logistic", {1.3, -2, 8}, 7}, {"discretized_logistic", {0.2, -1.5, 2}, 1},
}

local function each (f)
  for _, case in ipairs(cases) do
    local name, parameters, last = table.unpack(case)
    local d = dist[name](table.unpack(parameters))
    local x = peri.arange(0, last):real()
    case.p = case.p or d:log_prob(x):exp()
    local ok, message = pcall(f, d, x, case.p, case)
    if not ok then
      error(("%s(%s): %s"):format(name, table.concat({tostring(parameters[1]),
        tostring(parameters[2])}, ", "), message), 0)
    end
  end
end

check.test("probabilities add to one", function ()
  each(function (_, _, p) check.close(p:sum():item(), 1, 5e-4) end)
end)

check.test("draws follow the probabilities", function ()
  each(function (d, x, p, case)
    local counts, expected = {}, {}
    for i = 1, x:count() do counts[i] = 0 end
    local draws = d:sample(peri.rng(5), N)
    check.equal({draws.shape, draws.dtype}, {{N}, "real"})
    for _, k in ipairs(draws:tolist()) do
      check.is_true(k % 1 == 0 and k >= 0 and k <= case[3])
      counts[k // 1 + 1] = counts[k // 1 + 1] + 1
    end
    for i, v in ipairs(p:tolist()) do expected[i] = v * N end
    local ok, found = density.chi_square(counts, expected)
    if not ok then error(found, 0) end
    density.check_mean(draws, d.mean:item(), 1e-4)
    density.check_mean(-d:log_prob(draws), (-(peri.where(peri.gt(p, 0), p:log(), 0)) * p):sum()
      :item(), 2e-4)
  end)
end)

check.test("moments are sums over the outcomes", function ()
  each(function (d, x, p)
    local mean = (p * x):sum():item()
    check.close(d.mean:item(), mean, 5e-4)
    check.close(d.variance:item(), (p * peri.square(x - mean)):sum():item(), 1e-3)
  end)
end)

check.test("entropies are sums over the outcomes", function ()
  each(function (d, _, p, case)
    if case[1] == "poisson" then
      return check.raises(function () d:entropy() end, "no entropy in closed form")
    end
    local want = 0
    for _, v in ipairs(p:tolist()) do want = want - (v > 0 and v * math.log(v) or 0) end
    check.close(d:entropy():item(), want, 2e-4)
  end)
end)

check.test("cumulative probabilities are running sums", function ()
  each(function (d, x, p, case)
    if case[1] ~= "geometric" and case[1] ~= "discretized_logistic" then return end
    check.close(d:cdf(x + 0.5):tolist(), peri.cumsum(p):tolist(), 1e-4)
    check.equal(d:cdf(peri.tensor {-0.5}):item(), 0)
  end)
end)

check.test("finite families list their outcomes", function ()
  check.equal(dist.bernoulli(peri.zeros(2)):enumerate():tolist(), {{0, 0}, {1, 1}})
  check.equal(dist.categorical(peri.zeros(2, 3)):enumerate():tolist(), {{1, 1}, {2, 2}, {3, 3}})
  check.equal(dist.binomial(peri.tensor {1, 3}, 0):enumerate():tolist(),
    {{0, 0}, {1, 1}, {2, 2}, {3, 3}})
  local d = dist.discretized_logistic(peri.zeros(4), -1, 16)
  check.equal(d:enumerate().shape, {16, 4})
  check.close(d:log_prob(d:enumerate()):exp():sum(1):tolist(), {1, 1, 1, 1}, 1e-5)
  check.raises(function () dist.poisson(3):enumerate() end, "no finite list of outcomes")
end)

check.test("outside the support log p is -inf, and no NaN comes back", function ()
  for _, case in ipairs {{"poisson", {2}, -1}, {"geometric", {0}, -2}, {"binomial", {5, 0.3}, 6},
    {"binomial", {5, 0.3}, -1}, {"discretized_logistic", {0, -1}, 256},
    {"discretized_logistic", {0, -1}, -1}} do
    local leaves = {}
    for i, v in ipairs(case[2]) do leaves[i] = peri.tensor(v):requires_grad(true) end
    local l = dist[case[1]](table.unpack(leaves)):log_prob(peri.tensor {case[3]})
    check.equal(l:item(), -INF)
    for _, g in ipairs(peri.grad(l:sum(), leaves)) do check.is_true(g:item() == g:item()) end
  end
  check.equal(dist.poisson(0):log_prob(peri.tensor {0, 1}):tolist(), {0, -INF})
  check.equal(dist.binomial(3, INF):log_prob(peri.tensor {3, 2}):tolist(), {0, -INF})
end)

check.test("levels far from the logistic keep a gradient", function ()
  -- where sigmoid(a) - sigmoid(b) is 0 in float32, and for a level narrower than a rounding
  local loc = peri.tensor {-1, -1, 1}:requires_grad(true)
  local log_scale = peri.tensor {-6, -3, 6}:requires_grad(true)
  local l = dist.discretized_logistic(loc, log_scale):log_prob(peri.tensor {250, 255, 3})
  local a, b = table.unpack(peri.grad(l:sum(), {loc, log_scale}))
  for i = 1, 3 do
    check.is_true(l:tolist()[i] > -2000 and a:tolist()[i] ~= 0 and b:tolist()[i] == b:tolist()[i])
  end
  check.close(a:tolist()[1], math.exp(6), 1e-3)        -- the tail falls by e in each scale
end)

check.test("multinomial counts add to n and follow the probabilities", function ()
  local logits = peri.tensor {{0.5, -1, 0.2}, {0, 0, -INF}}
  local d = dist.multinomial(6, logits)
  check.equal({d.shape, d.event}, {{2, 3}, 1})
  local x = d:sample(peri.rng(3), N)
  check.equal(x.shape, {N, 2, 3})
  check.equal({(x:sum(-1) - 6):abs():max():item(), x:slice(2, 2, 2):slice(3, 3, 3):max():item()},
    {0, 0})
  local total, counts, expected, index = 0, {}, {}, {}
  for i = 0, 6 do
    for k = 0, 6 - i do
      index[i * 7 + k] = #counts + 1
      local p = d:log_prob(peri.tensor {{i, k, 6 - i - k}, {i, k, 6 - i - k}}):exp():tolist()
      total = total + p[1]
      counts[#counts + 1], expected[#expected + 1] = 0, p[1] * N
      check.equal(p[2] > 0, i + k == 6)
    end
  end
  check.close(total, 1, 1e-5)
  for _, row in ipairs(x:slice(2, 1, 1):reshape(N, 3):tolist()) do
    local at = index[row[1] // 1 * 7 + row[2] // 1]
    counts[at] = counts[at] + 1
  end
  local ok, found = density.chi_square(counts, expected)
  if not ok then error(found, 0) end
  for i = 1, 3 do
    local one = x:slice(2, 1, 1):slice(3, i, i)
    local mean = d.mean:tolist()[1][i]
    density.check_mean(one, mean)
    density.check_mean((one - mean):square(), d.variance:tolist()[1][i])
  end
  check.equal(d:log_prob(peri.tensor {1, 1, 1}):tolist(), {-INF, -INF})
  check.raises(function () dist.multinomial(2.5, logits) end, "n is 2.5")
  check.raises(function () dist.multinomial(2, 3) end, "logits is a number")
end)

check.test("categorical draws follow any row", function ()
  local logits = peri.rng(1):normal(3, 40) * 2
  local d = dist.categorical(logits)
  local x = d:sample(peri.rng(2), N)
  check.equal({x.shape, x.dtype}, {{N, 3}, "index"})
  for row = 1, 3 do
    local counts, expected = {}, {}
    for i, v in ipairs(d.mean:tolist()[row]) do counts[i], expected[i] = 0, v * N end
    for _, k in ipairs(x:slice(2, row, row):reshape(N):tolist()) do counts[k] = counts[k] + 1 end
    local ok, found = density.chi_square(counts, expected)
    if not ok then error(found, 0) end
  end
end)

check.test("wrong parameters are named", function ()
  check.raises(function () dist.poisson(-1) end, "rate is %-1; it is 0 or more")
  check.raises(function () dist.binomial(2.5, 0) end, "n is 2.5; it is a whole number")
  check.raises(function () dist.discretized_logistic(0, 0, 1) end, "bins is 1")
  check.raises(function () dist.poisson(3):rsample(peri.rng(1)) end, "discrete")
  check.raises(function () dist.binomial(peri.tensor {1, 2.5}, 0):check() end,
    "1 of 2 entries of n are not a whole number")
  check.raises(function () dist.poisson(peri.tensor {1, -2}):sample(peri.rng(1)) end, "rate is %-2")
end)

check.done()
