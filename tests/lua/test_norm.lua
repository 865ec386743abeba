-- Normalisation layers: what they leave invariant, running statistics, log-determinants against
-- Jacobians, the largest singular value, and a restricted Boltzmann machine trained by Gibbs steps.

local check = require "check"
local peri = require "perigee"

local nn = peri.nn
local train, eval = {train = true}, {train = false}

local function far (a, b) return (a - b):abs():max():item() end

-- --- one sample ----------------------------------------------------------------------------------

check.test("the layers are the operations with their parameters", function ()
  local x = peri.rng(1):normal(3, 4, 5, 8)
  local layer, rms = nn.layer_norm {channels = 8}, nn.rms_norm {channels = 8, eps = 0.1}
  local group = nn.group_norm {channels = 8, groups = 2}
  local instance = nn.instance_norm {channels = 8, affine = false}
  layer.weight:assign(peri.rng(2):normal(8))
  group.bias:assign(peri.rng(3):normal(8))
  check.equal(layer(x):tolist(), peri.layer_norm(x, layer.weight, layer.bias):tolist())
  check.equal(rms(x):tolist(), peri.rms_norm(x, 1, 0.1):tolist())
  check.equal(group(x):tolist(), peri.group_norm(x, 1, group.bias, 2):tolist())
  check.equal(instance(x):tolist(), peri.group_norm(x, 1, 0, 8):tolist())
  check.equal(select(2, nn.parameters(layer)), {"bias", "weight"})
  check.equal(select(2, nn.parameters(rms)), {"weight"})
  check.equal(nn.parameters(instance), {})
end)

check.test("means are 0 and variances 1 where they should be", function ()
  local x = peri.rng(1):normal(3, 40, 8) * 5 + 7
  local function expect (y, axes)
    local mean = y:mean(axes)
    check.is_true(mean:abs():max():item() < 1e-5)
    check.is_true(far(y:square():mean(axes), peri.ones(1)) < 1e-4)
  end
  expect(nn.layer_norm {channels = 8}(x), {3})
  expect(nn.instance_norm {channels = 8}(x), {2})
  expect(nn.group_norm {channels = 8, groups = 2}(x):reshape(3, 40, 2, 4), {2, 4})
  expect(nn.batch_norm {channels = 8}(x, train), {1, 2})
  local y = nn.pixel_norm(x)
  check.is_true(far(y:square():mean(3), peri.ones(1)) < 1e-5)
end)

-- --- a batch -------------------------------------------------------------------------------------

check.test("batch norm equals composed operations, forward and backward", function ()
  local norm = nn.batch_norm {channels = 4}
  norm.weight:assign(peri.rng(1):normal(4))
  norm.bias:assign(peri.rng(2):normal(4))
  local x, g = peri.rng(3):normal(6, 5, 4):requires_grad(true), peri.rng(4):normal(6, 5, 4)
  local y = norm(x, train)
  local centred = x - x:mean({1, 2})
  local want = centred * (centred:square():mean({1, 2}) + 1e-5):rsqrt() * norm.weight + norm.bias
  check.is_true(far(y, want) < 1e-5)
  local inputs = {x, norm.weight, norm.bias}
  local got, wanted = peri.grad(y, inputs, {seed = g}), peri.grad(want, inputs, {seed = g})
  for i = 1, 3 do check.is_true(far(got[i], wanted[i]) < 1e-4) end
end)

check.test("running statistics follow the batches and nothing else", function ()
  local norm = nn.batch_norm {channels = 3, momentum = 0.25}
  local mean, variance = peri.zeros(3), peri.ones(3)
  for step = 1, 5 do
    local x = peri.rng(step):normal(20, 3) * step + 1
    norm(x, train)
    local centred = x - x:mean(1)
    mean = mean * 0.75 + x:mean(1) * 0.25
    variance = variance * 0.75 + centred:square():sum(1) / 19 * 0.25
  end
  check.is_true(far(norm.mean, mean) < 1e-5)
  check.is_true(far(norm.variance, variance) < 1e-4)
  local before = norm.mean:tolist()
  local x = peri.rng(9):normal(20, 3)
  local y = norm(x, eval)
  check.is_true(far(y, (x - mean) / (variance + 1e-5):sqrt()) < 1e-5)
  check.equal(norm.mean:tolist(), before)
  check.equal(select(2, nn.parameters(norm)), {"bias", "weight"})
  local state = nn.state(norm)
  check.is_true(state.mean and state.variance)
  local other = nn.batch_norm {channels = 3}
  nn.load(other, state)
  check.equal(other(x, eval):tolist(), y:tolist())
end)

check.test("a batch norm trains inside a model and its statistics are not trained", function ()
  local rng = peri.rng(1)
  local norm, layer = nn.batch_norm {channels = 4},
    nn.linear {inputs = 4, outputs = 1, rng = rng:fork "l"}
  local model = {norm = norm, layer = layer}
  local opt = peri.optim.adam(model, {lr = 0.05})
  local x = rng:normal(64, 4) * 10 + 3
  local target = (x:slice(2, 1, 1) - 3) / 10
  local first, last
  for step = 1, 200 do
    local _ <close> = peri.scope()
    local loss = (layer(norm(x, train)) - target):square():mean()
    opt:step(peri.grad(loss, model))
    last = loss:item()
    first = first or last
    check.is_true(step > 0 and not norm.mean:requires_grad())
  end
  check.is_true(last < 0.05 * first)
end)

check.test("a conditional batch norm is a batch norm for each class", function ()
  local norm = nn.conditional_batch_norm {channels = 3, classes = 4}
  norm.weight:assign(peri.rng(1):normal(4, 3))
  norm.bias:assign(peri.rng(2):normal(4, 3))
  local x, class = peri.rng(3):normal(5, 2, 3), peri.tensor({2, 4, 1, 2, 3}):index()
  local y, plain = norm(x, class, train), peri.batch_norm(x)
  for i, c in ipairs {2, 4, 1, 2, 3} do
    local want = plain:slice(1, i, i) * norm.weight:slice(1, c, c) + norm.bias:slice(1, c, c)
    check.is_true(far(y:slice(1, i, i), want) < 1e-5)
  end
  check.is_true(far(norm(x, class, eval), y) > 0.01)
end)

-- --- scale and shift from a condition ------------------------------------------------------------

check.test("film and adaptive norms scale and shift each sample by its condition", function ()
  local x, z = peri.rng(1):normal(2, 3, 3, 4), peri.rng(2):normal(2, 5)
  local film = nn.film {inputs = 5, channels = 4, rng = peri.rng(3)}
  local both = film.project(z)
  for i = 1, 2 do
    local scale = both:slice(1, i, i):slice(2, 1, 4):reshape(4)
    local shift = both:slice(1, i, i):slice(2, 5, 8):reshape(4)
    check.is_true(far(film(x, z):slice(1, i, i), x:slice(1, i, i) * (scale + 1) + shift) < 1e-5)
  end
  local none = nn.initialiser.zeros()
  local ada = nn.adaptive_norm {inputs = 5, channels = 4, groups = 2, rng = peri.rng(3),
    weight = none}
  check.is_true(far(ada(x, z), peri.group_norm(x, 1, 0, 2)) < 1e-6)
  local instance = nn.adaptive_norm {inputs = 5, channels = 4, rng = peri.rng(3), weight = none}
  check.is_true(far(instance(x, z), peri.group_norm(x, 1, 0, 4)) < 1e-6)
  check.raises(function () nn.modulate(x, z, z) end,
    "scale has shape %(2, 5%) and x %(2, 3, 3, 4%)")
end)

-- --- weights -------------------------------------------------------------------------------------

check.test("weight norm keeps the function and parts length from direction", function ()
  local layer = nn.linear {inputs = 5, outputs = 3, rng = peri.rng(1)}
  local x = peri.rng(2):normal(4, 5)
  local before = layer(x)
  local norm = nn.weight_norm(layer)
  check.is_true(far(norm(x), before) < 1e-5)
  check.equal(select(2, nn.parameters(norm)), {"direction", "layer.bias", "length"})
  norm.length:assign(norm.length * 2)
  check.is_true(far(norm(x), before * 2) < 1e-5)
  local dv = peri.grad(norm(x):square():sum(), {norm.direction})[1]
  check.is_true((dv * norm.direction):sum(1):abs():max():item() < 1e-3)
  check.raises(function () nn.weight_norm {} end, "a layer that has a weight")
  check.equal(rawget(layer, "weight"), nil)
  check.raises(function () norm(peri.ones(2, 2)) end, "linear")
  check.equal(rawget(layer, "weight"), nil)             -- also when the layer refuses its input
end)

check.test("spectral norm divides by the largest singular value", function ()
  local rng = peri.rng(1)
  local layer = nn.linear {inputs = 6, outputs = 4, rng = rng:fork "l"}
  local norm = nn.spectral_norm(layer, {rng = rng:fork "u", refine = 300})
  local w = norm:weight():detach()
  local v = peri.rng(2):normal(4, 1)
  for _ = 1, 300 do
    v = w:transpose():matmul(w:matmul(v))
    v = v / v:square():sum():sqrt()
  end
  check.close(w:matmul(v):square():sum():sqrt():item(), 1, 1e-4)
  check.equal(select(2, nn.parameters(norm)), {"layer.bias", "raw"})
  check.is_true(nn.state(norm).u ~= nil)
  local u = norm.u:tolist()
  norm(rng:normal(2, 6), eval)
  check.equal(norm.u:tolist(), u)
  norm.raw:assign(rng:normal(6, 4))
  norm(rng:normal(2, 6), train)
  check.is_true(far(norm.u, peri.tensor(u)) > 1e-4)
  -- w / sigma does not see the scale of w: its derivative along w is 0
  norm:refine(300)
  local dw = peri.grad((norm:weight() * rng:normal(6, 4)):sum(), {norm.raw})[1]
  check.is_true(math.abs((dw * norm.raw):sum():item()) < 1e-4)
  check.raises(function () norm(rng:normal(2, 6)) end, "say {train = true}")
end)

-- --- flows ---------------------------------------------------------------------------------------

-- log |det| of the Jacobian of f at x (n) by Gaussian elimination.
local function log_det_of (f, x)
  local y = f(x)
  local n, rows, sum = x:count(), {}, 0
  for i = 1, n do
    local seed = peri.one_hot(peri.tensor({i}):index(), n):reshape(y.shape)
    rows[i] = peri.grad(y, {x}, {seed = seed, keep_graph = true})[1]:reshape(n):tolist()
  end
  for k = 1, n do
    local best = k
    for i = k, n do if math.abs(rows[i][k]) > math.abs(rows[best][k]) then best = i end end
    rows[k], rows[best] = rows[best], rows[k]
    sum = sum + math.log(math.abs(rows[k][k]))
    for i = k + 1, n do
      local m = rows[i][k] / rows[k][k]
      for j = k, n do rows[i][j] = rows[i][j] - m * rows[k][j] end
    end
  end
  return sum
end

check.test("actnorm starts with unit statistics, inverts, and knows its determinant", function ()
  local act = nn.actnorm {channels = 3}
  local x = peri.rng(1):normal(30, 4, 3) * 4 + 2
  act:initialise(x)
  local y, log_det = act(x)
  check.is_true(y:mean({1, 2}):abs():max():item() < 1e-4)
  check.is_true(far(y:square():mean({1, 2}), peri.ones(1)) < 1e-3)
  check.is_true(far(act:inverse(y), x) < 1e-4)
  check.equal(log_det.shape, {30})
  local one = x:slice(1, 1, 1):clone():requires_grad(true)
  check.close(log_det:tolist()[1], log_det_of(function (v) return (act(v)) end, one), 1e-4)
  check.equal(select(2, nn.parameters(act)), {"bias", "log_scale"})
end)

check.test("a flow's batch norm inverts and knows its determinant", function ()
  local norm = nn.flow_batch_norm {channels = 3, momentum = 1}
  norm.log_scale:assign(peri.rng(1):normal(3))
  norm.bias:assign(peri.rng(2):normal(3))
  local x = peri.rng(3):normal(40, 3) * 3 + 1
  local y, log_det = norm(x, train)
  local again, log_det_again = norm(x, eval)
  check.is_true(far(again, y) < 0.2)              -- unbiased against biased variance, n = 40
  check.is_true(far(log_det, log_det_again) < 0.1)
  check.is_true(far(norm:inverse(again), x) < 1e-4)
  local one = x:slice(1, 1, 1):clone():requires_grad(true)
  check.close(log_det_again:tolist()[1],
    log_det_of(function (v) return (norm(v, eval)) end, one), 1e-4)
end)

-- --- what is refused -----------------------------------------------------------------------------

check.test("wrong options and calls say what is wrong", function ()
  local x = peri.ones(2, 3, 4)
  check.raises(function () nn.layer_norm {} end, "'channels' is missing")
  check.raises(function () nn.layer_norm {channels = 0} end, "channels = 0")
  check.raises(function () nn.group_norm {channels = 6, groups = 4} end, "4 does not divide")
  check.raises(function () nn.batch_norm {channels = 4, momentum = 2} end, "momentum = 2")
  check.raises(function () nn.batch_norm {channels = 4}(x) end, "say {train = true}")
  check.raises(function () nn.batch_norm {channels = 4}(x, {train = 1}) end, "say {train = true}")
  check.raises(function () nn.layer_norm {channels = 3}(x) end,
    "w has shape %(3%) and x %(2, 3, 4%)")
  check.raises(function () nn.spectral_norm(nn.actnorm {channels = 2}, {rng = peri.rng(1)}) end,
    "has a weight")
  check.raises(function ()
    nn.adaptive_norm {inputs = 2, channels = 5, groups = 2, rng = peri.rng(1)}
  end, "does not divide")
  check.raises(function () peri.group_norm(x) end, "groups is missing")
  check.raises(function () peri.group_norm(x, 1, 0, 3) end,
    "groups is 3 and x of shape %(2, 3, 4%)")
  check.raises(function () peri.layer_norm(x, 1, 0, 0) end, "eps is 0")
end)

-- --- estimators of binary data -------------------------------------------------------------------

-- Two patterns of six units, each unit flipped with probability 0.05.
local function patterns (rng, n)
  local which = rng:fork "which":bernoulli(peri.full({n, 1}, 0.5))
  local left, right = peri.tensor {{1, 1, 1, 0, 0, 0}}, peri.tensor {{0, 0, 0, 1, 1, 1}}
  local base = which * left + (1 - which) * right
  local flip = rng:fork "flip":bernoulli(peri.full({n, 6}, 0.05))
  return base + flip - base * flip * 2
end

-- The entropy of the patterns in nats: what no model can go below.
local function entropy ()
  local p, sum = {}, 0
  for k = 0, 6 do p[k] = (0.05 ^ k * 0.95 ^ (6 - k) + 0.05 ^ (6 - k) * 0.95 ^ k) / 2 end
  local ways = {[0] = 1, 6, 15, 20, 15, 6, 1}
  for k = 0, 6 do sum = sum - ways[k] * p[k] * math.log(p[k]) end
  return sum
end

check.test("NADE learns to the entropy of its data", function ()
  local rng = peri.rng(1)
  local model = {
    w = nn.parameter(rng:fork "w":normal(6, 8) * 0.3),
    v = nn.parameter(rng:fork "v":normal(6, 8) * 0.3),
    b = nn.parameter(peri.zeros(6)), c = nn.parameter(peri.zeros(8)),
  }
  local function loss (x)
    return peri.nade(x, model.w, model.b, model.v, model.c):bce_logits(x):sum(2):mean()
  end
  local opt = peri.optim.adam(model, {lr = 0.02})
  for step = 1, 400 do
    local _ <close> = peri.scope()
    opt:step(peri.grad(loss(patterns(rng:fork("step " .. step), 200)), model))
  end
  local reached = loss(patterns(rng:fork "test", 20000)):item()
  check.is_true(reached > entropy() - 0.05 and reached < entropy() + 0.1)
end)

-- Contrastive divergence (Hinton 2002): block Gibbs steps from the data, k of them.
check.test("a restricted Boltzmann machine learns by contrastive divergence", function ()
  local rng = peri.rng(2)
  local w, b, c = rng:fork "w":normal(6, 4) * 0.1, peri.zeros(6), peri.zeros(4)
  local draw = rng:fork "gibbs"
  local function up (v) return peri.gibbs(v, w, c, draw:uniform(v.shape[1], 4)) end
  local function down (h) return peri.gibbs(h, w:transpose(), b, draw:uniform(h.shape[1], 6)) end
  for step = 1, 300 do
    local v0 = patterns(rng:fork("step " .. step), 100)
    local v = v0
    for _ = 1, 3 do v = down(up(v)) end
    local p0, p = peri.linear(v0, w, c):sigmoid(), peri.linear(v, w, c):sigmoid()
    w = w + (v0:transpose():matmul(p0) - v:transpose():matmul(p)) * (0.1 / 100)
    b, c = b + (v0 - v):mean(1) * 0.1, c + (p0 - p):mean(1) * 0.1
  end
  local v = rng:fork "start":uniform(2000, 6):lt(0.5):real()
  for _ = 1, 200 do v = down(up(v)) end
  local left, right = v:slice(2, 1, 3):mean(2), v:slice(2, 4, 6):mean(2)
  check.is_true((left - right):abs():mean():item() > 0.6)       -- 0.9 for the data, 0.31 at random
end)

check.done()
