-- Attention, transformer blocks and recurrent networks: the whole sequence against its pieces, laws
-- of positions, training, and what is refused.

local check = require "check"
local peri = require "perigee"

local nn = peri.nn

local function largest (x) return x:abs():max():item() end
local function differ (x, y) return largest(x - y) end

-- --- attention
-- ------------------------------------------------------------------------------------

check.test("attention is softmax(q k') v head by head", function ()
  local rng = peri.rng(1)
  local layer = nn.attention {inputs = 12, heads = 3, rng = rng:fork "layer"}
  local x = rng:normal(2, 5, 12)
  local q, k, v = layer.query(x), layer.key(x), layer.value(x)
  local heads = {}
  for h = 1, 3 do
    local function cut (y) return y:slice(3, 4 * h - 3, 4 * h) end
    local scores = cut(q):matmul(cut(k):transpose()) / math.sqrt(4)
    heads[h] = scores:softmax():matmul(cut(v))
  end
  check.is_true(differ(layer(x), layer.output(peri.concat(heads, 3))) < 1e-5)
end)

check.test("attention sees a set: rows in another order come out in that order", function ()
  local rng = peri.rng(2)
  local layer = nn.attention {inputs = 8, heads = 2, rng = rng:fork "layer"}
  local x, order = rng:normal(1, 6, 8), peri.tensor({4, 1, 6, 2, 5, 3}, "index")
  local y = layer(x):index_select(order, 2)
  check.is_true(differ(layer(x:index_select(order, 2)), y) < 1e-5)
end)

for _, positions in ipairs {"none", "rotary", "alibi"} do
  check.test("generation with a cache is the whole, positions " .. positions, function ()
    local rng = peri.rng(3)
    local layer = nn.attention {
      inputs = 16, heads = 4, causal = true, positions = positions, rng = rng:fork "layer",
    }
    local x = rng:normal(2, 100, 16)
    local whole, cache, from = layer(x), {}, 1
    for _, n in ipairs {5, 1, 1, 60, 1, 32} do      -- a prompt, then more than the first room
      local _ <close> = peri.scope()
      local y = layer(x:slice(2, from, from + n - 1), {cache = cache})
      check.is_true(differ(y, whole:slice(2, from, from + n - 1)) < 1e-5)
      from = from + n
    end
    check.equal(cache.length, 100)
  end)
end

check.test("a mask hides, and attention over a context has its sizes", function ()
  local rng = peri.rng(4)
  local layer = nn.attention {
    inputs = 8, heads = 2, context = 6, outputs = 5, rng = rng:fork "layer",
  }
  local x, context = rng:normal(2, 3, 8), rng:normal(2, 7, 6)
  local mask = peri.tensor({1, 1, 1, 1, 0, 0, 0}, "byte")
  local y = layer(x, {context = context, mask = mask})
  check.equal(y.shape, {2, 3, 5})
  check.is_true(differ(y, layer(x, {context = context:slice(2, 1, 4)})) < 1e-6)
end)

check.test("attention refuses what does not fit", function ()
  local rng = peri.rng(5)
  check.raises(function () nn.attention {inputs = 10, heads = 3, rng = rng} end, "do not divide")
  check.raises(function () nn.attention {inputs = 10, heads = 0, rng = rng} end, "at least 1")
  check.raises(function () nn.attention {inputs = 4, heads = 2, positions = "x", rng = rng} end,
    "known: alibi, none, rotary")
  check.raises(function ()
    nn.attention {inputs = 6, heads = 2, positions = "rotary", rng = rng}
  end, "odd: 3")
  check.raises(function ()
    nn.attention {inputs = 6, heads = 2, causal = true, context = 4, rng = rng}
  end, "causal")
  local layer = nn.attention {inputs = 4, heads = 2, rng = rng}
  check.raises(function () layer(peri.zeros(3, 4)) end, "batch, time, size")
  local x, m = peri.zeros(1, 3, 4), peri.ones(2, 2)
  check.raises(function () layer(x, {mask = m}) end, "mask of shape")
  check.raises(function () layer(x, {masks = m}) end, "unknown option")
end)

-- --- positions
-- -------------------------------------------------------------------------------------

check.test("rotated queries and keys know their distance only", function ()
  local rng = peri.rng(6)
  local q, k = rng:normal(1, 1, 8), rng:normal(1, 1, 8)
  local function score (i, j)
    local a, b = nn.position.rotary(q, i), nn.position.rotary(k, j)
    return (a * b):sum():item()
  end
  for _, d in ipairs {0, 1, 7} do check.close(score(3 + d, 3), score(40 + d, 40), 1e-4) end
  check.is_true(math.abs(score(3, 3) - score(4, 3)) > 1e-4)
  check.close(nn.position.rotary(q, 5):square():sum():item(), q:square():sum():item(), 1e-5)
end)

check.test("sinusoids, learned vectors and slopes", function ()
  local s = nn.position.sinusoid(50, 6):tolist()
  for t = 1, 50 do
    for i = 1, 3 do
      local angle = (t - 1) * 10000 ^ (-2 * (i - 1) / 6)
      check.close(s[t][i], math.sin(angle), 1e-5)
      check.close(s[t][i + 3], math.cos(angle), 1e-5)
    end
  end
  local learned = nn.position.learned {time = 9, size = 4, rng = peri.rng(7)}
  local x = peri.zeros(2, 3, 4)
  check.equal(learned(x, 5):slice(1, 2, 2):reshape(3, 4):tolist(),
    learned.weight:slice(1, 6, 8):tolist())
  check.raises(function () learned(x, 7) end, "positions 8 to 10, but only 9")
  local a = nn.position.alibi(4, 2, 3):tolist()
  check.close(a[1], {{-0.25, 0, -0.25}, {-0.5, -0.25, 0}}, 1e-6)
  check.close(a[4][2], {-2 / 256, -1 / 256, 0}, 1e-6)
  check.raises(function () nn.position.sinusoid(4, 3) end, "odd")
  check.raises(function () nn.position.rotary(peri.zeros(3)) end, "time, size")
end)

-- --- transformer block
-- --------------------------------------------------------------------------------

check.test("a block is causal, goes on from its cache, and trains every parameter", function ()
  local rng = peri.rng(8)
  local block = nn.transformer_block {inputs = 12, heads = 3, causal = true, rng = rng:fork "block"}
  local x = rng:normal(2, 9, 12)
  local y, cache = block(x), {}
  for t = 1, 9 do
    check.is_true(differ(block(x:slice(2, t, t), {cache = cache}), y:slice(2, t, t)) < 1e-5)
  end
  for _, g in ipairs(peri.grad(block(x):square():sum(), block)) do
    check.is_true(g:is_finite():real():min():item() == 1)
  end
  check.equal(select(2, nn.parameters(block))[1], "attention.key.bias")
  local leaf = x:clone():requires_grad(true)
  local early = block(leaf):slice(2, 1, 4):sum()
  check.equal(largest(peri.grad(early, {leaf})[1]:slice(2, 5, 9)), 0)
end)

check.test("a block with a context", function ()
  local rng = peri.rng(9)
  local block = nn.transformer_block {inputs = 8, heads = 2, context = 5, rng = rng:fork "block"}
  local x, context = rng:normal(2, 4, 8), rng:normal(2, 3, 5)
  check.equal(block(x, {context = context}).shape, {2, 4, 8})
  check.raises(function () block(x) end, "give one")
  local plain = nn.transformer_block {inputs = 8, heads = 2, rng = rng:fork "plain"}
  check.raises(function () plain(x, {context = context}) end, "without `context`")
end)

-- --- recurrent networks
-- ----------------------------------------------------------------------------------

local function recurrent_laws (kind)
  local rng = peri.rng(10)
  local net = nn[kind] {inputs = 5, hidden = 7, layers = 2, rng = rng:fork "net"}
  local x = rng:normal(3, 11, 5)
  local y, last = net(x)
  check.equal(y.shape, {3, 11, 7})
  check.equal(last[2].h:tolist(), y:slice(2, 11, 11):reshape(3, 7):tolist())

  local state                                     -- step by step
  for t = 1, 11 do
    local h
    h, state = net:step(x:slice(2, t, t):reshape(3, 5), state)
    check.is_true(differ(h, y:slice(2, t, t):reshape(3, 7)) < 1e-5)
  end
  for i = 1, 2 do
    for name, s in pairs(state[i]) do check.is_true(differ(s, last[i][name]) < 1e-5) end
  end

  local _, middle = net(x:slice(2, 1, 4))         -- in two pieces
  check.is_true(differ(net(x:slice(2, 5, 11), middle), y:slice(2, 5, 11)) < 1e-5)

  local lengths = {11, 1, 6}                      -- sequences of several lengths
  local padded, ends = net(x, nil, lengths)
  for i, n in ipairs(lengths) do
    local own, own_end = net(x:slice(1, i, i):slice(2, 1, n))
    check.is_true(differ(padded:slice(1, i, i):slice(2, 1, n), own) < 1e-5)
    if n < 11 then check.equal(largest(padded:slice(1, i, i):slice(2, n + 1, 11)), 0) end
    for layer = 1, 2 do
      for name, s in pairs(own_end[layer]) do
        check.is_true(differ(ends[layer][name]:slice(1, i, i), s) < 1e-5)
      end
    end
  end
  check.raises(function () net(x, nil, {1, 2}) end, "2 lengths for 3")
  check.raises(function () net(x, nil, {1, 2, 12}) end, "outside 1..11")
  check.raises(function () net(x, {last[1]}) end, "1 layers for a network of 2")
  check.raises(function () net(peri.zeros(3, 5)) end, "batch, time, inputs")
  check.raises(function () net(peri.zeros(3, 4, 6)) end, "6")
end

for _, kind in ipairs {"lstm", "gru", "rnn"} do
  check.test(kind .. ": steps, pieces and lengths are the whole", function ()
    recurrent_laws(kind)
  end)
end

check.test("recurrent options", function ()
  local rng = peri.rng(11)
  local net = nn.lstm {inputs = 2, hidden = 3, rng = rng, forget = 2}
  check.equal(net[1].b:tolist(), {0, 0, 0, 2, 2, 2, 0, 0, 0, 0, 0, 0})
  local square = net[1].wh:slice(2, 4, 6)
  check.close(square:matmul(square:transpose()):tolist(), {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, 1e-5)
  check.equal(select(2, nn.parameters(nn.gru {inputs = 2, hidden = 3, rng = rng})),
    {"1.b", "1.bh", "1.wh", "1.wx"})
  check.raises(function () nn.gru {inputs = 2, hidden = 0, rng = rng} end, "at least 1")
  check.raises(function ()
    nn.gru {inputs = 2, hidden = 3, forget = 1, rng = rng}
  end, "unknown option")
  check.raises(function () nn.rnn {inputs = 2, hidden = 3, activation = "x", rng = rng} end, "'x'")
end)

-- What was seen first must be told at the end: only a state carried over the gap can.
check.test("a GRU learns to remember its first input", function ()
  local rng = peri.rng(12)
  local net = {
    gru = nn.gru {inputs = 2, hidden = 16, rng = rng:fork "gru"},
    out = nn.linear {inputs = 16, outputs = 1, rng = rng:fork "out"},
  }
  local opt = peri.optim.adam(net, {lr = 0.02})
  local loss
  for step = 1, 150 do
    local _ <close> = peri.scope()
    local noise = rng:fork(tostring(step)):normal(32, 12, 2)
    local target = noise:slice(2, 1, 1):slice(3, 1, 1):reshape(32, 1)
    local _, last = net.gru(noise)
    local e = (net.out(last[1].h) - target):square():mean()
    opt:step(peri.grad(e, net))
    loss = e:item()
  end
  check.is_true(loss < 0.3)
end)

check.done()
