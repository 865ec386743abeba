-- Derivatives as a script sees them: order, graphs, messages, and a penalty on a gradient.

local check = require "check"
local peri = require "perigee"

check.test("gradients come in the order asked for", function ()
  local x, y = peri.tensor { 1, 2 }:requires_grad(true), peri.tensor { 3, 5 }:requires_grad(true)
  local g = peri.grad((x * x * y):sum(), { y, x })
  check.equal(g[1]:tolist(), { 1, 4 })
  check.equal(g[2]:tolist(), { 6, 20 })
end)

check.test("derivatives of any order", function ()
  local x = peri.tensor(0.7):requires_grad(true)
  local y = x:sin()
  local want = { math.cos(0.7), -math.sin(0.7), -math.cos(0.7), math.sin(0.7), math.cos(0.7) }
  for order = 1, 5 do
    y = peri.grad(y, { x }, { create_graph = true })[1]
    check.close(y:item(), want[order], 1e-6)
  end
end)

check.test("what y does not depend on has a zero gradient", function ()
  local x, y = peri.ones(2):requires_grad(true), peri.ones(3):requires_grad(true)
  check.equal(peri.grad(x:sum(), { y })[1]:tolist(), { 0, 0, 0 })
end)

check.test("a graph is consumed unless it is kept", function ()
  local x = peri.ones(2):requires_grad(true)
  local y = x:exp():sum()
  peri.grad(y, { x }, { keep_graph = true })
  peri.grad(y, { x })
  check.raises(function () peri.grad(y, { x }) end, "keep_graph = true")
end)

check.test("no_grad and detach stop recording", function ()
  local x = peri.ones(2):requires_grad(true)
  check.equal(peri.no_grad(function () return (x * 2):requires_grad() end), false)
  check.equal((x * 2):requires_grad(), true)
  check.equal((x * 2):detach():requires_grad(), false)
  pcall(peri.no_grad, function () error("stop") end)
  check.equal((x * 2):requires_grad(), true)
end)

check.test("messages say what is missing", function ()
  local x = peri.ones(2, 3):requires_grad(true)
  check.raises(function () peri.grad(x * 2, { x }) end, "%(2, 3%), not one element")
  check.raises(function () peri.grad(peri.ones(1), { x }) end, "depends on nothing")
  check.raises(function () peri.grad(x:sum(), { peri.ones(2) }) end, "requires_grad%(true%)")
  check.raises(function () peri.grad(x * 2, { x }, { seed = peri.ones(2) }) end, "%(2%).*%(2, 3%)")
  check.raises(function () peri.grad(x:sum(), { x }, { creategraph = true }) end, "creategraph")
  check.raises(function () peri.grad(x:sum(), { 1 }) end, "entry 1 is a number")
  check.raises(function () peri.arange(3):requires_grad(true) end, "only real")
end)

check.test("an error in backward names the line of the forward operation", function ()
  local w = peri.ones(2):requires_grad(true)
  local y = w * w                                              -- the line to be named
  local line = debug.getinfo(1, "l").currentline - 1
  w:assign(peri.zeros(2))
  check.raises(function () peri.grad(y:sum(), { w }) end,
               "backward of mul at .*test_grad.lua:" .. line)
end)

check.test("a penalty on the norm of a gradient trains", function ()
  -- WGAN-GP's penalty (Gulrajani et al. 2017, eq. 3) alone drives |df/dx| to 1.
  local rng = peri.rng(3)
  local w1 = (rng:normal(2, 16) * 0.3):detach():requires_grad(true)
  local b1 = peri.zeros(16):requires_grad(true)
  local w2 = (rng:normal(16, 1) * 0.3):detach():requires_grad(true)
  local function penalty ()
    local x = rng:normal(64, 2):requires_grad(true)
    local f = peri.linear(x, w1, b1):tanh():matmul(w2)
    local g = peri.grad(f:sum(), { x }, { create_graph = true })[1]
    return (((g * g):sum(2) + 1e-12):sqrt() - 1):square():mean()
  end
  local first, last
  for _ = 1, 300 do
    local _ <close> = peri.scope()
    local loss = penalty()
    local g = peri.grad(loss, { w1, b1, w2 })
    for i, p in ipairs { w1, b1, w2 } do p:assign(p:detach() - 0.1 * g[i]) end
    first, last = first or loss:item(), loss:item()
  end
  check.is_true(first > 0.3)
  check.is_true(last < 0.02)
end)

check.test("a chain of ten thousand operations is walked and freed", function ()
  local x = peri.tensor(1):requires_grad(true)
  local y = x
  for _ = 1, 10000 do y = y + x end
  check.equal(peri.grad(y, { x })[1]:item(), 10001.0)
end)

check.test("a profile counts forward and backward calls, dearest first", function ()
  local x, w = peri.ones(3, 4), peri.ones(4, 2):requires_grad(true)
  local list = peri.profile(function (n)
    for _ = 1, n do peri.grad(x:matmul(w):exp():sum(), {w}) end
  end, 5)
  local calls, before = {}, math.huge
  for _, row in ipairs(list) do
    calls[row.name] = row.calls
    check.is_true(row.seconds >= 0 and row.seconds <= before)
    before = row.seconds
  end
  check.equal({calls.matmul, calls.exp, calls.sum}, {10, 5, 5})
  check.raises(function () peri.profile(error, "stop") end, "stop")
  check.equal(peri.profile(function () end), {})
end)

check.done()
