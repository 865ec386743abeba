-- Optimizers against their formulas in plain Lua, their invariances, exact continuation after a
-- load; schedules' endpoints, the law of clipping, moving averages.

local check = require "check"
local peri = require "perigee"

local optim = peri.optim

-- --- against plain Lua --------------------------------------------------------------------------

local START <const> = {0.5, -1.25, 3, 0}

-- The same gradients for both sides, different each step.
local function gradient (t)
  local g = {}
  for i = 1, #START do g[i] = math.sin(7 * t + 3 * i) + (i - 2) / 4 end
  return g
end

local function new_parameter () return peri.nn.parameter(peri.tensor(START)) end

-- Run `make(list)` for ten steps beside `rule(state, p, g, t)`, which returns one element's new p.
local function compare (make, rule)
  local x = new_parameter()
  local opt, states, p = make {x}, {}, {table.unpack(START)}
  for i = 1, #START do states[i] = {m = 0, v = 0, u = 0} end
  for t = 1, 10 do
    local g = gradient(t)
    opt:step {peri.tensor(g)}
    for i = 1, #START do p[i] = rule(states[i], p[i], g[i], t) end
  end
  check.equal(opt.t, 10)
  check.close(x:tolist(), p, 2e-6)
end

local function adam_rule (o)
  return function (s, p, g, t)
    s.m = o.beta1 * s.m + (1 - o.beta1) * g
    s.v = o.beta2 * s.v + (1 - o.beta2) * g * g
    p = p - o.lr * (o.decay or 0) * p
    if o.eps_hat then
      local lr = o.lr * math.sqrt(1 - o.beta2 ^ t) / (1 - o.beta1 ^ t)
      return p - lr * s.m / (math.sqrt(s.v) + o.eps)
    end
    local m, v = s.m / (1 - o.beta1 ^ t), s.v / (1 - o.beta2 ^ t)
    return p - o.lr * m / (math.sqrt(v) + o.eps)
  end
end

check.test("adam is Algorithm 1 of its paper", function ()
  compare(function (l) return optim.adam(l) end,
    adam_rule {lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8})
  local o = {lr = 0.02, beta1 = 0.8, beta2 = 0.95, eps = 1e-2}
  compare(function (l) return optim.adam(l, o) end, adam_rule(o))
  o.eps_hat = true
  compare(function (l) return optim.adam(l, o) end, adam_rule(o))
end)

check.test("adamw decays apart from the gradient", function ()
  local o = {lr = 0.02, beta1 = 0.8, beta2 = 0.95, eps = 1e-4, decay = 0.3}
  compare(function (l) return optim.adamw(l, o) end, adam_rule(o))
  local x = new_parameter()
  local opt = optim.adamw({x}, {lr = 0.1, decay = 0.5})
  for _ = 1, 4 do opt:step {peri.zeros(4)} end
  for i, v in ipairs(x:tolist()) do check.close(v, START[i] * (1 - 0.05) ^ 4, 1e-6) end
end)

local function sgd_rule (o)
  return function (s, p, g)
    g = g + (o.decay or 0) * p
    s.u = (o.momentum or 0) * s.u + g
    return p - o.lr * (o.nesterov and g + o.momentum * s.u or s.u)
  end
end

check.test("sgd: plain, with momentum, with Nesterov's look-ahead, with decay", function ()
  for _, o in ipairs {
    {lr = 0.1}, {lr = 0.05, decay = 0.2}, {lr = 0.05, momentum = 0.9},
    {lr = 0.05, momentum = 0.7, nesterov = true, decay = 0.1},
  } do
    compare(function (l) return optim.sgd(l, o) end, sgd_rule(o))
  end
end)

local function rmsprop_rule (o)
  return function (s, p, g)
    s.v = o.rho * s.v + (1 - o.rho) * g * g
    local variance = s.v
    if o.centered then
      s.m = o.rho * s.m + (1 - o.rho) * g
      variance = s.v - s.m ^ 2
    end
    local d = g / (o.eps_inside and math.sqrt(variance + o.eps) or math.sqrt(variance) + o.eps)
    s.u = (o.momentum or 0) * s.u + d
    return p - o.lr * s.u
  end
end

check.test("rmsprop: plain, centered, with momentum, epsilon in both places", function ()
  for _, o in ipairs {
    {lr = 0.01, rho = 0.9, eps = 1e-3}, {lr = 0.01, rho = 0.8, eps = 1e-2, eps_inside = true},
    {lr = 0.01, rho = 0.9, eps = 1e-2, centered = true},
    {lr = 0.01, rho = 0.9, eps = 1e-3, momentum = 0.5},
    {lr = 0.01, rho = 0.9, eps = 1e-2, momentum = 0.5, centered = true, eps_inside = true},
  } do
    compare(function (l) return optim.rmsprop(l, o) end, rmsprop_rule(o))
  end
end)

-- --- invariances --------------------------------------------------------------------------------

local makers = {
  adam = function (l) return optim.adam(l, {lr = 0.05}) end,
  adamw = function (l) return optim.adamw(l, {lr = 0.05, decay = 0.1}) end,
  sgd = function (l) return optim.sgd(l, {lr = 0.05}) end,
  momentum = function (l) return optim.sgd(l, {lr = 0.05, momentum = 0.5}) end,
  rmsprop = function (l)
    return optim.rmsprop(l, {lr = 0.05, centered = true, momentum = 0.5, eps = 1e-3})
  end,
}
local maker_names = {"adam", "adamw", "momentum", "rmsprop", "sgd"}

check.test("adam does not see the scale of the gradients", function ()
  local function run (scale)
    local x = new_parameter()
    local opt = optim.adam({x}, {lr = 0.05, eps = 0})
    for t = 1, 10 do opt:step {peri.tensor(gradient(t)) * scale} end
    return x:tolist()
  end
  check.equal(run(1), run(1024))              -- a power of two: equal to the last bit
  check.close(run(1), run(0.01), 1e-5)
end)

check.test("adam's first step is lr against the sign, and no step is much longer", function ()
  local x = new_parameter()
  local opt = optim.adam({x}, {lr = 0.25})
  opt:step {peri.tensor {3, -1e-3, 1e4, -7}}
  check.close(x:tolist(), {0.25, -1, 2.75, 0.25}, 1e-5)
  local before = x:clone()
  opt:step {peri.tensor {-5, 0.3, 1e-4, 2}}
  check.is_true((x - before):abs():max():item() <= 0.25 * 1.01 / math.sqrt(1 - 0.999) * 0.1)
end)

check.test("a scale for the step is a scale of the gradients", function ()
  for _, name in ipairs(maker_names) do
    local a, b = new_parameter(), new_parameter()
    local opt_a, opt_b = makers[name] {a}, makers[name] {b}
    for t = 1, 5 do
      local g = peri.tensor(gradient(t))
      opt_a:step({g}, {scale = 0.25})
      opt_b:step {g * 0.25}
    end
    check.equal(a:tolist(), b:tolist())
  end
end)

check.test("every optimizer finds a minimum", function ()
  local target = peri.tensor {1, -2, 0.5, 4}
  for _, name in ipairs(maker_names) do
    local x = new_parameter()
    local opt = makers[name == "adamw" and "adam" or name] {x}
    local lr = optim.schedule.cosine {lr = 0.1, steps = 150}
    for t = 1, 150 do
      local _ <close> = peri.scope()
      opt:step(peri.grad((x - target):square():sum(), {x}), {lr = lr(t)})
    end
    check.is_true((x - target):abs():max():item() < 0.01)
  end
end)

-- --- saving -------------------------------------------------------------------------------------

local function copy (state)
  local c = {}
  for name, v in pairs(state) do
    c[name] = type(v) == "userdata" and v:detach():clone():keep() or v
  end
  return c
end

check.test("a loaded optimizer goes on to the last bit", function ()
  for _, name in ipairs(maker_names) do
    local function steps (opt, from, to)
      for t = from, to do opt:step {peri.tensor(gradient(t))} end
    end
    local a, b = new_parameter(), new_parameter()
    local opt_a = makers[name] {a}
    steps(opt_a, 1, 5)
    opt_a.lr = 0.03
    b:assign(a)
    local state = copy(opt_a:state())
    local opt_b = makers[name] {b}
    opt_b:load(state)
    check.equal(opt_b.lr, 0.03)
    check.equal(math.type(opt_b.t), "integer")
    steps(opt_a, 6, 10)
    steps(opt_b, 6, 10)
    check.equal(a:tolist(), b:tolist())
    for key, v in pairs(opt_a:state()) do
      local w = opt_b:state()[key]
      check.equal(type(v) == "userdata" and v:tolist() or v,
        type(w) == "userdata" and w:tolist() or w)
    end
  end
end)

check.test("a state has the model's names, and one that does not fit changes nothing", function ()
  local net = peri.nn.mlp {sizes = {2, 3}, rng = peri.rng(1)}
  local opt = optim.adam(net)
  opt:step(peri.grad(net(peri.ones(1, 2)):sum(), net))
  local keys = {}
  for key in pairs(opt:state()) do keys[#keys + 1] = key end
  table.sort(keys)
  check.equal(keys, {"lr", "m.1.bias", "m.1.weight", "t", "v.1.bias", "v.1.weight"})
  local function refused (change, pattern)
    local before, state = copy(opt:state()), copy(opt:state())
    for _, v in pairs(state) do
      if type(v) == "userdata" then v:assign(v + 1) end
    end
    change(state)
    check.raises(function () opt:load(state) end, pattern)
    for key, v in pairs(opt:state()) do
      if type(v) == "userdata" then check.equal(v:tolist(), before[key]:tolist()) end
    end
  end
  refused(function (s) s.t = nil end, "t = nil")
  refused(function (s) s["v.1.weight"] = nil end, "no tensor 'v.1.weight'")
  refused(function (s) s["u.1.weight"] = peri.ones(1) end, "'u.1.weight', which is unknown")
  refused(function (s) s["v.1.weight"] = peri.ones(1) end, "'v.1.weight' is real")
end)

check.test("mistakes name the optimizer and the argument", function ()
  local x = new_parameter()
  check.raises(function () optim.adam({x}, {rate = 1}) end, "unknown option 'rate'; known: amsgrad")
  check.raises(function () optim.adam({x}, {lr = -1}) end, "lr is %-1")
  check.raises(function () optim.adam({x}, {beta2 = 1}) end, "beta2 is 1")
  check.raises(function () optim.sgd({x}, {nesterov = true}) end, "nesterov needs momentum")
  check.raises(function () optim.adam {} end, "nothing to train")
  check.raises(function () optim.adam {peri.ones(2)} end, "nothing to train")
  local opt = optim.adam {x}
  check.raises(function () opt:step {} end, "give 1 gradients")
  check.raises(function () opt:step(peri.zeros(4)) end, "not userdata")
  check.raises(function () opt:step {peri.zeros(3)} end, "gradient 1 has shape %(3%)")
  check.raises(function () opt:step({peri.zeros(4)}, {rate = 1}) end, "unknown option 'rate'")
  check.raises(function () opt:step({peri.zeros(4)}, {scale = 0 / 0}) end, "scale is")
  check.equal(opt.t, 0)
  check.equal(x:tolist(), START)
end)

check.test("several models are one list; what is frozen stays", function ()
  local rng = peri.rng(1)
  local a = peri.nn.linear {inputs = 2, outputs = 1, rng = rng:fork "a"}
  local b = peri.nn.linear {inputs = 2, outputs = 1, rng = rng:fork "b"}
  b.bias:requires_grad(false)
  local opt = optim.sgd({a, b}, {lr = 1})
  check.equal(opt.names, {"1.bias", "1.weight", "2.weight"})
  local x = peri.ones(1, 2)
  local weight = b.weight:tolist()
  opt:step(peri.grad((a(x) + b(x)):sum(), opt.parameters))
  check.equal(a.bias:tolist(), {-1})
  check.equal(b.bias:tolist(), {0})
  check.close(b.weight:tolist(), {{weight[1][1] - 1}, {weight[2][1] - 1}}, 1e-6)
end)

-- --- schedules ----------------------------------------------------------------------------------

check.test("schedules begin, turn and end where they say", function ()
  local s = optim.schedule
  check.equal(s.constant(0.3)(77), 0.3)
  local step = s.step {lr = 1, every = 10, factor = 0.5}
  check.equal({step(1), step(10), step(11), step(20), step(21)}, {1, 1, 0.5, 0.5, 0.25})
  local exponential = s.exponential {lr = 1, final = 0.01, steps = 101}
  check.close({exponential(1), exponential(51), exponential(101), exponential(500)},
    {1, 0.1, 0.01, 0.01}, 1e-12)
  for _, name in ipairs {"linear", "cosine"} do
    local f = s[name] {lr = 2, final = 0.5, steps = 110, warmup = 10}
    check.close({f(1), f(5), f(10), f(60), f(110), f(1000)}, {0.2, 1, 2, 1.25, 0.5, 0.5}, 1e-12)
    for t = 10, 109 do check.is_true(f(t + 1) < f(t)) end
    local g = s[name] {lr = 2, steps = 100}
    check.equal({g(1), g(100)}, {2, 0})
  end
  check.close(s.cosine {lr = 1, steps = 101}(26), (1 + math.cos(math.pi / 4)) / 2, 1e-12)
  check.raises(function () s.cosine {lr = 1, steps = 10, warmup = 10} end, "less than steps = 10")
  check.raises(function () s.linear {lr = 1} end, "'steps' is missing")
  check.raises(function () s.exponential {lr = 1, final = 0, steps = 5} end, "above 0")
  check.raises(function () s.step {lr = 1, every = 0} end, "at least 1")
end)

check.test("the ladder has 3^i epochs on rung i and 3280 in all", function ()
  local f, steps = optim.schedule.ladder {epoch = 10}
  check.equal(steps, 32800)
  check.equal(select(2, optim.schedule.ladder {epoch = 1, stages = 6}), 364)
  local last = 0
  for i = 0, 7 do
    local first = last + 1
    last = last + 10 * math.tointeger(3 ^ i)
    check.close({f(first), f(last)}, {1e-3 * 10 ^ (-i / 7), 1e-3 * 10 ^ (-i / 7)}, 1e-12)
  end
  check.close({f(last), f(10 * last)}, {1e-4, 1e-4}, 1e-12)
end)

-- --- clipping -----------------------------------------------------------------------------------

check.test("clipping by norm brings the common norm to the limit, and no lower", function ()
  local g = {peri.tensor {3, 0}, peri.tensor {{0, 4}, {12, 0}}:transpose()}
  check.close(optim.clip.global_norm(g), 13, 1e-12)
  check.equal({optim.clip.norm(g, 20)}, {1, 13})
  local scale, norm = optim.clip.norm(g, 2)
  check.equal(norm, 13)
  check.close(optim.clip.global_norm {g[1] * scale, g[2] * scale}, 2, 1e-6)
  check.equal(optim.clip.norm({peri.zeros(3)}, 1), 1)
  check.raises(function () optim.clip.norm({peri.tensor {0 / 0}}, 1) end, "norm is %-?nan")
  check.raises(function () optim.clip.norm(g, 0) end, "above 0")
  check.raises(function () optim.clip.norm({g[1]:index()}, 1) end, "tensor 1 is index")
end)

check.test("clipping by value limits every element", function ()
  local g = optim.clip.value({peri.tensor {-3, 0.5, 9}, peri.tensor {1}}, 2)
  check.equal({g[1]:tolist(), g[2]:tolist()}, {{-2, 0.5, 2}, {1}})
end)

-- --- moving averages ----------------------------------------------------------------------------

check.test("a moving average is a geometric sum", function ()
  local x = new_parameter()
  local ema, want = optim.ema({x}, {decay = 0.9}), {table.unpack(START)}
  for t = 1, 6 do
    x:assign(peri.tensor(gradient(t)))
    ema:update()
    for i, v in ipairs(x:tolist()) do want[i] = 0.9 * want[i] + 0.1 * v end
  end
  check.close(ema.averages[1]:tolist(), want, 1e-6)
  local warm = optim.ema({x}, {decay = 0.999, warmup = true})
  x:assign(peri.zeros(4))
  local before = warm.averages[1]:tolist()
  warm:update()                                     -- decay (1 + 0) / (10 + 0)
  for i, v in ipairs(warm.averages[1]:tolist()) do check.close(v, 0.1 * before[i], 1e-6) end
end)

check.test("averages can stand in for the parameters, and give them back", function ()
  local x = new_parameter()
  local ema = optim.ema({x}, {decay = 0.5})
  x:assign(peri.ones(4))
  ema:update()
  local parameters, averages = x:tolist(), ema.averages[1]:tolist()
  check.equal({ema:with(function (a, b) return x:tolist(), a + b end, 1, 2)}, {averages, 3})
  check.equal(x:tolist(), parameters)
  check.raises(function () ema:with(function () error "broken" end) end, "broken")
  check.equal(x:tolist(), parameters)
  ema:swap()
  check.equal(x:tolist(), averages)
  check.raises(function () ema:update() end, "swap back first")
  check.raises(function () ema:state() end, "swap back first")
  ema:swap()
  check.equal({x:tolist(), ema.averages[1]:tolist()}, {parameters, averages})
end)

check.test("averages are saved and loaded to the last bit", function ()
  local x = new_parameter()
  local a = optim.ema({x}, {decay = 0.7})
  x:assign(peri.ones(4))
  a:update()
  local state = copy(a:state())
  local b = optim.ema({x}, {decay = 0.7})
  b:load(state)
  check.equal({b.t, b.averages[1]:tolist()}, {1, a.averages[1]:tolist()})
  state["average.1"] = nil
  check.raises(function () b:load(state) end, "no tensor 'average.1'")
  check.raises(function () optim.ema({x}, {decay = 2}) end, "decay is 2")
end)

check.done()
