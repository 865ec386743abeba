-- Networks: laws of initial values, order and names of the walk, exact saving, a gradient penalty.

local check = require "check"
local peri = require "perigee"

local nn, init = peri.nn, peri.nn.initialiser

-- --- initial values ------------------------------------------------------------------------------

-- Mean and variance lie within five standard errors; `kurtosis` is that of the distribution.
local function check_moments (x, mean, variance, kurtosis)
  local n = x:count()
  local centred = x - mean
  check.close(centred:mean():item() / math.sqrt(variance), 0, 5 / math.sqrt(n))
  local second = (centred * centred):mean():item() / variance
  check.close(second, 1, 5 * math.sqrt((kurtosis - 1) / n))
end

local UNIFORM <const>, NORMAL <const> = 9 / 5, 3

check.test("initialisers have the variance of their papers", function ()
  local rng = peri.rng(1)
  local laws = {                       -- variance for fan-in 300 and fan-out 400
    {"xavier_uniform", 2 / 700, UNIFORM}, {"xavier_normal", 2 / 700, NORMAL},
    {"he_uniform", 2 / 300, UNIFORM}, {"he_normal", 2 / 300, NORMAL},
    {"lecun_uniform", 1 / 300, UNIFORM}, {"lecun_normal", 1 / 300, NORMAL},
  }
  for _, law in ipairs(laws) do
    local name, variance, kurtosis = table.unpack(law)
    local x = init[name]()(rng:fork(name), {300, 400})
    check_moments(x, 0, variance, kurtosis)
    if kurtosis == UNIFORM then
      check.is_true(x:abs():max():item() <= math.sqrt(3 * variance) * (1 + 1e-6))
    end
    check_moments(init[name] {gain = 3}(rng:fork(name), {300, 400}), 0,
      variance * 9 / (name:find "he_" and 2 or 1), kurtosis)
  end
  check_moments(init.uniform {low = 1, high = 5}(rng, {300, 400}), 3, 16 / 12, UNIFORM)
  check_moments(init.uniform()(rng, {300, 400}), 0, 4 / 12, UNIFORM)
  check_moments(init.normal {mean = 2, std = 0.1}(rng, {300, 400}), 2, 0.01, NORMAL)
end)

check.test("the fan of a filter counts its extent", function ()
  local x = init.he_normal()(peri.rng(2), {3, 3, 40, 100})
  check_moments(x, 0, 2 / (9 * 40), NORMAL)
  x = init.xavier_normal()(peri.rng(3), {3, 3, 40, 100})
  check_moments(x, 0, 2 / (9 * 140), NORMAL)
  check.raises(function () init.he_normal()(peri.rng(1), {5}) end, "at least two sizes")
end)

check.test("constants are constant", function ()
  check.equal(init.zeros()(nil, {2, 2}):tolist(), {{0, 0}, {0, 0}})
  check.equal(init.constant(3)(nil, {2}):tolist(), {3, 3})
  check.raises(function () init.constant("3") end, "not a string")
end)

check.test("orthogonal matrices have orthonormal rows or columns", function ()
  for _, shape in ipairs {{7, 7}, {40, 7}, {7, 40}, {3, 3, 2, 5}} do
    local x = init.orthogonal {gain = 2}(peri.rng(4), shape)
    check.equal(x.shape, shape)
    x = x:reshape(-1, shape[#shape]) / 2
    local rows, columns = table.unpack(x.shape)
    local gram = rows < columns and x:matmul(x:transpose()) or x:transpose():matmul(x)
    local n = math.min(rows, columns)
    local eye = peri.one_hot(peri.arange(n), n)
    check.is_true((gram - eye):abs():max():item() < 1e-5)
  end
end)

-- --- layers -------------------------------------------------------------------------------------

check.test("a layer is x w + b", function ()
  local layer = nn.linear {inputs = 3, outputs = 2, rng = peri.rng(1), bias = init.normal()}
  local w, b = layer.weight:tolist(), layer.bias:tolist()
  local y = layer(peri.tensor {{1, 2, 3}, {-1, 0, 5}}):tolist()
  for i, x in ipairs {{1, 2, 3}, {-1, 0, 5}} do
    for j = 1, 2 do
      check.close(y[i][j], x[1] * w[1][j] + x[2] * w[2][j] + x[3] * w[3][j] + b[j], 1e-5)
    end
  end
  local bare = nn.linear {inputs = 3, outputs = 2, rng = peri.rng(1), bias = false}
  check.equal(bare.bias, nil)
  check.equal(bare.weight:tolist(), w)      -- streams by name: the bias does not move the weight
  check.equal(bare(peri.zeros(4, 3)):tolist(), peri.zeros(4, 2):tolist())
end)

check.test("an mlp is its layers with the activation between", function ()
  local net = nn.mlp {
    sizes = {3, 5, 4, 2}, activation = "tanh", output = "sigmoid", rng = peri.rng(1),
  }
  local x = peri.rng(2):normal(6, 3)
  local want = net[3](net[2](net[1](x):tanh()):tanh()):sigmoid()
  check.equal(net(x):tolist(), want:tolist())
  local plain = nn.mlp {sizes = {3, 2}, rng = peri.rng(1)}
  check.equal(plain(x):tolist(), plain[1](x):tolist())
  local own = nn.mlp {
    sizes = {3, 4, 2}, activation = function (y) return y * 2 end, rng = peri.rng(1),
  }
  check.equal(own(x):tolist(), own[2](own[1](x) * 2):tolist())
end)

check.test("the same stream gives the same network, and layers differ", function ()
  local function make () return nn.mlp {sizes = {4, 4, 4}, rng = peri.rng(7):fork "net"} end
  local a, b = make(), make()
  check.equal(a[1].weight:tolist(), b[1].weight:tolist())
  check.is_true((a[1].weight - a[2].weight):abs():max():item() > 0.01)
end)

check.test("wrong options name the option", function ()
  local rng = peri.rng(1)
  check.raises(function () nn.linear {inputs = 3, output = 2, rng = rng} end,
    "unknown option 'output'; known: bias, inputs, outputs")
  check.raises(function () nn.linear {inputs = 3, outputs = 2} end, "option 'rng' is missing")
  check.raises(function () nn.linear {inputs = 3, outputs = 2.5, rng = rng} end, "expected integer")
  check.raises(function () nn.linear {inputs = 0, outputs = 2, rng = rng} end, "inputs = 0")
  check.raises(function () nn.mlp {sizes = {3}, rng = rng} end, "at least {inputs, outputs}")
  check.raises(function () nn.mlp {sizes = {3, 2}, activation = "tanhh", rng = rng} end, "'tanhh'")
  check.raises(function () nn.linear(3) end, "one table")
end)

-- --- the walk -----------------------------------------------------------------------------------

local function leaf (v) return nn.parameter(peri.full({2}, v)) end

local function names_of (model)
  local names = {}
  for name in nn.walk(model) do names[#names + 1] = name end
  return names
end

check.test("the walk is sorted, integers first and by value", function ()
  local model = {
    b = leaf(1), a = {z = leaf(2), [10] = leaf(3), [2] = leaf(4)}, [1] = leaf(5), name = "x",
  }
  check.equal(names_of(model), {"1", "a.2", "a.10", "a.z", "b"})
  local parameters, names = nn.parameters(model)
  check.equal(names, {"1", "a.2", "a.10", "a.z", "b"})
  check.equal(parameters[2]:tolist(), {4, 4})
  check.equal(nn.count(model), 10)
end)

check.test("constants are saved but not trained; a shared tensor counts once", function ()
  local shared = leaf(1)
  local model = {mask = peri.ones(2):keep(), x = {w = shared}, y = {w = shared}}
  check.equal(names_of(model), {"mask", "x.w"})
  check.equal(select(2, nn.parameters(model)), {"x.w"})
  model.x.w:requires_grad(false)
  check.equal(nn.parameters(model), {})
end)

check.test("names that cannot be told apart are refused", function ()
  local part = {w = leaf(1)}
  check.raises(function () nn.state {a = part, b = part} end, "'b' is a module met before")
  part.self = part
  check.raises(function () nn.state(part) end, "met before")
  check.raises(function () nn.state {["a.b"] = leaf(1)} end, "ambiguous")
  check.raises(function () nn.state {["1"] = leaf(1)} end, "ambiguous")
  check.raises(function () nn.state {[1.5] = leaf(1)} end, "key 1.5")
  check.raises(function () nn.state(leaf(1)) end, "is a table, not a tensor")
end)

check.test("gradients come in the order of the walk", function ()
  local net = nn.mlp {sizes = {3, 4, 2}, activation = "tanh", rng = peri.rng(1)}
  local x = peri.rng(2):normal(5, 3)
  local parameters = nn.parameters(net)
  local by_model = peri.grad(net(x):square():sum(), net)
  local by_list = peri.grad(net(x):square():sum(), parameters)
  check.equal(#by_model, 4)
  for i, g in ipairs(by_model) do
    check.equal(g.shape, parameters[i].shape)
    check.equal(g:tolist(), by_list[i]:tolist())
  end
end)

check.test("parameters outlive the scope they were made in", function ()
  local net
  do
    local _ <close> = peri.scope()
    net = nn.mlp {sizes = {2, 3, 1}, rng = peri.rng(1)}
  end
  check.equal(net(peri.zeros(1, 2)).shape, {1, 1})
end)

-- --- saving -------------------------------------------------------------------------------------

local function copy (state)
  local c = {}
  for name, x in pairs(state) do c[name] = x:detach():clone():keep() end
  return c
end

check.test("a state put back is the same to the last bit", function ()
  local net = nn.mlp {sizes = {3, 4, 2}, rng = peri.rng(1)}
  local before = copy(nn.state(net))
  local other = nn.mlp {sizes = {3, 4, 2}, rng = peri.rng(2)}
  nn.load(other, before)
  for name, x in nn.walk(other) do
    check.equal(x:tolist(), before[name]:tolist())
    check.is_true(x:requires_grad())
  end
end)

check.test("a state that does not fit changes nothing", function ()
  local net = nn.mlp {sizes = {3, 4, 2}, rng = peri.rng(1)}
  local before = copy(nn.state(net))
  local function refused (change, pattern)
    local state = copy(nn.state(nn.mlp {sizes = {3, 4, 2}, rng = peri.rng(2)}))
    change(state)
    check.raises(function () nn.load(net, state) end, pattern)
    for name, x in nn.walk(net) do check.equal(x:tolist(), before[name]:tolist()) end
  end
  refused(function (s) s["2.weight"] = nil end, "no tensor '2.weight'")
  refused(function (s) s["3.weight"] = peri.ones(1) end, "has '3.weight', which is unknown")
  refused(function (s) s["2.bias"] = peri.ones(3) end, "'2.bias' is real %(2%) here and real %(3%)")
  refused(function (s) s["2.bias"] = peri.ones(2):byte() end, "byte %(2%) in the state")
end)

-- --- derivatives of derivatives -----------------------------------------------------------------

-- Gulrajani et al. 2017, eq. 3: the critic's gradient by its input is brought to norm 1.
check.test("a gradient penalty trains", function ()
  local rng = peri.rng(5)
  local critic = nn.mlp {sizes = {2, 16, 1}, activation = "tanh", rng = rng:fork "critic"}
  local opt = peri.optim.adam(critic, {lr = 0.02})
  local points = rng:normal(64, 2)
  local function penalty ()
    local x = points:clone():requires_grad(true)
    local dx = peri.grad(critic(x):sum(), {x}, {create_graph = true})[1]
    return ((dx:square():sum(2) + 1e-12):sqrt() - 1):square():mean()
  end
  local first, last
  for step = 1, 80 do
    local _ <close> = peri.scope()
    local loss = penalty()
    opt:step(peri.grad(loss, critic))
    last = loss:item()
    if step == 1 then first = last end
  end
  check.is_true(first > 0.05)
  check.is_true(last < 0.1 * first)
end)

check.test("a layer put in the place of an MLP's own is called", function ()
  local net, x = nn.mlp {sizes = {2, 3, 1}, rng = peri.rng(1)}, peri.ones(4, 2)
  local before = net(x):tolist()
  local own = net[1]
  net[1] = setmetatable({own = own}, {__call = function (_, v) return own(v) end})
  check.equal(net(x):tolist(), before)
  net[1] = setmetatable({own = own}, {__call = function (_, v) return own(v) * 0 end})
  check.equal(net(x):tolist(), peri.zeros(4, 1):tolist())
end)

check.done()
