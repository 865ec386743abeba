-- The Gaussian VAE: a case where log p(x) has a closed form, laws of its bounds, training, saving.

local check = require "check"
local peri = require "perigee"
local Vae = require "perigee.models.vae.gaussian"

local nn, dist = peri.nn, peri.dist

local function small (seed, given)
  local o = {features = 12, latent = 3, hidden = {16}, rng = peri.rng(seed or 1)}
  for k, v in pairs(given or {}) do o[k] = v end
  return Vae(o)
end

local function binary (seed, n)
  return peri.rng(seed):bernoulli(peri.full({n, 12}, 0.4))
end

-- The mean of the numbers and its standard error.
local function describe (list)
  local n, sum, squares = #list, 0, 0
  for _, v in ipairs(list) do sum = sum + v end
  for _, v in ipairs(list) do squares = squares + (v - sum / n) ^ 2 end
  return sum / n, math.sqrt(squares / (n - 1) / n)
end

-- --- closed form --------------------------------------------------------------------------------

-- x = z W + b + s e with z, e standard normal, and orthogonal rows of W: then the posterior of z is
-- diagonal, with variances 1 / (1 + |w_j|^2 / s^2) and means variance_j w_j . (x - b) / s^2.
local W <const>, B <const>, S <const> = {{1, 1, 0}, {0.5, -0.5, 0}}, {0.3, -0.2, 1}, 0.5

local function linear_gaussian (exact)
  local model = Vae {
    features = 3, latent = 2, hidden = {}, rng = peri.rng(3),
    likelihood = function (y) return dist.normal(y, S) end,
  }
  model.decoder[1].weight:assign(peri.tensor(W))
  model.decoder[1].bias:assign(peri.tensor(B))
  -- a posterior narrower than the true one would give importance weights without a variance
  model.encoder.log_scale.weight:assign(peri.zeros(3, 2))
  model.encoder.log_scale.bias:assign(peri.zeros(2))
  if not exact then return model end
  local weight, mean_bias, log_scale = {{}, {}, {}}, {}, {}
  for j, w in ipairs(W) do
    local variance = 1 / (1 + (w[1] ^ 2 + w[2] ^ 2 + w[3] ^ 2) / S ^ 2)
    mean_bias[j] = 0
    for i = 1, 3 do
      weight[i][j] = variance * w[i] / S ^ 2
      mean_bias[j] = mean_bias[j] - weight[i][j] * B[i]
    end
    log_scale[j] = math.log(variance) / 2
  end
  model.encoder.mean.weight:assign(peri.tensor(weight))
  model.encoder.mean.bias:assign(peri.tensor(mean_bias))
  model.encoder.log_scale.bias:assign(peri.tensor(log_scale))
  return model
end

-- log N(x; b, W'W + s^2 I) by the 3 x 3 inverse.
local function exact_log_prob (x)
  local c = {}
  for i = 1, 3 do
    c[i] = {}
    for j = 1, 3 do
      c[i][j] = W[1][i] * W[1][j] + W[2][i] * W[2][j] + (i == j and S ^ 2 or 0)
    end
  end
  local function minor (i, j)
    local r, k = i % 3 + 1, j % 3 + 1
    local r2, k2 = r % 3 + 1, k % 3 + 1
    return c[r][k] * c[r2][k2] - c[r][k2] * c[r2][k]       -- cyclic: the sign is in the order
  end
  local det, quadratic = 0, 0
  for j = 1, 3 do det = det + c[1][j] * minor(1, j) end
  for i = 1, 3 do
    for j = 1, 3 do
      quadratic = quadratic + (x[i] - B[i]) * (x[j] - B[j]) * minor(j, i) / det
    end
  end
  return -0.5 * (quadratic + math.log(det) + 3 * math.log(2 * math.pi))
end

local points = {{0.3, -0.2, 1}, {2, 1, 0}, {-1, 0.5, 1.4}, {0, 0, 0}}

check.test("with the exact posterior one draw gives log p(x)", function ()
  local model, x, want = linear_gaussian(true), peri.tensor(points), {}
  for i, p in ipairs(points) do want[i] = exact_log_prob(p) end
  local got, kind = model:log_prob(x, peri.rng(1), {samples = 1})
  check.close(got:tolist(), want, 2e-5)
  check.equal(kind, "estimate")
  -- more draws than are decoded at once take the path that joins parts
  check.close(model:log_prob(x, peri.rng(1), {samples = 10000}):tolist(), want, 2e-5)
  -- and the bound is tight on average
  local bound, bound_kind = model:elbo(x, peri.rng(1), {samples = 4000})
  check.close(bound:tolist(), want, 0.1)
  check.equal(bound_kind, "bound")
end)

check.test("with any posterior many draws come to log p(x)", function ()
  local model, x = linear_gaussian(false), peri.tensor(points)
  local got = model:log_prob(x, peri.rng(2), {samples = 200000}):tolist()
  for i, p in ipairs(points) do check.close(got[i], exact_log_prob(p), 0.05) end
end)

check.test("training brings the bound up to the likelihood", function ()
  local model = linear_gaussian(false)
  local rng = peri.rng(4)
  local x = rng:normal(200, 2):matmul(peri.tensor(W)) + peri.tensor(B) + rng:normal(200, 3) * S
  local encoder = model.encoder                  -- the decoder stays the true one
  local opt = peri.optim.adam(encoder, {lr = 0.05})
  local lr = peri.optim.schedule.cosine {lr = 0.05, steps = 300}
  for step = 1, 300 do
    local _ <close> = peri.scope()
    opt:step(peri.grad((model:loss(x, rng)), encoder), {lr = lr(step)})
  end
  local exact = 0
  for _, p in ipairs(x:tolist()) do exact = exact + exact_log_prob(p) / 200 end
  local gap = exact - model:elbo(x, peri.rng(5), {samples = 2000}):mean():item()
  check.is_true(gap > -0.01 and gap < 0.03)
end)

-- --- bounds -------------------------------------------------------------------------------------

check.test("the bound rises with the number of draws, and one draw is the bound", function ()
  local model, x, rng = small(1), binary(2, 400), peri.rng(3)
  model.encoder.log_scale.bias:assign(peri.full({3}, 0.5))      -- a poor posterior: a wide gap
  local mean, last = {}, -math.huge
  for _, k in ipairs {1, 8, 64, 512} do
    mean[k] = describe(model:log_prob(x, rng, {samples = k}):tolist())
    check.is_true(mean[k] > last)
    last = mean[k]
  end
  -- -loss, elbo and log_prob with one draw have one expectation
  local difference = {}
  for i = 1, 60 do
    local _ <close> = peri.scope()
    difference[i] = model:log_prob(x, rng, {samples = 1}):mean():item()
      + model:loss(x, rng):item()
  end
  local m, error_of_m = describe(difference)
  check.is_true(math.abs(m) < 5 * error_of_m)
  local elbo = describe(model:elbo(x, rng, {samples = 300}):tolist())
  local one, error_of_one = describe(model:log_prob(x, rng, {samples = 1}):tolist())
  check.is_true(math.abs(elbo - one) < 5 * error_of_one)
end)

check.test("the loss is its terms, and they are what they are called", function ()
  local model, x = small(1), binary(2, 50)
  local loss, terms = model:loss(x, peri.rng(3))
  check.equal(loss.shape, {})
  check.close(loss:item(), terms.rec:item() + terms.kl:item(), 1e-5)
  check.is_true(terms.kl:item() > 0 and terms.rec:item() > 0)
  local q = model:encode(x)
  check.close(terms.kl:item(), dist.kl(q, dist.normal(0, 1)):sum():item() / 50, 1e-5)
  local logits = model.decoder(q:rsample(peri.rng(3)))
  check.close(terms.rec:item(), peri.bce_logits(logits, x):sum():item() / 50, 1e-5)
  -- one stream goes on, an equal one repeats
  local rng = peri.rng(3)
  check.equal(model:loss(x, rng):item(), loss:item())
  check.is_true(model:loss(x, rng):item() ~= loss:item())
end)

check.test("estimates make no graph and hold little memory", function ()
  local model, x = small(1, {hidden = {64}}), binary(2, 300)
  collectgarbage()
  local before = peri.memory().live
  local y = model:log_prob(x, peri.rng(1), {samples = 4096})
  check.is_true(not y:requires_grad())
  collectgarbage()
  check.is_true(peri.memory().live - before < 1 << 20)
  check.equal(y.shape, {300})
end)

-- --- training and use ---------------------------------------------------------------------------

check.test("a model learns two patterns and draws them", function ()
  local rng = peri.rng(6)
  local left, right = {}, {}
  for i = 1, 12 do left[i], right[i] = i <= 6 and 1 or 0, i > 6 and 1 or 0 end
  local choice = rng:bernoulli(peri.full({128, 1}, 0.5))
  local x = choice * peri.tensor(left) + (1 - choice) * peri.tensor(right)
  local model = small(7, {data_mean = x:mean(1)})
  local opt = peri.optim.adam(model, {lr = 0.01})
  local first, last
  for _ = 1, 250 do
    local _ <close> = peri.scope()
    local loss = model:loss(x, rng)
    opt:step(peri.grad(loss, model))
    last = loss:item()
    first = first or last
  end
  check.is_true(first > 8)                           -- 12 log 2 = 8.3 nats before training
  check.is_true(last < 1.6)                          -- log 2 = 0.7 nats are in the choice
  local draws = model:sample(200, rng, {draw = true})
  check.equal((draws * (1 - draws)):abs():max():item(), 0)
  local hits = 0
  for _, row in ipairs(draws:tolist()) do
    local text = table.concat(row, ",")
    if text == table.concat(left, ".0,") .. ".0" or text == table.concat(right, ".0,") .. ".0" then
      hits = hits + 1
    end
  end
  check.is_true(hits > 120)
  check.is_true((model:reconstruct(x) - x):abs():mean():item() < 0.1)
end)

check.test("samples and reconstructions are probabilities of the right shape", function ()
  local model, x = small(1), binary(2, 7)
  local rng = peri.rng(1)
  for _, y in ipairs {model:sample(7, rng), model:reconstruct(x), model:reconstruct(x, rng)} do
    check.equal(y.shape, {7, 12})
    check.is_true(y:min():item() > 0 and y:max():item() < 1)
    check.is_true(not y:requires_grad())
  end
  check.equal(model:reconstruct(x):tolist(), model:reconstruct(x):tolist())
end)

check.test("the output bias starts at the data's mean", function ()
  local mean = {0, 0.25, 0.5, 0.75, 1}
  local model = Vae {
    features = 5, latent = 2, hidden = {4}, rng = peri.rng(1), data_mean = peri.tensor(mean),
  }
  check.close(model.decoder[2].bias:sigmoid():tolist(), {0.001, 0.25, 0.5, 0.75, 0.999}, 1e-6)
  check.is_true(model.decoder[2].bias:requires_grad())
end)

check.test("a saved model has the same loss to the last bit", function ()
  local a, b, x = small(1), small(2), binary(3, 20)
  check.is_true(a:loss(x, peri.rng(4)):item() ~= b:loss(x, peri.rng(4)):item())
  nn.load(b, nn.state(a))
  check.equal(a:loss(x, peri.rng(4)):item(), b:loss(x, peri.rng(4)):item())
  check.equal(select(2, nn.parameters(a))[1], "decoder.1.bias")
  check.equal(nn.count(a), 12 * 16 + 16 + 2 * (16 * 3 + 3) + 3 * 16 + 16 + 16 * 12 + 12)
end)

check.test("mistakes are named", function ()
  check.raises(function () Vae {features = 4} end, "'rng' is missing")
  check.raises(function () small(1, {widths = {3}}) end, "unknown option 'widths'")
  check.raises(function () small(1, {data_mean = peri.ones(3)}) end, "3 entries; give 12")
  check.raises(function ()
    small(1):log_prob(binary(1, 2), peri.rng(1), {samples = 0})
  end, "samples = 0")
  check.raises(function () small(1):sample(2, peri.rng(1), {draws = true}) end, "'draws'")
  check.raises(function () small(1):loss(peri.ones(2, 5), peri.rng(1)) end, "%(2, 5%)")
end)

check.done()
