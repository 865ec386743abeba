-- Adagrad, Adadelta, Adamax, Lion, AMSGrad and optimistic Adam against their formulas in plain Lua;
-- groups; Lookahead, extragradient, accumulation and the guard; exact continuation of all of them.

local check = require "check"
local peri = require "perigee"

local optim = peri.optim

local START <const> = {0.5, -1.25, 3, 0}

local function gradient (t)
  local g = {}
  for i = 1, #START do g[i] = math.sin(5 * t + 2 * i) * (1 + i / 3) + (i - 2) / 4 end
  return g
end

local function new_parameter () return peri.nn.parameter(peri.tensor(START)) end

local function copy (state)
  local c = {}
  for name, v in pairs(state) do
    c[name] = type(v) == "userdata" and v:detach():clone():keep() or v
  end
  return c
end

-- --- against plain Lua --------------------------------------------------------------------------

-- Twelve steps of `make(list)` beside `rule(state, p, g, t)`, which returns one element's new p.
local function compare (make, rule)
  local x = new_parameter()
  local opt, states, p = make {x}, {}, {table.unpack(START)}
  for i = 1, #START do states[i] = {m = 0, v = 0, x = 0, top = 0, last = 0} end
  for t = 1, 12 do
    local g = gradient(t)
    opt:step({peri.tensor(g)}, {scale = 0.5})
    for i = 1, #START do p[i] = rule(states[i], p[i], g[i] / 2, t) end
  end
  check.close(x:tolist(), p, 3e-6)
end

check.test("adagrad divides by the root of all squares", function ()
  for _, o in ipairs {{lr = 0.1}, {lr = 0.3, eps = 0.1, start = 0.5, decay = 0.1}} do
    compare(function (l) return optim.adagrad(l, o) end, function (s, p, g)
      g = g + (o.decay or 0) * p
      s.v = s.v + g * g
      return p - o.lr * g / (math.sqrt(s.v + (o.start or 0)) + (o.eps or 1e-10))
    end)
  end
end)

check.test("adadelta has the units of the parameter", function ()
  for _, o in ipairs {{}, {lr = 0.5, rho = 0.8, eps = 1e-3, decay = 0.2}} do
    local rho, eps = o.rho or 0.95, o.eps or 1e-6
    compare(function (l) return optim.adadelta(l, o) end, function (s, p, g)
      g = g + (o.decay or 0) * p
      s.v = rho * s.v + (1 - rho) * g * g
      local d = math.sqrt(s.x + eps) / math.sqrt(s.v + eps) * g
      s.x = rho * s.x + (1 - rho) * d * d
      return p - (o.lr or 1) * d
    end)
  end
end)

check.test("adamax divides by a decaying maximum", function ()
  local other = {lr = 0.05, beta1 = 0.5, beta2 = 0.7, eps = 1e-3, decay = 0.1}
  for _, o in ipairs {{lr = 0.05}, other} do
    local b1, b2 = o.beta1 or 0.9, o.beta2 or 0.999
    compare(function (l) return optim.adamax(l, o) end, function (s, p, g, t)
      g = g + (o.decay or 0) * p
      s.m = b1 * s.m + (1 - b1) * g
      s.v = math.max(b2 * s.v, math.abs(g))
      return p - o.lr / (1 - b1 ^ t) * s.m / (s.v + (o.eps or 1e-8))
    end)
  end
end)

check.test("lion steps by signs", function ()
  for _, o in ipairs {{lr = 0.01}, {lr = 0.05, beta1 = 0.5, beta2 = 0.8, decay = 0.3}} do
    local b1, b2 = o.beta1 or 0.9, o.beta2 or 0.99
    compare(function (l) return optim.lion(l, o) end, function (s, p, g)
      local c = b1 * s.m + (1 - b1) * g
      s.m = b2 * s.m + (1 - b2) * g
      return p * (1 - o.lr * (o.decay or 0)) - o.lr * (c > 0 and 1 or c < 0 and -1 or 0)
    end)
  end
  local x = new_parameter()
  optim.lion({x}, {lr = 1}):step {peri.zeros(4)}
  check.equal(x:tolist(), START)
end)

check.test("amsgrad and optimistic adam, alone and together", function ()
  for k = 1, 3 do
    local o = {lr = 0.05, beta1 = 0.8, beta2 = 0.6, eps = 1e-3, amsgrad = k ~= 2,
      optimistic = k ~= 1}
    compare(function (l) return optim.adam(l, o) end, function (s, p, g, t)
      s.m = o.beta1 * s.m + (1 - o.beta1) * g
      s.v = o.beta2 * s.v + (1 - o.beta2) * g * g
      s.top = math.max(s.top, s.v)
      local v = (o.amsgrad and s.top or s.v) / (1 - o.beta2 ^ t)
      local d = o.lr * s.m / (1 - o.beta1 ^ t) / (math.sqrt(v) + o.eps)
      local step = o.optimistic and 2 * d - s.last or d
      s.last = d
      return p - step
    end)
  end
end)

check.test("rmsprop with decay is rmsprop on the gradient with it", function ()
  local a, b = new_parameter(), new_parameter()
  local x, y = optim.rmsprop({a}, {lr = 0.1, decay = 0.25}), optim.rmsprop({b}, {lr = 0.1})
  for t = 1, 5 do
    local g = peri.tensor(gradient(t))
    x:step {g}
    y:step {g + b * 0.25}
  end
  check.close(a:tolist(), b:tolist(), 1e-6)
end)

-- --- every rule ---------------------------------------------------------------------------------

local makers = {
  adadelta = function (l) return optim.adadelta(l, {lr = 2, eps = 1e-3}) end,
  adagrad = function (l) return optim.adagrad(l, {lr = 0.8}) end,
  adamax = function (l) return optim.adamax(l, {lr = 0.3}) end,
  amsgrad = function (l) return optim.adam(l, {lr = 0.1, amsgrad = true}) end,
  lion = function (l) return optim.lion(l, {lr = 0.1}) end,
  lookahead = function (l) return optim.lookahead(optim.adam(l, {lr = 0.2}), {every = 3}) end,
  optimistic = function (l) return optim.adam(l, {lr = 0.1, optimistic = true}) end,
}
local names = {"adadelta", "adagrad", "adamax", "amsgrad", "lion", "lookahead", "optimistic"}

check.test("every rule finds a quadratic's minimum and goes down Rosenbrock's valley", function ()
  local target = peri.tensor {1, -2, 0.5, 4}
  local function rosenbrock (x)
    local a, b = x:slice(1, 1, 3), x:slice(1, 2, 4)
    return ((b - a * a):square() * 10 + (a - 1):square()):sum()
  end
  for _, name in ipairs(names) do
    local x = new_parameter()
    local opt = makers[name] {x}
    local base = (opt.inner or opt).lr
    local shape = optim.schedule.cosine {lr = base, steps = 250}
    for t = 1, 250 do
      local _ <close> = peri.scope()
      opt:step(peri.grad((x - target):square():sum(), {x}), {lr = shape(t)})
    end
    if (x - target):abs():max():item() > 0.02 then error(name .. " is far from the minimum") end
    local y = new_parameter()
    opt = makers[name] {y}
    local first = rosenbrock(y):item()
    for t = 1, 250 do
      local _ <close> = peri.scope()
      opt:step(peri.grad(rosenbrock(y), {y}), {lr = 0.5 * shape(t)})
    end
    local share = rosenbrock(y):item() / first
    if share ~= share or share > 0.05 then error(name .. " left the valley: " .. share) end
  end
end)

check.test("a loaded rule goes on to the last bit", function ()
  for _, name in ipairs(names) do
    local function steps (opt, from, to)
      for t = from, to do opt:step {peri.tensor(gradient(t))} end
    end
    for stop = 4, 6 do                           -- before, at and after a synchronisation
      local a, b = new_parameter(), new_parameter()
      local one = makers[name] {a}
      steps(one, 1, stop)
      b:assign(a)
      local state = copy(one:state())
      local two = makers[name] {b}
      two:load(state)
      steps(one, stop + 1, 12)
      steps(two, stop + 1, 12)
      check.equal(a:tolist(), b:tolist())
      local other = two:state()
      for key, v in pairs(one:state()) do
        check.equal(type(v) == "userdata" and v:tolist() or v,
          type(v) == "userdata" and other[key]:tolist() or other[key])
      end
    end
  end
end)

check.test("mistakes name the rule and the option", function ()
  local x = new_parameter()
  for _, case in ipairs {
    {optim.adagrad, {rho = 1}, "adagrad: unknown option 'rho'"},
    {optim.adagrad, {start = -1}, "start is %-1"},
    {optim.adagrad, {lr = -1}, "adagrad: lr is %-1"},
    {optim.adadelta, {rho = 1}, "adadelta: rho is 1"},
    {optim.adamax, {beta1 = 1}, "adamax: beta1 is 1"},
    {optim.lion, {beta2 = 2}, "lion: beta2 is 2"},
    {optim.lion, {decay = -1}, "lion: decay is %-1"},
    {optim.rmsprop, {decay = 0 / 0}, "rmsprop: decay is"},
    {optim.adam, {decay = 0.1}, "unknown option 'decay'"},
  } do
    check.raises(function () case[1]({x}, case[2]) end, case[3])
  end
  check.raises(function () optim.lion {peri.ones(2)} end, "nothing to train")
  check.raises(function () optim.lion {x}:step {peri.ones(2)} end, "gradient 1 has shape %(2%)")
end)

-- --- groups -------------------------------------------------------------------------------------

local function two_layers () return peri.nn.mlp {sizes = {3, 4, 2}, rng = peri.rng(1)} end

local function some_gradients (net)
  return peri.grad(net(peri.rng(3):normal(5, 3)):square():sum(), net)
end

check.test("a group is the same as an optimizer of its own", function ()
  for _, case in ipairs {
    {optim.adamw, {lr = 0.02, decay = 0.1}, {lr = 0.004, decay = 0.3}},
    {optim.sgd, {lr = 0.02, momentum = 0.5, decay = 0.1}, {lr = 0.1, momentum = 0.5, decay = 0}},
    {optim.sgd, {lr = 0.02, decay = 0.1}, {lr = 0.1, decay = 0}},
    {optim.rmsprop, {lr = 0.02}, {lr = 0.1, decay = 0.2}},
    {optim.adagrad, {lr = 0.02}, {lr = 0.1, decay = 0.2}},
    {optim.adadelta, {lr = 0.2}, {lr = 0.1, decay = 0.2}},
    {optim.adamax, {lr = 0.02}, {lr = 0.1, decay = 0.2}},
    {optim.lion, {lr = 0.02}, {lr = 0.1, decay = 0.2}},
  } do
    local make, rest, special = table.unpack(case)
    local a, b = two_layers(), two_layers()
    local given = {}
    for k, v in pairs(rest) do given[k] = v end
    given.groups = {{a[2], lr = special.lr, decay = special.decay}}
    local one, first, second = make(a, given), make(b[1], rest), make(b[2], special)
    for t = 1, 4 do
      local factor = 1 / t
      one:step(some_gradients(a), {lr = rest.lr * factor})
      local g = some_gradients(b)
      first:step({g[1], g[2]}, {lr = rest.lr * factor})
      second:step({g[3], g[4]}, {lr = special.lr * factor})
    end
    local other = peri.nn.state(b)
    for name, x in peri.nn.walk(a) do check.close(x:tolist(), other[name]:tolist(), 1e-6) end
  end
end)

check.test("groups by pattern, by tensor, by list", function ()
  local net = two_layers()
  local opt = optim.adamw(net, {lr = 0.1, decay = 0.5, groups = {
    {match = "bias$", decay = 0}, {net[1].weight, lr = 0.2}, {net[2].weight, decay = 0.25},
  }})
  check.equal(opt.names, {"1.bias", "1.weight", "2.bias", "2.weight"})
  check.equal(opt.options.rates, {1, 2, 1, 1})
  check.equal(opt.options.decays, {0, 0.5, 0, 0.25})
  local frozen = copy(peri.nn.state(net))
  optim.sgd(net, {groups = {{net[1], lr = 0}}}):step(some_gradients(net))
  check.equal(net[1].weight:tolist(), frozen["1.weight"]:tolist())
  check.is_true((net[2].weight - frozen["2.weight"]):abs():max():item() > 0)
end)

check.test("a group that cannot be is refused", function ()
  local net, other = two_layers(), two_layers()
  local function refused (make, groups, pattern)
    check.raises(function () make(net, {groups = groups}) end, pattern)
  end
  refused(optim.adam, {{match = "bias", decay = 0}}, "group 1 has a decay")
  refused(optim.adamw, {{match = "nothing", decay = 0}}, "group 1 names no parameter")
  refused(optim.adamw, {{net[1]}, {match = "weight"}}, "group 2 and group 1 both hold '1.weight'")
  refused(optim.adamw, {{other[1]}}, "group 1 has a parameter that the optimizer does not train")
  refused(optim.adamw, {{net[1], rate = 1}}, "group 1: unknown option 'rate'")
  refused(optim.adamw, {{net[1], lr = -1}}, "group 1: lr is %-1")
  refused(optim.adamw, {{net[1], decay = 1 / 0}}, "group 1: decay is inf")
  refused(optim.adamw, {net[1].weight}, "group 1 is no table")
  check.raises(function () optim.sgd(net, {lr = 0, groups = {{net[1], lr = 1}}}) end, "lr = 0")
  check.raises(function () optim.sgd(net, {groups = 3}) end, "'groups' is 3")
end)

-- --- wrappers -----------------------------------------------------------------------------------

check.test("lookahead follows every k steps", function ()
  local x, y = new_parameter(), new_parameter()
  local ahead = optim.lookahead(optim.sgd({x}, {lr = 0.1}), {every = 3, share = 0.25})
  local slow = {table.unpack(START)}
  local plain = optim.sgd({y}, {lr = 0.1})
  for t = 1, 9 do
    local g = peri.tensor(gradient(t))
    ahead:step {g}
    plain:step {g}
    if t % 3 == 0 then
      for i, v in ipairs(y:tolist()) do slow[i] = slow[i] + 0.25 * (v - slow[i]) end
      y:assign(peri.tensor(slow))
    end
    check.close(x:tolist(), y:tolist(), 2e-6)
  end
  local state = copy(ahead:state())
  state["slow.1"] = nil
  check.raises(function () ahead:load(state) end, "no tensor 'slow.1'")
  state = copy(ahead:state())
  state["slow.1"], state.t = peri.zeros(4), nil
  check.raises(function () ahead:load(state) end, "t = nil")
  check.close(ahead.slow[1]:tolist(), slow, 2e-6)
  check.raises(function () optim.lookahead(optim.sgd {x}, {share = 2}) end, "share = 2")
  check.raises(function () optim.lookahead {x} end, "give an optimizer")
end)

-- min over x, max over y of x y: gradient steps spiral away, looking ahead comes closer.
check.test("extragradient solves a bilinear game", function ()
  local function radius (make, looks)
    local x, y = new_parameter(), new_parameter()
    y:assign(peri.tensor {1, 1, -1, 2})
    local of_x, of_y = make {x}, make {y}
    local before = (x:square() + y:square()):sum():item()
    for _ = 1, 100 do
      if looks then
        local gx, gy = {y:detach():clone()}, {-x:detach()}
        of_x:look(gx)
        of_y:look(gy)
      end
      local gx, gy = {y:detach():clone()}, {-x:detach()}
      of_x:step(gx)
      of_y:step(gy)
    end
    return (x:square() + y:square()):sum():item() / before
  end
  local function sgd (l) return optim.sgd(l, {lr = 0.2}) end
  -- (1 - lr^2)^2 + lr^2 and 1 + lr^2 are the exact factors of the squared radius
  check.close(radius(function (l) return optim.extragradient(sgd(l)) end, true),
    ((1 - 0.04) ^ 2 + 0.04) ^ 100, 1e-3)
  check.close(radius(sgd) / 1.04 ^ 100, 1, 1e-3)
end)

check.test("extragradient keeps its order, and saves between whole steps", function ()
  local x = new_parameter()
  local opt = optim.extragradient(optim.adam({x}, {lr = 0.1}))
  local g = {peri.tensor(gradient(1))}
  check.raises(function () opt:step(g) end, "look ahead first")
  opt:look(g)
  check.raises(function () opt:look(g) end, "ahead already")
  check.raises(function () opt:state() end, "step first")
  check.raises(function () opt:load {} end, "step first")
  local ahead = x:tolist()
  check.raises(function () opt:step {peri.ones(2)} end, "gradient 1 has shape")
  check.equal(x:tolist(), ahead)
  opt:step(g)
  check.raises(function () optim.extragradient {x} end, "give an optimizer")
  local y = new_parameter()
  y:assign(x)
  local other = optim.extragradient(optim.adam({y}, {lr = 0.1}))
  other:load(copy(opt:state()))
  for t = 2, 5 do
    for _, o in ipairs {opt, other} do
      o:look {peri.tensor(gradient(t))}
      o:step {peri.tensor(gradient(t + 9))}
    end
  end
  check.equal(x:tolist(), y:tolist())
end)

check.test("accumulated gradients step as their mean", function ()
  local x, y = new_parameter(), new_parameter()
  local a, b = optim.adam({x}, {lr = 0.1}), optim.adam({y}, {lr = 0.1})
  local sum = optim.accumulate {x}
  for t = 1, 3 do
    local mean = peri.zeros(4)
    for k = 1, 4 do
      local g = peri.tensor(gradient(4 * t + k))
      sum:add {g}
      mean = mean + g / 4
      if k == 2 then                               -- a resume in the middle
        local state = copy(sum:state())
        sum = optim.accumulate {x}
        sum:load(state)
      end
    end
    sum:step(a, {scale = 0.5})
    b:step {mean * 0.5}
    check.equal(sum.count, 0)
  end
  check.close(x:tolist(), y:tolist(), 1e-5)
  check.raises(function () sum:step(a) end, "nothing was added")
  check.raises(function () sum:add {peri.ones(3)} end, "tensor 1 has shape %(3%)")
  check.raises(function () sum:load {} end, "count = nil")
end)

check.test("a guard puts the last good state back", function ()
  local x = new_parameter()
  local opt = optim.adam({x}, {lr = 0.1})
  local guard = optim.guard({{x = x}, opt}, {every = 2, limit = 10})
  local kept
  for t = 1, 5 do
    check.is_true(guard:check(1))
    if t == 4 then kept = {x:tolist(), opt.t, opt.slots.m[1]:tolist()} end
    opt:step {peri.tensor(gradient(t))}
  end
  for i, bad in ipairs {0 / 0, 1 / 0, -1 / 0, 11} do
    check.equal(guard:check(bad), false)
    check.equal(guard.rollbacks, i)
    check.equal({x:tolist(), opt.t, opt.slots.m[1]:tolist()}, kept)
    opt:step {peri.tensor {0 / 0, 1, 1, 1}}
  end
  check.raises(function () guard:check("1") end, "not a string")
  check.raises(function () optim.guard {} end, "a list of models")
  check.raises(function () optim.guard({{x}}, {every = 0}) end, "every = 0")
end)

-- --- averages -----------------------------------------------------------------------------------

local function averaged (given, weights)           -- sum of weights[t] x_t over six updates
  local x = new_parameter()
  local ema = given == "swa" and optim.swa {x} or optim.ema({x}, given)
  local want = {0, 0, 0, 0}
  for t = 1, 6 do
    local now = gradient(t)
    x:assign(peri.tensor(now))
    ema:update()
    for i, v in ipairs(now) do want[i] = want[i] + weights[t] * v end
    if t == 3 then
      local state = copy(ema:state())
      ema = given == "swa" and optim.swa {x} or optim.ema({x}, given)
      ema:load(state)
    end
  end
  check.close(ema.averages[1]:tolist(), want, 2e-6)
end

check.test("stochastic weight averaging is the mean", function ()
  averaged("swa", {1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 6})
end)

check.test("a power average weighs as a power of the time", function ()
  -- Weights are proportional to a product that grows as t^x: for x = 0, equal ones.
  local power, weights, rest = 2.5, {}, 1
  for t = 6, 1, -1 do
    local decay = (1 - 1 / t) ^ (power + 1)
    weights[t] = rest * (1 - decay)
    rest = rest * decay
  end
  check.close(rest, 0, 0)                          -- what was at the start is forgotten at t = 1
  averaged({power = power}, weights)
  -- The profile t^x on [0, 1] has the width that was asked for.
  local x = new_parameter()
  for _, std in ipairs {0.05, 0.1, 0.25} do
    local e = optim.ema({x}, {std = std}).power
    local mean, second = (e + 1) / (e + 2), (e + 1) / (e + 3)
    check.close(math.sqrt(second - mean * mean), std, 1e-9)
  end
end)

check.test("a half-life halves", function ()
  local x = new_parameter()
  local ema = optim.ema({x}, {halflife = 4, ramp = 1e9})
  x:assign(peri.zeros(4))
  for _ = 1, 4 do ema:update() end
  check.close(ema.averages[1]:tolist(), {0.25, -0.625, 1.5, 0}, 1e-6)
  for _, case in ipairs {
    {{decay = 0.9, std = 0.1}, "decay and std both set the rate"}, {{std = 0.5}, "std is 0.5"},
    {{power = -1}, "power is %-1"}, {{halflife = 1, warmup = true}, "warmup goes with decay"},
    {{ramp = 1}, "ramp with halflife"}, {{halflife = 0}, "halflife is 0"},
  } do
    check.raises(function () optim.ema({x}, case[1]) end, case[2])
  end
end)

check.done()
