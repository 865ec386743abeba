-- Layers by their laws: which output may depend on which input, expectations of noise, identities
-- at the start, and formulas in plain Lua; initial values; bad input.

local check = require "check"
local peri = require "perigee"

local nn, init = peri.nn, peri.nn.initialiser

local function largest (x) return x:abs():max():item() end

-- --- masked networks ----------------------------------------------------------------------------

-- reach[i][j]: the largest |d y_i / d x_j| over a batch.
local function reach (net, x, context)
  local d = x.shape[2]
  local matrix = {}
  for i = 1, d do
    local leaf = x:clone():requires_grad(true)
    local y = net(leaf, context)
    local g = peri.grad(y:slice(2, i, i):square():sum(), {leaf})[1]
    matrix[i] = g:abs():max(1):tolist()
  end
  return matrix
end

local function check_order (made, matrix)
  for i, row in ipairs(matrix) do
    for j, v in ipairs(row) do
      local allowed = made.degrees[j] < made.degrees[i]
      if not allowed then check.equal(v, 0)                -- exactly
      elseif v == 0 then error(("output %d does not see input %d"):format(i, j)) end
    end
  end
end

check.test("made is strictly autoregressive in any order", function ()
  for _, order in ipairs {"sequential", "reverse", "random", {3, 1, 5, 2, 4, 6}} do
    for _, degrees in ipairs {"cyclic", "random"} do
      for _, direct in ipairs {false, true} do
        local made = nn.made {
          features = 6, hidden = {64, 48}, outputs = 2, order = order, degrees = degrees,
          direct = direct, activation = "tanh", rng = peri.rng(2),
        }
        local x = peri.rng(3):normal(7, 6)
        check.equal(made(x).shape, {7, 6, 2})
        check_order(made, reach(made, x))
      end
    end
  end
end)

check.test("a context reaches every output of made, and no input leaks through it", function ()
  local made = nn.made {features = 4, hidden = {20}, context = 3, activation = "tanh",
    order = "random", rng = peri.rng(2)}
  local x, context = peri.rng(3):normal(7, 4), peri.rng(4):normal(7, 3):requires_grad(true)
  check_order(made, reach(made, x, context))
  for i = 1, 4 do
    local g = peri.grad(made(x, context):slice(2, i, i):sum(), {context})[1]
    check.is_true(largest(g) > 0)
  end
  check.raises(function () made(x) end, "context, which is missing")
end)

check.test("made of one feature, of a start at 0, of a stream", function ()
  local one = nn.made {features = 1, hidden = {8}, rng = peri.rng(1)}
  local y = one(peri.rng(2):normal(5, 1)):tolist()
  for i = 2, 5 do check.equal(y[i], y[1]) end
  local zero = nn.made {features = 4, hidden = {8}, outputs = 3, zero = true, direct = true,
    rng = peri.rng(1)}
  check.equal(largest(zero(peri.rng(2):normal(5, 4))), 0)
  local a = nn.made {features = 9, hidden = {8}, order = "random", rng = peri.rng(5)}
  local b = nn.made {features = 9, hidden = {8}, order = "random", rng = peri.rng(5)}
  check.equal(a.degrees, b.degrees)
  check.equal(a(peri.ones(1, 9)):tolist(), b(peri.ones(1, 9)):tolist())
  local sorted = table.move(a.degrees, 1, 9, 1, {})
  table.sort(sorted)
  check.equal(sorted, {1, 2, 3, 4, 5, 6, 7, 8, 9})
end)

check.test("masks are saved and not trained, and training keeps the order", function ()
  local made = nn.made {features = 5, hidden = {16}, activation = "tanh", rng = peri.rng(2)}
  check.is_true(nn.state(made)["hidden.1.mask"] ~= nil)
  for _, name in ipairs(select(2, nn.parameters(made))) do
    check.is_true(not name:find "mask")
  end
  local x = peri.rng(3):normal(20, 5)
  local opt = peri.optim.adam(made, {lr = 0.01})
  for _ = 1, 10 do
    local _ <close> = peri.scope()
    opt:step(peri.grad((made(x):reshape(20, 5) - x):square():mean(), made))
  end
  check_order(made, reach(made, x))
end)

check.test("a masked layer is an affine layer with a masked weight", function ()
  local mask = peri.tensor {{1, 0}, {0, 1}, {1, 1}}
  local layer = nn.masked_linear {mask = mask, rng = peri.rng(1), bias = init.normal()}
  local x = peri.rng(2):normal(4, 3)
  check.equal(layer(x):tolist(), peri.linear(x, layer.weight * mask, layer.bias):tolist())
  check.raises(function () nn.masked_linear {mask = peri.ones(3), rng = peri.rng(1)} end,
    "mask is %(3%)")
end)

-- --- noise --------------------------------------------------------------------------------------

check.test("dropout keeps the expectation and drops the share it should", function ()
  local rng, n = peri.rng(1), 200000
  for _, rate in ipairs {0, 0.1, 0.5, 0.9} do
    local y = nn.dropout(peri.ones(n), rate, rng)
    local dropped = y:eq(0):real():mean():item()
    check.is_true(math.abs(dropped - rate) <= 5 * math.sqrt(rate * (1 - rate) / n))
    check.is_true(math.abs(y:mean():item() - 1) <= 5 * math.sqrt(rate / (1 - rate) / n) + 1e-6)
    check.close(y:max():item(), 1 / (1 - rate), 1e-6)
  end
end)

check.test("dropout by channel and by sample drop all or nothing", function ()
  local rng = peri.rng(1)
  local x = peri.ones(50, 3, 4, 8)
  local y = nn.drop_channels(x, 0.4, rng)
  local low, high = y:min({2, 3}), y:max({2, 3})
  check.equal(low:tolist(), high:tolist())
  local share = low:eq(0):real():mean():item()
  check.is_true(math.abs(share - 0.4) < 5 * math.sqrt(0.24 / 400))
  y = nn.drop_path(x, 0.4, rng):reshape(50, -1)
  check.equal(y:min(2):tolist(), y:max(2):tolist())
  share = y:min(2):eq(0):real():mean():item()
  check.is_true(math.abs(share - 0.4) < 5 * math.sqrt(0.24 / 50))
  y = nn.add_noise(peri.zeros(100000), 3, rng)
  check.close(y:square():mean():sqrt():item(), 3, 0.05)
end)

check.test("evaluation is explicit and changes nothing", function ()
  local x = peri.rng(1):normal(4, 3)
  for _, name in ipairs {"dropout", "drop_channels", "drop_path", "add_noise"} do
    check.equal(nn[name](x, 0.5, false):tolist(), x:tolist())
    check.equal(nn[name](x, 0.5, peri.rng(2)):tolist(), nn[name](x, 0.5, peri.rng(2)):tolist())
    check.raises(function () nn[name](x, 0.5) end, "nn." .. name .. ": give a random stream")
    check.raises(function () nn[name](x, -1, false) end, "%-1")
    check.raises(function () nn[name](x, 0 / 0, false) end, "nan")
    check.raises(function () nn[name](3, 0.5, false) end, "x is a number")
  end
  check.raises(function () nn.dropout(x, 1, false) end, "in %[0, 1%)")
  check.raises(function () nn.dropout(x, "a", false) end, "give a number")
end)

-- --- composition --------------------------------------------------------------------------------

check.test("a sequence is its entries in turn", function ()
  local rng = peri.rng(1)
  local a, b = nn.linear {inputs = 3, outputs = 4, rng = rng:fork "a"},
    nn.linear {inputs = 4, outputs = 2, rng = rng:fork "b"}
  local net = nn.sequential {a, "tanh", b, function (x) return x * 2 end}
  local x = rng:normal(5, 3)
  check.equal(net(x):tolist(), (b(a(x):tanh()) * 2):tolist())
  check.equal(select(2, nn.parameters(net)), {"1.bias", "1.weight", "3.bias", "3.weight"})
  local noisy = nn.sequential {"relu", function (y, r) return nn.dropout(y, 0.5, r) end}
  check.equal(noisy(x, false):tolist(), x:relu():tolist())
  check.equal(noisy(x, peri.rng(3)):tolist(), nn.dropout(x:relu(), 0.5, peri.rng(3)):tolist())
  check.equal(nn.sequential {}(x):tolist(), x:tolist())
  check.raises(function () nn.sequential {"tanhh"} end, "entry 1 = 'tanhh' is no operation")
  check.raises(function () nn.sequential {{}} end, "entry 1 is a table that cannot be called")
  check.raises(function () nn.sequential(3) end, "give a list")
end)

check.test("residual blocks begin as the identity", function ()
  local x, c = peri.rng(1):normal(5, 6), peri.rng(2):normal(5, 3)
  for _, gated in ipairs {false, true} do
    for _, context in ipairs {false, true} do
      local o = {size = 6, hidden = 2, gated = gated, context = context and 3 or nil,
        rng = peri.rng(3)}
      local block = nn.residual_block(o)
      check.equal(block(x, context and c or nil):tolist(), x:tolist())
      o.zero = false
      block = nn.residual_block(o)
      check.is_true(largest(block(x, context and c or nil) - x) > 0.01)
      if context then check.raises(function () block(x) end, "context is missing") end
    end
  end
  local block = nn.residual_block {size = 6, zero = false, activation = "tanh", rng = peri.rng(3)}
  check.equal(block(x):tolist(), (x + block.second(block.first(x:tanh()):tanh())):tolist())
  local double = nn.residual {body = function (y) return y * 3 end, scale = 0.5}
  check.close(double(x):tolist(), (x * 2.5):tolist(), 1e-5)
  local skip = nn.residual {body = function (y) return y end, skip = function (y) return -y end}
  check.equal(largest(skip(x)), 0)
  check.raises(function () nn.residual {} end, "'body' is missing")
  check.raises(function () nn.residual_block {size = 0, rng = peri.rng(1)} end, "= 0; it is at")
end)

-- --- activations and affine layers --------------------------------------------------------------

check.test("gates, maxout and prelu are their formulas", function ()
  local x = peri.rng(1):normal(4, 6)
  local a, b = x:slice(2, 1, 3), x:slice(2, 4, 6)
  check.equal(nn.glu(x):tolist(), (a * b:sigmoid()):tolist())
  check.equal(nn.geglu(x):tolist(), (a * b:gelu()):tolist())
  check.equal(nn.reglu(x):tolist(), (a * b:relu()):tolist())
  check.equal(nn.swiglu(x):tolist(), (a * b:silu()):tolist())
  check.equal(nn.maxout(x, 1):tolist(), x:tolist())
  local m = nn.maxout(x, 3)
  check.equal(m.shape, {4, 2})
  check.equal(m:slice(2, 1, 1):reshape(4):tolist(), x:slice(2, 1, 3):max(2):tolist())
  local p = nn.prelu {channels = 6, slope = 0.1}
  check.close(p(x):tolist(), x:leaky_relu(0.1):tolist(), 1e-6)
  local slope = peri.grad(p(x):sum(), p)[1]
  check.close(slope:tolist(), peri.minimum(x, 0):sum(1):tolist(), 1e-5)
  check.raises(function () nn.glu(peri.ones(2, 3)) end, "x is %(2, 3%); its last size")
  check.raises(function () nn.maxout(x, 4) end, "multiple of 4")
  check.raises(function () nn.maxout(x, 0) end, "pieces is 0")
  check.raises(function () nn.prelu {channels = 0} end, "channels = 0")
end)

check.test("an embedding looks up rows and sums their gradients", function ()
  local table_of = nn.embedding {count = 5, size = 3, rng = peri.rng(1)}
  local index = peri.tensor({{1, 5}, {2, 1}, {1, 1}}, "index")
  local y = table_of(index)
  check.equal(y.shape, {3, 2, 3})
  check.equal(y[1][2]:tolist(), table_of.weight[5]:tolist())
  check.equal(y[2][1]:tolist(), table_of.weight[2]:tolist())
  local g = peri.grad(y:sum(), table_of)[1]
  check.equal(g:sum(2):tolist(), {12, 3, 0, 0, 3})
  check.equal(table_of(peri.tensor(3):index()).shape, {3})
  check.raises(function () table_of(peri.tensor {6}:index()) end, "6")
  check.raises(function () table_of(peri.tensor {1}) end, "not a real one")
  check.raises(function () nn.embedding {count = 0, size = 1, rng = peri.rng(1)} end, "count = 0")
end)

check.test("low rank, adapters and bilinear forms", function ()
  local rng = peri.rng(1)
  local x = rng:normal(4, 6)
  local low = nn.low_rank_linear {inputs = 6, outputs = 5, rank = 2, rng = rng:fork "low"}
  check.close(low(x):tolist(), x:matmul(low.down:matmul(low.up)):tolist(), 1e-5)
  check.equal(nn.count(low), 12 + 10 + 5)
  local base = nn.linear {inputs = 6, outputs = 5, rng = rng:fork "base"}
  local lora = nn.lora {base = base, rank = 2, scale = 8, rng = rng:fork "lora"}
  check.equal(lora(x):tolist(), base(x):tolist())
  check.equal(select(2, nn.parameters(lora)), {"down", "up"})
  local frozen = base.weight:clone()
  local opt = peri.optim.adam(lora, {lr = 0.1})
  for _ = 1, 3 do opt:step(peri.grad(lora(x):square():sum(), lora)) end
  check.equal(base.weight:tolist(), frozen:tolist())
  local want = lora(x)
  check.is_true(largest(want - base(x)) > 0.01)
  check.close(want:tolist(), (base(x) + x:matmul(lora.down):matmul(lora.up) * 4):tolist(), 1e-5)
  check.close(lora:merge()(x):tolist(), want:tolist(), 1e-4)
  check.close(lora(x):tolist(), want:tolist(), 1e-4)
  local form = nn.bilinear {left = 6, right = 3, outputs = 2, rng = rng:fork "form"}
  local z = rng:normal(4, 3)
  for k = 1, 2 do
    local w = form.weight:slice(3, k, k):reshape(6, 3)
    check.close(form(x, z):slice(2, k, k):reshape(4):tolist(),
      (x:matmul(w) * z):sum(2):tolist(), 1e-5)
  end
  check.raises(function () form(x, x) end, "z is %(4, 6%); want %(batch, 6%) and %(batch, 3%)")
  check.raises(function () nn.lora {base = {}, rank = 1, rng = rng} end, "no affine layer")
  check.raises(function () nn.lora {base = base, rank = 0, rng = rng} end, "rank = 0")
  check.raises(function () nn.low_rank_linear {inputs = 1, outputs = 1, rank = 0, rng = rng} end,
    "rank = 0")
end)

check.test("an equalised layer starts with unit outputs whatever its rate", function ()
  for _, rate in ipairs {1, 0.01} do
    local layer = nn.equalised_linear {inputs = 300, outputs = 200, rate = rate, bias = 2,
      rng = peri.rng(1)}
    local y = layer(peri.rng(2):normal(500, 300))
    check.close(y:mean():item(), 2, 0.05)
    check.close((y - 2):square():mean():item(), 1, 0.05)
    check.close(layer.weight:square():mean():item() * rate ^ 2, 1, 0.05)
  end
  check.raises(function () nn.equalised_linear {inputs = 1, outputs = 1, rate = 0,
    rng = peri.rng(1)} end, "rate = 0")
end)

-- --- batches and times --------------------------------------------------------------------------

check.test("minibatch deviation is that of each group", function ()
  local x = peri.rng(1):normal(6, 2, 3, 4)
  local y = nn.minibatch_std(x, 3)
  check.equal(y.shape, {6, 2, 3, 5})
  check.equal(y:slice(4, 1, 4):tolist(), x:tolist())
  local function deviation (rows)
    local part = peri.index_select(x, peri.tensor(rows, "index"), 1)
    local centred = part - part:mean(1, true)
    return centred:square():mean(1):sqrt():mean():item()
  end
  local column = y:slice(4, 5, 5)
  for _, rows in ipairs {{1, 3, 5}, {2, 4, 6}} do
    for _, i in ipairs(rows) do
      check.close(column[i]:max():item(), deviation(rows), 1e-4)
      check.equal(column[i]:max():item(), column[i]:min():item())
    end
  end
  check.equal(nn.minibatch_std(peri.ones(4, 3)).shape, {4, 4})
  check.raises(function () nn.minibatch_std(x, 4) end, "group is 4")
  check.raises(function () nn.minibatch_std(peri.ones(3)) end, "x is %(3%)")
end)

check.test("minibatch discrimination counts neighbours", function ()
  local layer = nn.minibatch_discrimination {inputs = 3, kernels = 4, size = 2, rng = peri.rng(1)}
  local x = peri.rng(2):normal(5, 3)
  local y = layer(x)
  check.equal(y.shape, {5, 7})
  local same = layer(x:slice(1, 1, 1):expand(5, 3))
  check.close(same:slice(2, 4, 7):tolist(), peri.full({5, 4}, 4):tolist(), 1e-5)
  local far = layer(peri.tensor {{0, 0, 0}, {1e4, 2e4, -3e4}})
  check.close(far:slice(2, 4, 7):tolist(), peri.zeros(2, 4):tolist(), 1e-6)
  local m = x:matmul(layer.weight):reshape(5, 4, 2)
  local want = 0
  for j = 2, 5 do want = want + math.exp(-(m[1][3] - m[j][3]):abs():sum():item()) end
  check.close(y[1][6]:item(), want, 1e-5)
end)

check.test("time features are sines and cosines", function ()
  local t = peri.tensor {0, 1, 17.5}
  local y = nn.sinusoid(t, 6, 100):tolist()
  for i, v in ipairs {0, 1, 17.5} do
    for k = 0, 2 do
      check.close(y[i][k + 1], math.sin(v * 100 ^ (-k / 3)), 1e-5)
      check.close(y[i][k + 4], math.cos(v * 100 ^ (-k / 3)), 1e-5)
    end
  end
  check.equal(nn.sinusoid(peri.arange(4), 8).shape, {4, 8})
  local layer = nn.fourier {size = 8, scale = 2, rng = peri.rng(1)}
  check.equal(nn.parameters(layer), {})
  check.is_true(nn.state(layer).frequencies ~= nil)
  local f = layer(t)
  check.close((f:slice(2, 1, 4):square() + f:slice(2, 5, 8):square()):tolist(),
    peri.ones(3, 4):tolist(), 1e-5)
  check.close(f[2][1]:item(), math.sin(2 * math.pi * layer.frequencies[1]:item()), 1e-5)
  check.raises(function () nn.sinusoid(t, 5) end, "size is 5")
  check.raises(function () nn.sinusoid(3, 4) end, "t is a number")
  check.raises(function () nn.fourier {size = 3, rng = peri.rng(1)} end, "size = 3")
end)

-- --- initial values -----------------------------------------------------------------------------

check.test("a truncated normal stays within its cut and has its variance", function ()
  local x = init.truncated_normal {mean = 1, std = 2}(peri.rng(1), {300, 400})
  local z = (x - 1) / 2
  check.is_true(largest(z) <= 2 + 1e-5)
  check.close(z:mean():item(), 0, 0.01)
  -- 1 - 2 a phi(a) / (2 Phi(a) - 1) at a = 2
  check.close(z:square():mean():item(), 0.7737, 0.01)
  check.is_true(largest(init.truncated_normal {cut = 0.05}(peri.rng(1), {50, 4})) <= 0.05)
  check.equal(init.truncated_normal()(peri.rng(1), {0, 4}).shape, {0, 4})
  check.raises(function () init.truncated_normal {cut = 0} end, "cut is 0")
end)

check.test("the identity passes channels through, at a filter's centre", function ()
  check.equal(init.identity()(nil, {2, 3}):tolist(), {{1, 0, 0}, {0, 1, 0}})
  check.equal(init.identity {gain = 2}(nil, {3, 2}):tolist(), {{2, 0}, {0, 2}, {0, 0}})
  local w = init.identity()(nil, {3, 5, 2, 2})
  check.equal(w:sum():item(), 2)
  check.equal(w[2][3]:tolist(), {{1, 0}, {0, 1}})
end)

check.test("a layer fitted to data has outputs of mean 0 and deviation 1", function ()
  local layer = nn.linear {inputs = 4, outputs = 3, rng = peri.rng(1), bias = init.normal()}
  local x = peri.rng(2):normal(50, 7, 4) * 3 + 2
  local y = init.by_data(layer, x, 0.5):reshape(-1, 3)
  check.close(y:mean(1):tolist(), {0, 0, 0}, 1e-4)
  check.close(y:square():mean(1):sqrt():tolist(), {0.5, 0.5, 0.5}, 1e-4)
  check.close(layer(x):reshape(-1, 3):tolist(), y:tolist(), 0)
  check.is_true(layer.weight:requires_grad())
  check.raises(function () init.by_data({}, x) end, "weight and bias")
end)

check.test("mistakes in made name the option", function ()
  local function refused (given, pattern)
    given.rng = peri.rng(1)
    check.raises(function () nn.made(given) end, pattern)
  end
  refused({features = 3, hidden = {}}, "hidden is empty")
  refused({features = 3, hidden = {2.5}}, "layer 1 has size 2.5")
  refused({features = 0, hidden = {2}}, "features = 0")
  refused({features = 3, hidden = {2}, order = {1, 1, 2}}, "no permutation of 1..3: entry 2 is 1")
  refused({features = 3, hidden = {2}, order = "up"}, "order = 'up'")
  refused({features = 3, hidden = {2}, degrees = "up"}, "degrees = 'up'")
  refused({features = 3, hidden = {2}, width = 3}, "unknown option 'width'")
  check.raises(function ()
    nn.made {features = 3, hidden = {2}, rng = peri.rng(1)}(peri.ones(2, 3), peri.ones(2, 1))
  end, "no context")
end)

check.done()
