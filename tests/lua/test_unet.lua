-- The U-Net: shapes, what it is at the start, which gradients reach what, that samples do not mix,
-- that shifts and the time are seen, and what it refuses.

local check = require "check"
local peri = require "perigee"

local nn = peri.nn

local function small (given)
  local o = {inputs = 2, width = 8, multipliers = {1, 2}, blocks = 1, groups = 4, heads = 2,
    embedding = 12, rng = peri.rng(1)}
  for k, v in pairs(given or {}) do o[k] = v end
  return nn.unet(o)
end

-- Every parameter moved off its start, where some are 0.
local function stir (net)
  local rng = peri.rng(7)
  for i, p in ipairs((nn.parameters(net))) do
    p:assign(p + rng:fork("p" .. i):normal(p.shape) * 0.1)
  end
  return net
end

local function largest (x) return x:abs():max():item() end

local shapes = {{3, 8, 2}, {3, 8, 4, 2}, {3, 4, 8, 4, 2}}

check.test("shapes over one, two and three axes, and the result is 0 at first", function ()
  for axes, shape in ipairs(shapes) do
    local net = small {axes = axes, outputs = 5, attention = {false, true}}
    local y = net(peri.rng(2):normal(shape), peri.tensor {1, 20, 300})
    local want = table.move(shape, 1, #shape, 1, {})
    want[#want] = 5
    check.equal(y.shape, want)
    check.equal(largest(y), 0)
  end
  local deep = stir(small {multipliers = {1, 1, 2, 2}, blocks = 2, axes = 1})
  check.equal(deep(peri.ones(2, 24, 2), peri.tensor {1, 2}).shape, {2, 24, 2})
  check.equal(deep(peri.ones(0, 24, 2), peri.zeros(0)).shape, {0, 24, 2})
  local flat = stir(small {multipliers = {2}})
  check.equal(flat(peri.ones(2, 3, 5, 2), peri.tensor {1, 2}).shape, {2, 3, 5, 2})
end)

check.test("gradients reach every parameter, added or as scale and shift", function ()
  for _, scale_shift in ipairs {false, true} do
    for axes = 1, 2 do
      local net = stir(small {attention = {true, true}, scale_shift = scale_shift, axes = axes})
      local x = peri.rng(2):normal(shapes[axes])
      local y = net(x, peri.tensor {1, 20, 300})
      local names = select(2, nn.parameters(net))
      for i, g in ipairs(peri.grad((y * peri.rng(3):normal(y.shape)):sum(), net)) do
        -- the softmax cancels a shift of all its keys
        local least = names[i]:find "embed.bias" and g:abs():min():item() or largest(g)
        if not names[i]:find "key.bias" and least == 0 then
          error("nothing reaches " .. names[i])
        end
      end
    end
  end
end)

check.test("samples do not mix, and every place sees every place through attention", function ()
  local net = stir(small {attention = {false, true}})
  local t = peri.tensor {5, 50, 500}
  local x = peri.rng(2):normal(3, 8, 8, 2):requires_grad(true)
  local y = net(x, t)
  local g = peri.grad(y:slice(1, 2, 2):slice(2, 1, 1):slice(3, 1, 1):square():sum(), x)[1]
  check.equal(largest(g:slice(1, 1, 1)), 0)
  check.equal(largest(g:slice(1, 3, 3)), 0)
  check.is_true(g:slice(1, 2, 2):abs():max(-1):min():item() > 0)
  local alone = net(x:slice(1, 3, 3), t:slice(1, 3, 3))
  check.close(alone:tolist(), y:slice(1, 3, 3):tolist(), 1e-4)
end)

check.test("the embedding of the time is what the net makes of a time", function ()
  for _, scale_shift in ipairs {false, true} do
    local net = stir(small {scale_shift = scale_shift})
    local x, t = peri.rng(2):normal(3, 4, 4, 2), peri.tensor {5, 50, 500}
    local y = net(x, t)
    check.equal(net(x, net:embed(t)):tolist(), y:tolist())
    check.is_true(largest(net(x, t + 3) - y) > 1e-3)
    local class = nn.embedding {count = 4, size = 12, rng = peri.rng(3)}
    local label = peri.tensor({1, 2, 2}, "index")
    check.is_true(largest(net(x, net:embed(t) + class(label)) - y) > 1e-3)
  end
end)

check.test("a residual block is its formula", function ()
  for _, scale_shift in ipairs {false, true} do
    local net = stir(small {scale_shift = scale_shift})
    local block, rng = net.down[2].blocks[1], peri.rng(4)
    local x, e = rng:normal(3, 4, 4, 8), rng:normal(3, 12)
    local h, told = block.conv1(block.norm1(x):silu()), block.embed(e):reshape(3, 1, 1, -1)
    if scale_shift then
      h = block.norm2(h) * (1 + told:slice(4, 1, 16)) + told:slice(4, 17, 32)
    else
      h = block.norm2(h + told)
    end
    check.close(block(x, e):tolist(), (block.short(x) + block.conv2(h:silu())):tolist(), 1e-6)
  end
end)

check.test("the middle attends when a level does, or as it is told", function ()
  check.is_true(small().middle.attention == nil)
  check.is_true(small {attention = {false, true}}.middle.attention ~= nil)
  check.is_true(small {attention = {false, true, false}}.middle.attention == nil)
  check.is_true(small {attention = {false, false, true}}.middle.attention ~= nil)
  local a = small {resolutions = {8}, size = 16}
  local b = small {attention = {false, true}}
  check.equal(select(2, nn.parameters(a)), select(2, nn.parameters(b)))
end)

check.test("dropout takes a stream or false", function ()
  local net = stir(small {dropout = 0.5})
  local x, t = peri.rng(2):normal(2, 4, 4, 2), peri.tensor {5, 50}
  check.equal(net(x, t, false):tolist(), net(x, t, false):tolist())
  check.is_true(largest(net(x, t, peri.rng(1)) - net(x, t, false)) > 0)
  check.equal(net(x, t, peri.rng(1)):tolist(), net(x, t, peri.rng(1)):tolist())
  check.raises(function () net(x, t) end, "stream to train or false")
end)

check.test("a loaded net is the saved one, and training lowers the loss", function ()
  local net, other = stir(small()), small {rng = peri.rng(9)}
  local x, t = peri.rng(2):normal(4, 4, 4, 2), peri.tensor {1, 2, 3, 4}
  nn.load(other, nn.state(net))
  check.equal(other(x, t):tolist(), net(x, t):tolist())
  local start = small()
  local opt, first, last = peri.optim.adam(start, {lr = 0.01}), nil, nil
  for _ = 1, 40 do
    local _ <close> = peri.scope()
    local loss = (start(x, t) - x):square():mean()
    opt:step(peri.grad(loss, start))
    last = loss:item()
    first = first or last
  end
  check.is_true(last < 0.5 * first)
end)

check.test("bad input is refused before anything runs", function ()
  local net, t = small(), peri.tensor {1, 2}
  local function refuses (pattern, ...)
    local given = table.pack(...)
    check.raises(function () net(table.unpack(given)) end, pattern)
  end
  refuses("x is %(2, 4, 7, 2%); 2 levels want spatial sizes that divide by 2",
    peri.ones(2, 4, 7, 2), t)
  refuses("x is %(2, 4, 4, 3%); want %(batch, height, width, 2%)", peri.ones(2, 4, 4, 3), t)
  refuses("x is %(2, 4, 2%)", peri.ones(2, 4, 2), t)
  refuses("x is a nil", nil, t)
  refuses("sizes that divide", peri.ones(2, 0, 4, 2), t)
  refuses("t is a number for x", peri.ones(2, 4, 4, 2), 3)
  refuses("t is %(3%) for x %(2, 4, 4, 2%); want %(batch%) or %(batch, 12%)",
    peri.ones(2, 4, 4, 2), peri.ones(3))
  refuses("t is %(2, 5%)", peri.ones(2, 4, 4, 2), peri.ones(2, 5))
  check.raises(function () net:embed(peri.ones(2, 3)) end, "t is %(2, 3%)")
end)

check.test("bad options name the option", function ()
  for _, case in ipairs {
    {{groups = 3}, "groups = 3 does not divide width = 8"}, {{width = 7, groups = 1}, "is odd"},
    {{blocks = 0}, "blocks = 0"}, {{axes = 4}, "axes = 4"}, {{dropout = 1}, "dropout = 1"},
    {{multipliers = {}}, "multipliers is empty"}, {{multipliers = {1, 0.5}}, "multipliers%[2%]"},
    {{attention = {true}}, "1 entries for 2 levels"}, {{attention = {1, true}}, "true or false"},
    {{attention = {true, true}, resolutions = {4}}, "give one"}, {{resolutions = {4}}, "say size"},
    {{resolutions = {5}, size = 8}, "no level of 2 has resolution 5"},
    {{heads = 3, attention = {false, true}}, "heads = 3 does not divide 16"},
    {{embedding = 0}, "embedding = 0"}, {{outputs = 0}, "outputs = 0"},
    {{wide = 3}, "unknown option"},
  } do
    local ok, message = pcall(small, case[1])
    check.is_true(not ok)
    check.is_true(not message:find "\n")
    check.raises(function () small(case[1]) end, case[2])
  end
end)

check.done()
