-- Layers of adversarial and autoregressive image models, by their laws: what each output may see,
-- what a normalisation of one sample equals, the filter that a modulation stands for; and what is
-- kept between steps: image pool, replay buffer, the finder of a step size.

local check = require "check"
local peri = require "perigee"

local nn, init = peri.nn, peri.nn.initialiser

local function largest (x) return x:abs():max():item() end

local function refuses (pattern, f, ...)
  local given = table.pack(...)
  local ok, message = pcall(f, table.unpack(given, 1, given.n))
  check.is_true(not ok)
  if message:find "\n" then error("more than a line: " .. message) end
  check.raises(function () f(table.unpack(given, 1, given.n)) end, pattern)
end

-- Every parameter of `net` gets a gradient that is not 0 from `y`.
local function check_reached (net, y)
  local names = select(2, nn.parameters(net))
  for i, g in ipairs(peri.grad((y * peri.rng(99):normal(y.shape)):sum(), net)) do
    if largest(g) == 0 then error("nothing reaches " .. names[i]) end
  end
end

-- --- patch discriminator ------------------------------------------------------------------------

check.test("an output of the patch discriminator sees 16, 34, 70, 142 pixels", function ()
  for layers, field in ipairs {16, 34, 70} do
    local net = nn.patch_discriminator {inputs = 1, width = 2, layers = layers, norm = "none",
      weight = init.normal(), rng = peri.rng(layers)}
    check.equal(net.field, field)
    local size = field + (3 << layers)
    local x = peri.rng(5):normal(1, size, size, 1):requires_grad(true)
    local y = net(x)
    check.equal(y.shape, {1, size // (1 << layers) - 2, size // (1 << layers) - 2, 1})
    -- an output whose patch lies within the image, from one pixel to another
    local at = (y.shape[2] + 1) // 2
    local g = peri.grad(y:slice(2, at, at):slice(3, at, at):sum(), x)[1]:reshape(size, size)
    for axis = 1, 2 do
      local seen, first, last = g:abs():max(axis):tolist(), nil, nil
      for i, v in ipairs(seen) do
        if v ~= 0 then
          first, last = first or i, i
        end
      end
      check.equal(last - first + 1, field)
    end
  end
  local wide = nn.patch_discriminator {inputs = 3, width = 2, layers = 4, rng = peri.rng(1)}
  check.equal(wide.field, 142)
end)

check.test("the patch discriminator with each norm, and with bad input", function ()
  local x = peri.rng(2):normal(2, 24, 32, 3)
  for _, norm in ipairs {"instance", "batch", "none"} do
    local net = nn.patch_discriminator {inputs = 3, width = 4, layers = 2, norm = norm,
      rng = peri.rng(1)}
    local y = net(x, {train = true})
    check.equal(y.shape, {2, 4, 6, 1})
    check_reached(net, y)
  end
  local net = nn.patch_discriminator {inputs = 3, width = 2, norm = "batch", rng = peri.rng(1)}
  check.equal(#net.convs, 5)
  check.equal(net.convs[5].weight.shape, {4, 4, 16, 1})
  refuses("x is %(2, 24, 23, 3%).*at least 24 by 24", net, x:slice(3, 1, 23), {train = true})
  refuses("x is a nil", net)
  refuses("say {train = true}", net, x)
  refuses("norm = 'layer'", nn.patch_discriminator, {inputs = 3, norm = "layer", rng = peri.rng(1)})
  refuses("layers = 0", nn.patch_discriminator, {inputs = 3, layers = 0, rng = peri.rng(1)})
end)

-- --- normalisation ------------------------------------------------------------------------------

check.test("virtual batch norm is batch norm of the reference and one sample", function ()
  local rng = peri.rng(1)
  for _, places in ipairs {{}, {5}, {3, 4}} do
    local function shape (n) return {n, places[1], places[2] or 3, places[2] and 3 or nil} end
    if #places == 0 then shape = function (n) return {n, 3} end end
    local norm = nn.virtual_batch_norm {channels = 3}
    norm.weight:assign(rng:normal(3))
    norm.bias:assign(rng:normal(3))
    local x, reference = rng:normal(shape(4)) * 2 + 1, rng:normal(shape(6)) - 3
    local y, r = norm(x, reference)
    check.equal(r:tolist(), peri.batch_norm(reference, norm.weight, norm.bias):tolist())
    for i = 1, 4 do
      local joint = peri.concat({reference, x:slice(1, i, i)}, 1)
      local want = peri.batch_norm(joint, norm.weight, norm.bias):slice(1, 7, 7)
      check.close(y:slice(1, i, i):tolist(), want:tolist(), 2e-5)
    end
    check_reached(norm, y)
    local leaf = x:clone():requires_grad(true)
    local g = peri.grad(norm(leaf, reference):slice(1, 2, 2):square():sum(), leaf)[1]
    check.equal(largest(g:slice(1, 1, 1)) + largest(g:slice(1, 3, 4)), 0)
    check.is_true(largest(g:slice(1, 2, 2)) > 0)
  end
  local norm = nn.virtual_batch_norm {channels = 3}
  refuses("reference is a nil; want %(batch, ..., 3%)", norm, peri.ones(2, 3))
  refuses("x is %(2, 4%)", norm, peri.ones(2, 4), peri.ones(2, 3))
  refuses("not empty", norm, peri.ones(2, 3), peri.ones(0, 3))
  refuses("channels = 0", nn.virtual_batch_norm, {channels = 0})
end)

check.test("standing statistics are the means over the passes", function ()
  local net = {
    a = nn.linear {inputs = 3, outputs = 4, rng = peri.rng(1)},
    list = {nn.batch_norm {channels = 4, momentum = 0.3}},
    last = nn.conditional_batch_norm {channels = 4, classes = 2},
  }
  local label = peri.tensor({1, 2, 1, 2, 2}, "index")
  local function run (i, opts)
    local h = net.list[1](net.a(peri.rng(4):at(i):normal(5, 3) + i), opts)
    return net.last(h, label, opts)
  end
  run(9, {train = true})                                 -- what was before is forgotten
  local function go (i) run(i, {train = true}) end
  check.equal(nn.standing_statistics(net, 4, go), 2)
  local mean, variance = peri.zeros(4), peri.zeros(4)
  for i = 1, 4 do
    local moments = peri.batch_moments(net.a(peri.rng(4):at(i):normal(5, 3) + i))
    mean = mean + moments:slice(1, 1, 1):reshape(4) / 4
    variance = variance + moments:slice(1, 2, 2):reshape(4) * (5 / 4 / 4)
  end
  check.close(net.list[1].mean:tolist(), mean:tolist(), 1e-5)
  check.close(net.list[1].variance:tolist(), variance:tolist(), 1e-5)
  check.equal(net.list[1].momentum, 0.3)
  local before = net.list[1].mean:tolist()
  check.raises(function ()
    nn.standing_statistics(net, 4, function (i)
      go(i + 10)
      if i == 3 then error("no more") end
    end)
  end, "no more")
  check.equal(net.list[1].mean:tolist(), before)
  check.equal(net.list[1].momentum, 0.3)
  check.equal(nn.standing_statistics(nn.batch_norm {channels = 3}, 1, function () end), 1)
  refuses("no batch normalisation", nn.standing_statistics, net.a, 4, go)
  refuses("passes = 0", nn.standing_statistics, net, 0, go)
  refuses("give a model", nn.standing_statistics, net, 1)
end)

-- --- modulated convolution ----------------------------------------------------------------------

check.test("a modulated convolution is one with each sample's own filter", function ()
  local rng = peri.rng(1)
  for axes, shape in ipairs {{3, 7, 4}, {3, 6, 5, 4}} do
    for _, demodulate in ipairs {true, false} do
      local layer = nn.modulated_conv {inputs = 4, outputs = 6, size = 3, axes = axes, style = 5,
        demodulate = demodulate, bias = init.normal(), rng = rng}
      local x, v = rng:normal(shape), rng:normal(3, 5)
      local y, scale, w = layer(x, v), layer.style(v), layer.conv.weight
      for i = 1, 3 do
        local own = w * scale:slice(1, i, i):reshape(4, 1)
        if demodulate then
          own = own * (own:square():reshape(-1, 6):sum(1) + layer.eps):rsqrt()
        end
        local want = peri.conv(x:slice(1, i, i), own, layer.conv.bias, {padding = "same"})
        check.close(y:slice(1, i, i):tolist(), want:tolist(), 1e-4)
      end
      check_reached(layer, y)
    end
  end
end)

check.test("demodulation gives unit deviation, whatever the scale of the style", function ()
  local layer = nn.modulated_conv {inputs = 64, outputs = 32, size = 3, style = 2, bias = false,
    padding = 0, rng = peri.rng(1)}
  layer.style.weight:assign(layer.style.weight * 3)
  local x = peri.rng(2):normal(2, 34, 34, 64)
  local y = layer(x, peri.tensor {{1, 2}, {-4, 3}})
  for i = 1, 2 do
    check.close(y:slice(1, i, i):square():mean():sqrt():item(), 1, 0.03)
  end
  local v = peri.tensor {{1, 2}, {-4, 3}}
  layer.style.bias:assign(peri.zeros(64))                -- the style is linear in v
  check.close(layer(x, v * 7):tolist(), layer(x, v):tolist(), 1e-4)
  refuses("the style is %(3, 2%) for x %(2, 34, 34, 64%)", layer, x, peri.ones(3, 2))
  refuses("the style is a nil", layer, x)
  refuses("style = 0", nn.modulated_conv,
    {inputs = 1, outputs = 1, size = 3, style = 0, rng = peri.rng(1)})
end)

-- --- gated pixel blocks -------------------------------------------------------------------------

local function pixel_stack (given)
  local o = {inputs = 1, width = 4, depth = 3, size = 5}
  for k, v in pairs(given) do o[k] = v end
  local blocks, n = {}, o.inputs
  for i = 1, o.depth do
    blocks[i] = nn.gated_pixel_block {inputs = n, outputs = o.width, size = o.size, first = i == 1,
      colours = o.colours, condition = o.condition, rng = peri.rng(i)}
    n = o.width
  end
  return blocks, function (x, c)
    local v, h = x, x
    for _, block in ipairs(blocks) do v, h = block(v, h, c) end
    return h, v
  end
end

check.test("a gated pixel stack sees all pixels before the current one and no other", function ()
  local rows, columns = 5, 6
  local _, net = pixel_stack {}
  local x = peri.rng(9):normal(1, rows, columns, 1):requires_grad(true)
  local h, v = net(x)
  for r = 1, rows do
    for c = 1, columns do
      local part = h:slice(2, r, r):slice(3, c, c)
      local g = peri.grad(part:square():sum(), x, {keep_graph = true})[1]
      local flat, here = g:reshape(rows * columns):tolist(), (r - 1) * columns + c
      for i, seen in ipairs(flat) do
        if i < here and seen == 0 then
          error(("the pixel at %d does not see %d"):format(here, i))
        end
        if i >= here then check.equal(seen, 0) end
      end
    end
    local g = peri.grad(v:slice(2, r, r):sum(), x, {keep_graph = true})[1]:reshape(rows, columns)
    if r < rows then check.equal(largest(g:slice(1, r + 1, rows)), 0) end
    check.is_true(largest(g:slice(1, r, r)) > 0)
  end
end)

check.test("colours of a pixel see the colours before them", function ()
  local _, net = pixel_stack {inputs = 3, width = 6, colours = 3, size = 3}
  local x = peri.rng(9):normal(1, 3, 3, 3):requires_grad(true)
  local h = net(x)
  for k = 1, 3 do
    local part = h:slice(4, 2 * k - 1, 2 * k):slice(2, 2, 2):slice(3, 2, 2)
    local g = peri.grad(part:square():sum(), x, {keep_graph = true})[1]:reshape(9, 3):tolist()
    for i = 1, 9 do
      for j = 1, 3 do
        check.equal(g[i][j] ~= 0, i < 5 or (i == 5 and j < k))
      end
    end
  end
end)

check.test("gated pixel blocks: conditions, gradients and bad input", function ()
  local blocks, net = pixel_stack {condition = 3, depth = 2, size = 3}
  local x = peri.rng(9):normal(2, 4, 4, 1)
  local h, v = net(x, peri.rng(8):normal(2, 3))
  check.equal(h.shape, {2, 4, 4, 4})
  check_reached(blocks, h + v)
  local c = peri.rng(8):normal(2, 3)
  local spread = c:reshape(2, 1, 1, 3) + peri.zeros(2, 4, 4, 1)
  check.close(net(x, spread):tolist(), net(x, c):tolist(), 1e-6)
  refuses("give a condition", net, x)
  refuses("v is %(2, 4, 4, 2%)", blocks[1], peri.ones(2, 4, 4, 2), peri.ones(2, 4, 4, 1), c)
  refuses("h is a nil", blocks[1], x, nil, c)
  refuses("v is %(2, 4, 4, 1%) and h %(2, 4, 3, 1%)", blocks[1], x, x:slice(3, 1, 3), c)
  refuses("size = 4", nn.gated_pixel_block, {inputs = 1, size = 4, rng = peri.rng(1)})
  refuses("colours = 3", nn.gated_pixel_block, {inputs = 4, colours = 3, rng = peri.rng(1)})
end)

-- --- samples of earlier steps -------------------------------------------------------------------

-- Images i, i + 1, .. as their numbers.
local function numbered (first, n)
  return (peri.arange(n):real() + (first - 1)):reshape(n, 1, 1)
end

check.test("an image pool gives what it held, once each", function ()
  local pool = peri.data.pool {size = 50, rng = peri.rng(1)}
  check.equal(pool:exchange(numbered(1, 50)):tolist(), numbered(1, 50):tolist())
  local given, old, calls = {}, 0, 200
  for i = 1, calls do
    local _ <close> = peri.scope()
    local fresh = numbered(51 + (i - 1) * 4, 4):reshape(4):tolist()
    for k, v in ipairs(pool:exchange(numbered(51 + (i - 1) * 4, 4)):reshape(4):tolist()) do
      check.is_true(not given[v])
      given[v] = true
      if v ~= fresh[k] then old = old + 1 end
    end
  end
  check.is_true(math.abs(old / (4 * calls) - 0.5) < 5 * math.sqrt(0.25 / (4 * calls)))
  for _, v in ipairs(pool:state()["row.images"]:reshape(50):tolist()) do
    check.is_true(not given[v])
  end
end)

check.test("a pool and a buffer go on from their state as if nothing had been", function ()
  local function pool () return peri.data.pool {size = 3, rng = peri.rng(1)} end
  local a, b = pool(), pool()
  local empty = a:state()
  for i = 1, 5 do a:exchange(numbered(2 * i, 2)) end
  b:load(a:state())
  for i = 6, 12 do
    check.equal(a:exchange(numbered(2 * i, 2)):tolist(), b:exchange(numbered(2 * i, 2)):tolist())
  end
  a:load(empty)
  check.equal({a.filled, a.calls, next(a.rooms)}, {0, 0})
  local function replay () return peri.data.replay {size = 4, rng = peri.rng(1)} end
  local r, s = replay(), replay()
  for i = 1, 3 do r:add {x = numbered(2 * i, 2), y = peri.ones(2) * i} end
  r:sample(3)
  s:load(r:state())
  for i = 1, 3 do
    local f, g = r:sample(5), s:sample(5)
    check.equal({f.x:tolist(), f.y:tolist()}, {g.x:tolist(), g.y:tolist()})
    for _, buffer in ipairs {r, s} do buffer:add {x = numbered(90 + i, 1), y = peri.ones(1)} end
  end
  local state = r:state()
  state["row.x"] = peri.ones(3, 1, 1)
  refuses("'row.x' is no real tensor with 4 rows", s.load, s, state)
  state["row.x"] = nil
  refuses("no tensor 'x'", s.load, s, state)
  refuses("filled = nil", s.load, s, {})
  refuses("no rows", s.load, s, {filled = 2, calls = 1, last = 2})
end)

check.test("a replay buffer holds the newest rows, and takes them back where they were", function ()
  local replay = peri.data.replay {size = 5, rng = peri.rng(3)}
  for i = 1, 4 do replay:add {x = numbered(2 * i - 1, 2)} end
  local seen = {}
  for _, v in ipairs(replay:sample(300).x:reshape(300):tolist()) do seen[v] = true end
  check.equal(seen, {[4] = true, [5] = true, [6] = true, [7] = true, [8] = true})
  local fields, places = replay:sample(1)
  replay:put(places, {x = -fields.x})
  local count = 0
  for _, v in ipairs(replay:state()["row.x"]:reshape(5):tolist()) do
    if v < 0 then
      count = count + 1
      check.equal(v, -fields.x:item())
    end
  end
  check.equal(count, 1)
  fields.x:assign(peri.zeros(1, 1, 1))                   -- a copy, not the buffer's own
  check.is_true(replay:state()["row.x"]:abs():min():item() > 0)
  local wrong = {x = peri.ones(2, 3)}
  refuses("x is real %(2, 3%); want real %(batch, 1, 1%)", replay.add, replay, wrong)
  refuses("field 'z' is unknown", replay.add, replay, {x = numbered(1, 2), z = numbered(1, 2)})
  refuses("field 'x' is missing", replay.add, replay, {y = numbered(1, 2)})
  refuses("named tensors", replay.add, replay, {})
  refuses("places are 1 for 2 rows", replay.put, replay, places, {x = numbered(1, 2)})
  refuses("place 9", replay.put, replay, peri.tensor({9}, "index"), {x = numbered(1, 1)})
  refuses("n = 0", replay.sample, replay, 0)
  local new = peri.data.replay {size = 5, rng = peri.rng(3)}
  refuses("of 0 rows", new.sample, new, 1)
  refuses("size = 0", peri.data.replay, {size = 0, rng = peri.rng(3)})
  refuses("field 'y' has 1 rows and another 2", function ()
    new:add {x = numbered(1, 2), y = numbered(1, 1)}
  end)
end)

-- --- finder -------------------------------------------------------------------------------------

check.test("the finder ramps, suggests a step size that works, and puts all back", function ()
  local x = peri.rng(1):normal(64, 6)
  local net = {nn.linear {inputs = 6, outputs = 1, rng = peri.rng(2)},
    nn.batch_norm {channels = 6}}
  local want = x:slice(2, 1, 1) * 3
  local function loss () return (net[1](net[2](x, {train = true})) - want):square():mean() end
  local opt = peri.optim.sgd(net, {lr = 0.5, momentum = 0.5})
  opt:step(peri.grad(loss(), net))
  local before, memory = {}, {}
  for name, v in pairs(nn.state(net)) do before[name] = v:tolist() end
  for name, v in pairs(opt:state()) do
    memory[name] = type(v) == "number" and v or v:tolist()
  end
  local function check_restored ()
    for name, v in pairs(nn.state(net)) do check.equal(v:tolist(), before[name]) end
    for name, v in pairs(opt:state()) do
      check.equal(type(v) == "number" and v or v:tolist(), memory[name])
    end
  end
  local given = {from = 1e-4, to = 1e3, steps = 80, keep = {net}}
  local lr, trace = peri.optim.finder(opt, loss, given)
  check_restored()
  -- it diverged, and ended
  check.is_true(#trace < 80 and trace[#trace].smooth > trace[1].smooth)
  for i, t in ipairs(trace) do
    check.close(math.log(t.lr / 1e-4), (i - 1) / 79 * math.log(1e7), 1e-9)
  end
  check.close(trace[1].smooth, trace[1].loss, 1e-9)
  local first = loss():item()
  for _ = 1, 30 do opt:step(peri.grad(loss(), net), {lr = lr}) end
  check.is_true(loss():item() < 0.2 * first)
  nn.load(net, (function ()
    local state = {}
    for name, v in pairs(before) do state[name] = peri.tensor(v) end
    return state
  end)())
end)

check.test("the finder puts back after an error, and refuses bad options", function ()
  local net = nn.linear {inputs = 2, outputs = 1, rng = peri.rng(2)}
  local opt = peri.optim.adam(net, {lr = 0.1})
  local weight = net.weight:tolist()
  local function loss () return net(peri.ones(3, 2)):square():mean() end
  check.raises(function ()
    peri.optim.finder(opt, function (i)
      if i == 5 then error("out of data") end
      return loss()
    end, {from = 0.1, to = 1})
  end, "out of data")
  check.equal({net.weight:tolist(), opt.t, opt.lr}, {weight, 0, 0.1})
  local none, trace = peri.optim.finder(opt, function () return loss() * (0 / 0) end)
  check.equal({none, #trace}, {nil, 0})
  refuses("from = 2, to = 1", peri.optim.finder, opt, loss, {from = 2, to = 1})
  refuses("steps = 1", peri.optim.finder, opt, loss, {steps = 1})
  refuses("returned a number", peri.optim.finder, opt, function () return 1 end)
  refuses("give an optimizer", peri.optim.finder, net, loss)
end)

check.done()
