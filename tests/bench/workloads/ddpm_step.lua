-- DDPM training step: U-Net on 32x32 colour images with attention at 16x16, as in ddpm_step.py.  Ho
-- et al. 2020 at 32 channels: group normalisation, SiLU, two levels, one residual block each way.

local peri = require "perigee"

local batch, width, embed, groups, heads, steps = 8, 32, 128, 8, 4, 1000

local function conv (inputs, outputs, rng, stride)
  return peri.nn.conv {
    inputs = inputs, outputs = outputs, size = 3, stride = stride, padding = 1, rng = rng,
  }
end

local function affine (inputs, outputs, rng)
  return peri.nn.linear {inputs = inputs, outputs = outputs, rng = rng}
end

local function norm (channels)
  return peri.nn.group_norm {channels = channels, groups = groups}
end

local function make_residual (inputs, outputs, rng)
  return {
    norm1 = norm(inputs), norm2 = norm(outputs), time = affine(embed, outputs, rng:fork "time"),
    conv1 = conv(inputs, outputs, rng:fork "1"), conv2 = conv(outputs, outputs, rng:fork "2"),
    short = inputs ~= outputs and affine(inputs, outputs, rng:fork "short") or nil,
  }
end

local function residual (net, x, t)
  local h = net.conv1(net.norm1(x):silu()) + net.time(t):reshape(batch, 1, 1, -1)
  return (net.short and net.short(x) or x) + net.conv2(net.norm2(h):silu())
end

local function make_attention (channels, rng)
  return {
    norm = norm(channels),
    attention = peri.nn.attention {inputs = channels, heads = heads, rng = rng},
  }
end

local function attend (net, x)
  local b, h, w, c = table.unpack(x.shape)
  return x + net.attention(net.norm(x):reshape(b, h * w, c)):reshape(b, h, w, c)
end

local function make_unet (rng)
  local c = width
  return {
    time1 = affine(c, embed, rng:fork "time1"), time2 = affine(embed, embed, rng:fork "time2"),
    first = conv(3, c, rng:fork "first"), last = conv(c, 3, rng:fork "last"), norm = norm(c),
    down1 = make_residual(c, c, rng:fork "down1"), pool = conv(c, c, rng:fork "pool", 2),
    down2 = make_residual(c, 2 * c, rng:fork "down2"),
    attend1 = make_attention(2 * c, rng:fork "attend1"),
    middle = make_residual(2 * c, 2 * c, rng:fork "middle"),
    up2 = make_residual(4 * c, 2 * c, rng:fork "up2"),
    attend2 = make_attention(2 * c, rng:fork "attend2"),
    grow = conv(2 * c, 2 * c, rng:fork "grow"), up1 = make_residual(3 * c, c, rng:fork "up1"),
  }
end

local function predict (net, x, t, rates)
  local angle = t:real():reshape(batch, 1) * rates
  t = peri.concat({angle:sin(), angle:cos()}, 2)
  t = net.time2(net.time1(t):silu()):silu()
  local h1 = residual(net.down1, net.first(x), t)
  local h2 = attend(net.attend1, residual(net.down2, net.pool(h1), t))
  local h = residual(net.middle, h2, t)
  h = attend(net.attend2, residual(net.up2, peri.concat({h, h2}, -1), t))
  h = net.grow(h:resize({32, 32}, "nearest"))
  h = residual(net.up1, peri.concat({h, h1}, -1), t)
  return net.last(net.norm(h):silu())
end

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local data, net = rng:normal(batch, 32, 32, 3), make_unet(rng:fork "init")
  local optimizer = peri.optim.adam(net, {lr = 2e-4})
  local half = width // 2
  local rates = ((peri.arange(half):real() - 1) * (-math.log(10000) / half)):exp()
  local betas = (peri.arange(steps):real() - 1) * ((0.02 - 1e-4) / (steps - 1)) + 1e-4
  local kept = (1 - betas):cumprod()

  local function step ()
    local _ <close> = peri.scope()
    local t, noise = rng:integers({batch}, 1, steps), rng:normal(batch, 32, 32, 3)
    local signal = kept:index_select(t):reshape(batch, 1, 1, 1)
    local x = signal:sqrt() * data + (1 - signal):sqrt() * noise
    local loss = (predict(net, x, t, rates) - noise):square():mean()
    optimizer:step(peri.grad(loss, net))
  end

  return function (n)
    for _ = 1, n do step() end
  end
end

return workload
