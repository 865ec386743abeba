-- Bijectors: inverse of forward is nothing, logdet is log |det| of the derivatives' Jacobian,
-- derivatives pass both ways, densities integrate to one; splines at their ends; bad input.

local check = require "check"
local peri = require "perigee"

local flow, nn = peri.flow, peri.nn

local function largest (x) return x:abs():max():item() end

-- --- the Jacobian -------------------------------------------------------------------------------

-- Rows d y_i / d x of sample `n`, and the logdet that f claims.
local function jacobian (f, x, n)
  local leaf, rows = x:clone():requires_grad(true), {}
  local y, logdet = f(leaf)
  for i = 1, x.shape[2] do
    local g = peri.grad(y:slice(2, i, i):sum(), {leaf}, {keep_graph = true})[1]
    rows[i] = g[n]:tolist()
  end
  return rows, logdet[n]:item(), y
end

local function log_det (rows)
  local n, a, sum = #rows, {}, 0
  for i, row in ipairs(rows) do a[i] = table.move(row, 1, n, 1, {}) end
  for k = 1, n do
    local pivot = k
    for i = k + 1, n do if math.abs(a[i][k]) > math.abs(a[pivot][k]) then pivot = i end end
    a[k], a[pivot] = a[pivot], a[k]
    sum = sum + math.log(math.abs(a[k][k]))
    for i = k + 1, n do
      local factor = a[i][k] / a[k][k]
      for j = k, n do a[i][j] = a[i][j] - factor * a[k][j] end
    end
  end
  return sum
end

local function product (a, b)
  return peri.tensor(a):matmul(peri.tensor(b))
end

-- --- all bijectors ------------------------------------------------------------------------------

-- Move every parameter away from its start, most of which are the identity.
local function shaken (f, size)
  local rng = peri.rng(11)
  for name, x in nn.walk(f) do
    if x:requires_grad() then
      x:assign(x + rng:fork(name):normal(#x.shape > 0 and x.shape or {1}):reshape(x.shape) * size)
    end
  end
  return f
end

local D <const> = 5

local function makers ()
  local rng = peri.rng(3)
  local all = {
    permutation = flow.permutation {features = D, rng = rng},
    reverse = flow.permutation {features = D},
    scale_shift = shaken(flow.scale_shift {features = D}, 0.5),
    lu = shaken(flow.lu {features = D, rng = rng:fork "lu"}, 0.1),
    planar = shaken(flow.planar {features = D, rng = rng:fork "planar"}, 1),
    radial = shaken(flow.radial {features = D, rng = rng:fork "radial"}, 1),
    own_net = flow.coupling {features = D, keep = {2, 4},
      net = function (kept) return peri.concat({kept, kept, kept:sin()}, -1) end},
  }
  for _, transform in ipairs {"affine", "additive", "spline"} do
    for _, keep in ipairs {"first", "last", "odd", "even"} do
      all["coupling " .. transform .. keep] = shaken(flow.coupling {
        features = D, keep = keep, hidden = {16}, transform = transform, activation = "tanh",
        bins = 5, rng = rng:fork(transform .. keep),
      }, 0.4)
    end
    for _, order in ipairs {"sequential", "random"} do
      all["autoregressive " .. transform .. order] = shaken(flow.autoregressive {
        features = D, hidden = {20}, order = order, transform = transform, bins = 4,
        rng = rng:fork(transform .. order),
      }, 0.3)
    end
  end
  all.chain = flow.chain {
    flow.coupling {features = D, hidden = {8}, rng = rng:fork "a"},
    flow.lu {features = D, rng = rng:fork "b"},
    flow.inverse(shaken(flow.autoregressive {features = D, hidden = {9}, rng = rng:fork "c"}, 0.3)),
    flow.scale_shift {features = D},
  }
  local names = {}
  for name in pairs(all) do names[#names + 1] = name end
  table.sort(names)
  return all, names
end

check.test("inverse undoes forward, and logdet is that of the Jacobian, both ways", function ()
  local all, names = makers()
  for _, name in ipairs(names) do
    local f, x = all[name], peri.rng(5):normal(4, D) * 1.2
    local y, logdet = f:forward(x)
    check.equal({y.shape, logdet.shape}, {{4, D}, {4}})
    local back, minus = f:inverse(y)
    if largest(back - x) > 1e-3 then error(name .. ": inverse is off by " .. largest(back - x)) end
    if largest(logdet + minus) > 2e-3 then error(name .. ": logdets differ") end
    for n = 1, 2 do
      local there, claimed = jacobian(function (v) return f:forward(v) end, x, n)
      if math.abs(log_det(there) - claimed) > 2e-3 then
        error(("%s: logdet %g, Jacobian %g"):format(name, claimed, log_det(there)))
      end
      local home = jacobian(function (v) return f:inverse(v) end, y, n)
      local eye = peri.one_hot(peri.arange(D), D)
      local off = largest(product(home, there) - eye)
      if off > 5e-3 then error(name .. ": the inverse's derivative is off by " .. off) end
    end
  end
end)

check.test("parameters get the same gradients either way round", function ()
  local all, names = makers()
  for _, name in ipairs(names) do
    local f = all[name]
    local parameters = nn.parameters(f)
    if #parameters > 0 then
      -- With y held, x(theta) moves so that f(x) stays, and so does the sum of the logdets.
      local y = f:forward(peri.rng(6):normal(3, D)):detach()
      local x, minus = f:inverse(y)
      local same, plus = f:forward(x)
      local weights = peri.rng(7):normal(3, D)
      local still = (same * weights):sum() + (minus + plus):sum()
      local scale = 1
      for _, g in ipairs(peri.grad((x * weights):sum(), parameters, {keep_graph = true})) do
        scale = math.max(scale, largest(g))
      end
      for _, g in ipairs(peri.grad(still, parameters)) do
        if largest(g) > 5e-3 * scale then
          error(("%s: a gradient of %g beside %g"):format(name, largest(g), scale))
        end
      end
    end
  end
end)

check.test("couplings and autoregressive layers start as the identity", function ()
  local x = peri.rng(1):normal(6, 4) * 2
  for _, transform in ipairs {"affine", "additive", "spline"} do
    for _, make in ipairs {flow.coupling, flow.autoregressive} do
      local f = make {features = 4, hidden = {8}, transform = transform, rng = peri.rng(2)}
      local y, logdet = f:forward(x)
      check.close(y:tolist(), x:tolist(), 1e-5)
      check.close(logdet:tolist(), {0, 0, 0, 0, 0, 0}, 1e-4)
    end
  end
end)

check.test("a context changes the map and is needed", function ()
  local x, c = peri.rng(1):normal(6, 4), peri.rng(2):normal(6, 3)
  for _, make in ipairs {flow.coupling, flow.autoregressive} do
    local f = shaken(make {features = 4, hidden = {8}, context = 3, rng = peri.rng(2)}, 0.5)
    local y = f:forward(x, c)
    check.is_true(largest(y - f:forward(x, c + 1)) > 0.01)
    check.close(f:inverse(y, c):tolist(), x:tolist(), 1e-3)
    check.raises(function () f:forward(x) end, "context")
    local both = flow.chain {f, flow.permutation {features = 4}}
    check.close(both:inverse(both:forward(x, c), c):tolist(), x:tolist(), 1e-3)
  end
end)

check.test("a density pushed through a flow integrates to one", function ()
  local n, width = 161, 16
  local step = width / (n - 1)
  local axis = (peri.arange(n):real() - 1) * step - width / 2
  local grid = peri.stack({axis:reshape(n, 1):expand(n, n), axis:reshape(1, n):expand(n, n)}, -1)
    :reshape(n * n, 2)
  local rng = peri.rng(4)
  for _, transform in ipairs {"affine", "spline"} do
    local f = flow.chain {
      shaken(flow.coupling {features = 2, hidden = {8}, transform = transform, activation = "tanh",
        rng = rng:fork "a"}, 0.3),
      flow.permutation {features = 2},
      shaken(flow.coupling {features = 2, hidden = {8}, transform = transform, activation = "tanh",
        rng = rng:fork "b"}, 0.3),
    }
    local x, logdet = f:inverse(grid)
    local log_p = peri.dist.normal(0, 1):log_prob(x):sum(-1) + logdet
    check.close(log_p:exp():sum():item() * step * step, 1, 5e-3)
  end
end)

check.test("a spline is increasing, smooth at its knots and the identity outside", function ()
  local spline = require "perigee.flow.spline".rational_quadratic(6, 2)
  local p = peri.rng(1):normal(1, spline.outputs) * 2
  local x = (peri.arange(4001):real() - 2001) / 500             -- -4 to 4
  local y, slope = spline.forward(x, p:expand(4001, spline.outputs))
  local before, after = y:slice(1, 1, 4000), y:slice(1, 2, 4001)
  check.is_true((after - before):min():item() > 0)
  local outside = x:abs():gt(2):real()
  check.equal(largest((y - x) * outside), 0)
  check.equal(largest(slope * outside), 0)
  -- exp(slope) integrates to the rise
  check.close(slope:exp():sum():item() / 500, 8, 0.02)
  local back = spline.inverse(y, p:expand(4001, spline.outputs))
  check.close(back:tolist(), x:tolist(), 2e-3)
  local one = require "perigee.flow.spline".rational_quadratic(1, 2)
  check.close(one.forward(x, peri.zeros(4001, 2)):tolist(), x:tolist(), 1e-5)
  local odd = spline.forward(peri.tensor {0 / 0, 1 / 0, -1 / 0}, p:expand(3, spline.outputs))
  check.is_true(odd[1]:item() ~= odd[1]:item())
  check.equal({odd[2]:item(), odd[3]:item()}, {1 / 0, -1 / 0})
end)

check.test("images: logdet of every place, summed by the chain", function ()
  local x = peri.rng(1):normal(2, 3, 4, 6)
  local lu = flow.lu {features = 6, rng = peri.rng(2)}
  lu.log_scale:assign(peri.arange(6):real() / 10)
  local _, logdet = lu:forward(x)
  check.equal(logdet.shape, {2, 3, 4})
  local coupling = flow.coupling {features = 6, hidden = {8}, rng = peri.rng(3)}
  local f = flow.chain {lu, coupling, event = 3}
  local y, total = f:forward(x)
  check.close(total:tolist(), {2.1 * 12, 2.1 * 12}, 1e-3)
  local back, minus = f:inverse(y)
  check.close(largest(back - x), 0, 1e-4)
  check.close(minus:tolist(), (-total):tolist(), 1e-4)
end)

check.test("a large rotation starts as one and inverts", function ()
  local lu = flow.lu {features = 48, rng = peri.rng(2)}
  local x = peri.rng(1):normal(20, 48)
  local y, logdet = lu:forward(x)
  check.close(y:square():sum(-1):tolist(), x:square():sum(-1):tolist(), 1e-4)
  check.close(largest(logdet), 0, 1e-4)
  check.close(largest(lu:inverse(y) - x), 0, 1e-3)
end)

check.test("a fitted scale and shift normalises its batch", function ()
  local f = flow.scale_shift {features = 3}
  local x = peri.rng(1):normal(50, 7, 3) * 4 - 1
  f:fit(x)
  local y = f:forward(x):reshape(-1, 3)
  check.close(y:mean(1):tolist(), {0, 0, 0}, 1e-4)
  check.close(y:square():mean(1):tolist(), {1, 1, 1}, 1e-4)
end)

check.test("a flow learns a curved density", function ()
  local rng = peri.rng(7)
  local layers = {}
  for i = 1, 4 do
    layers[i] = flow.coupling {features = 2, keep = i % 2 == 1 and "first" or "last",
      hidden = {32}, activation = "tanh", rng = rng:fork("layer" .. i)}
  end
  local f = flow.chain(layers)
  local base = peri.dist.normal(0, 1)
  local opt = peri.optim.adam(f, {lr = 0.01})
  local function batch (i)
    local z = rng:fork("batch" .. i):normal(200, 2)
    local a, b = z:slice(2, 1, 1), z:slice(2, 2, 2)
    return peri.concat({a, (a * 2):sin() * 1.5 + b * 0.3}, -1)
  end
  local function nll (x)
    local z, logdet = f:inverse(x)
    return -(base:log_prob(z):sum(-1) + logdet):mean()
  end
  local first = nll(batch(0)):item()
  for i = 1, 500 do
    local _ <close> = peri.scope()
    opt:step(peri.grad(nll(batch(i)), f))
  end
  -- The entropy of the density is 1 + log(2 pi) + log 0.3.
  local best = 1 + math.log(2 * math.pi) + math.log(0.3)
  local last = nll(batch(0)):item()
  check.is_true(last < best + 0.25 * (first - best))
end)

check.test("a saved flow is the same flow", function ()
  local function make (seed)
    local rng = peri.rng(seed)
    return flow.chain {
      flow.lu {features = 4, rng = rng:fork "a"}, flow.permutation {features = 4, rng = rng},
      flow.coupling {features = 4, keep = "odd", hidden = {8}, rng = rng:fork "b"},
      flow.autoregressive {features = 4, hidden = {8}, order = "random", rng = rng:fork "c"},
    }
  end
  local a, b = shaken(make(1), 0.1), make(2)
  local x = peri.rng(3):normal(5, 4)
  nn.load(b, nn.state(a))
  check.equal(b:forward(x):tolist(), a:forward(x):tolist())
  check.equal(b:inverse(x):tolist(), a:inverse(x):tolist())
end)

check.test("mistakes name the layer and the option", function ()
  local rng = peri.rng(1)
  local function refused (f, given, pattern)
    check.raises(function () f(given) end, pattern)
  end
  refused(flow.coupling, {features = 1, hidden = {2}, rng = rng}, "features = 1")
  refused(flow.coupling, {features = 4}, "give hidden sizes and rng, or a net")
  refused(flow.coupling, {features = 4, keep = "some", hidden = {2}, rng = rng}, "keep = 'some'")
  refused(flow.coupling, {features = 2, keep = {1, 2}, hidden = {2}, rng = rng}, "2 of 2 features")
  refused(flow.coupling, {features = 4, keep = {1, 9}, hidden = {2}, rng = rng}, "entry 2 is 9")
  refused(flow.coupling, {features = 4, keep = {1, 1}, hidden = {2}, rng = rng}, "entry 2 is 1")
  refused(flow.coupling, {features = 4, transform = "cubic", hidden = {2}, rng = rng}, "'cubic'")
  refused(flow.coupling, {features = 4, bins = 0, hidden = {2}, rng = rng}, "bins = 0")
  refused(flow.coupling, {features = 4, limit = -1, hidden = {2}, rng = rng}, "limit = %-1")
  refused(flow.autoregressive, {features = 0, hidden = {2}, rng = rng}, "features = 0")
  refused(flow.permutation, {features = 3, order = {1, 1, 2}}, "no permutation of 1..3: entry 2")
  refused(flow.permutation, {features = 3, order = {1, 2}}, "entry 3 is nil")
  refused(flow.planar, {features = 0, rng = rng}, "flow.planar: features = 0")
  refused(flow.lu, {features = 0, rng = rng}, "flow.lu: features = 0")
  refused(flow.chain, {}, "one bijector or more")
  refused(flow.chain, {3}, "part 1 is no bijector")
  refused(flow.chain, {flow.permutation {features = 2}, event = 0}, "event = 0")
  refused(flow.chain, {flow.permutation {features = 2}, depth = 1}, "unknown option 'depth'")
  refused(flow.inverse, 3, "no bijector")
  local all, names = makers()
  for _, name in ipairs(names) do
    check.raises(function () all[name]:forward(peri.ones(2, 3)) end, "is %(2, 3%); .* 5")
    check.raises(function () all[name]:inverse(peri.ones(2, 3)) end, "is %(2, 3%); .* 5")
    check.raises(function () all[name]:forward(3) end, "number")
  end
end)

check.done()
