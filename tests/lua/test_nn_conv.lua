-- Convolutional layers: what they see, how they begin, their shapes, their masks, and what they
-- refuse.

local check = require "check"
local peri = require "perigee"

local nn = peri.nn

-- Which positions of x the sum of a part of the result depends on: the gradient is exactly 0
-- elsewhere.
local function seen_by (net, shape, part)
  local x = peri.rng(5):normal(shape):requires_grad(true)
  return peri.grad(part(net(x)):sum(), x)[1]
end

check.test("a layer is the operation with its weight and bias", function ()
  local rng = peri.rng(1)
  local layer = nn.conv {
    inputs = 2, outputs = 4, size = {3, 2}, stride = {2, 1}, padding = {{1, 0}, 2},
    dilation = {1, 2}, groups = 2, rng = rng, bias = nn.initialiser.normal(),
  }
  local x = rng:normal(2, 7, 5, 2)
  local y = peri.conv(x, layer.weight, layer.bias, {
    stride = {2, 1}, padding = {{1, 0}, 2}, dilation = {1, 2}, groups = 2})
  check.equal(layer(x):tolist(), y:tolist())
  check.equal(layer.weight.shape, {3, 2, 1, 4})
  check.equal(select(2, nn.parameters(layer)), {"bias", "weight"})
  check.equal(nn.count(nn.conv {inputs = 2, outputs = 4, size = 3, rng = rng, bias = false}), 72)
end)

check.test("shapes over one, two and three axes", function ()
  local rng = peri.rng(2)
  for axes, shape in ipairs {{2, 9, 3}, {2, 9, 8, 3}, {2, 9, 8, 5, 3}} do
    local same = nn.conv {
      inputs = 3, outputs = 5, size = 3, axes = axes, padding = "same", rng = rng,
    }
    local want = table.move(shape, 1, #shape, 1, {})
    want[#want] = 5
    check.equal(same(rng:normal(shape)).shape, want)
    local up = nn.conv_transpose {
      inputs = 3, outputs = 2, size = 4, stride = 2, padding = 1, axes = axes, rng = rng,
    }
    for i = 2, #want do want[i] = 2 * shape[i] end
    want[#want] = 2
    check.equal(up(rng:normal(shape)).shape, want)
    check.equal(up.weight.shape[axes + 1], 2)
  end
end)

check.test("weights have the variance of their group's fans", function ()
  local init = nn.initialiser.lecun_normal()
  local function variance (x) return (x * x):mean():item() end
  local groups = nn.conv {
    inputs = 32, outputs = 64, size = 5, groups = 4, weight = init, rng = peri.rng(3),
  }
  check.close(variance(groups.weight) * 25 * 8, 1, 5 * math.sqrt(2 / groups.weight:count()))
  local back = nn.conv_transpose {
    inputs = 64, outputs = 16, size = 5, groups = 2, weight = init, rng = peri.rng(4),
  }
  check.equal(back.weight.shape, {5, 5, 8, 64})
  check.close(variance(back.weight) * 25 * 32, 1, 5 * math.sqrt(2 / back.weight:count()))
end)

-- 1 + the sum of (size - 1) dilation: Yu & Koltun 2016.
check.test("a stack of dilated causal layers sees its field, all of it before", function ()
  local layers, rng, field = {}, peri.rng(5), 1
  for i, dilation in ipairs {1, 2, 4} do
    layers[i] = nn.conv {
      inputs = 1, outputs = 1, size = 2, axes = 1, dilation = dilation, padding = "causal",
      rng = rng:fork(tostring(i)),
    }
    field = field + dilation
  end
  local function net (x)
    for _, layer in ipairs(layers) do x = layer(x) end
    return x
  end
  local seen = seen_by(net, {1, 20, 1}, function (y) return y:slice(2, 15, 15) end):tolist()[1]
  for t = 1, 20 do check.equal(seen[t][1] ~= 0, t <= 15 and t > 15 - field) end
end)

-- A masked net over colours as PixelCNN has it: type A first, then B.
local function pixel_net (colours, width)
  local rng = peri.rng(6)
  local function layer (i, inputs, outputs, size, type)
    return nn.conv {
      inputs = inputs, outputs = outputs, size = size, padding = "same", rng = rng:fork(i),
      mask = nn.pixel_mask {
        size = size, inputs = inputs, outputs = outputs, type = type, colours = colours,
      },
    }
  end
  local first = layer("1", colours, width, 5, "A")
  local rest = {layer("2", width, width, 3, "B"), layer("3", width, 2 * colours, 1, "B")}
  return function (x)
    x = first(x)
    for _, l in ipairs(rest) do x = l(x:tanh()) end
    return x
  end
end

check.test("masked convolutions see earlier pixels and colours alone", function ()
  local rows, columns, row, column = 7, 6, 4, 3
  for _, colours in ipairs {1, 3} do
    local net = pixel_net(colours, 6 * colours)
    for colour = 1, colours do
      local g = seen_by(net, {1, rows, columns, colours}, function (y)
        return y:slice(2, row, row):slice(3, column, column):slice(4, 2 * colour - 1, 2 * colour)
      end):tolist()[1]
      for i = 1, rows do
        for j = 1, columns do
          for c = 1, colours do
            local before = i < row or (i == row and (j < column or (j == column and c < colour)))
            local near = math.abs(i - row) <= 1 and math.abs(j - column) <= 1
            if not before then check.equal(g[i][j][c], 0)
            elseif near then check.is_true(g[i][j][c] ~= 0) end
          end
        end
      end
    end
  end
end)

check.test("a mask stays while the weight learns", function ()
  local mask = nn.pixel_mask {size = 3, inputs = 1, outputs = 2, type = "A"}
  check.equal(mask:sum():item(), 8)
  local layer = nn.conv {
    inputs = 1, outputs = 2, size = 3, padding = 1, rng = peri.rng(7), mask = mask,
  }
  local x = peri.rng(8):normal(2, 5, 5, 1)
  local g = peri.grad(layer(x):square():sum(), {layer.weight})[1]
  check.equal((g * (1 - mask)):abs():max():item(), 0)
  check.is_true((g:abs() + (1 - mask)):min():item() > 0)
  check.equal(#nn.parameters(layer), 2)
  check.is_true(nn.state(layer).mask ~= nil)
end)

check.test("padding of other kinds is that of the operation pad", function ()
  if not peri.pad then return end
  local rng = peri.rng(9)
  local x = rng:normal(2, 6, 5, 2)
  for _, mode in ipairs {"reflect", "replicate", "circular"} do
    local layer = nn.conv {
      inputs = 2, outputs = 3, size = 3, padding = "same", mode = mode, rng = rng,
    }
    local padded = peri.pad(peri.pad(x, 2, 1, 1, mode), 3, 1, 1, mode)
    check.equal(layer(x):tolist(), peri.conv(padded, layer.weight, layer.bias):tolist())
  end
end)

check.test("bad options", function ()
  local rng = peri.rng(10)
  local function bad (pattern, given)
    given.rng = rng
    check.raises(function () nn.conv(given) end, pattern)
  end
  bad("inputs = 3 does not divide into groups = 2", {inputs = 3, outputs = 2, size = 3, groups = 2})
  bad("outputs = 0", {inputs = 3, outputs = 0, size = 3})
  bad("size = 0; want integers of at least 1", {inputs = 3, outputs = 2, size = 0})
  bad("stride has 3 entries for 2", {inputs = 3, outputs = 2, size = 3, stride = {1, 1, 1}})
  bad("4 spatial axes", {inputs = 3, outputs = 2, size = {1, 1, 1, 1}})
  bad("padding = 'full'", {inputs = 3, outputs = 2, size = 3, padding = "full"})
  bad("mode = 'mirror'", {inputs = 3, outputs = 2, size = 3, mode = "mirror"})
  bad("mask has shape %(2%) and the weight %(3, 3, 3, 2%)",
    {inputs = 3, outputs = 2, size = 3, mask = peri.ones(2)})
  bad("unknown option 'kernel'", {inputs = 3, outputs = 2, kernel = 3})
  check.raises(function () nn.pixel_mask {size = 4, inputs = 1, outputs = 1, type = "A"} end, "odd")
  check.raises(function ()
    nn.pixel_mask {size = 3, inputs = 1, outputs = 1, type = "C"}
  end, "type")
  check.raises(function ()
    nn.pixel_mask {size = 3, inputs = 4, outputs = 3, type = "A", colours = 3}
  end, "inputs = 4 does not divide into colours = 3")
  check.raises(function ()
    nn.conv_transpose {inputs = 1, outputs = 1, size = 3, output_padding = -1, rng = rng}
  end, "output_padding = %-1")
  check.raises(function ()
    peri.conv(peri.ones(1, 4, 1), peri.ones(2, 1, 1), nil, {stride = 0})
  end, "stride = 0")
end)

check.done()
