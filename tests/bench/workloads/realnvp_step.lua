-- RealNVP training step on 2-D data: forward, backward and Adam update, as in realnvp_step.py.

local peri = require "perigee"

local batch, hidden, layers = 256, 64, 8

-- y2 = x2 exp(s(x1)) + t(x1), one net for s and t.
local function couple (layer, x)
  local first, second = x:slice(2, 1, 1), x:slice(2, 2, 2)
  local kept, moved = first, second
  if layer.swap then kept, moved = second, first end
  local out = layer.net(kept)
  local log_scale, shift = out:slice(2, 1, 1):tanh(), out:slice(2, 2, 2)
  moved = moved * log_scale:exp() + shift
  return peri.concat(layer.swap and {moved, kept} or {kept, moved}, 2), log_scale
end

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local data, flow = rng:normal(batch, 2), {}
  for i = 1, layers do
    flow[i] = {
      swap = i % 2 == 0,
      net = peri.nn.mlp {sizes = {1, hidden, hidden, 2}, rng = rng:fork("init." .. i)},
    }
  end
  local optimizer = peri.optim.adam(flow, {lr = 1e-3})

  local function step ()
    local _ <close> = peri.scope()
    local z, log_det = data, 0
    for i = 1, layers do
      local log_scale
      z, log_scale = couple(flow[i], z)
      log_det = log_det + log_scale
    end
    local log_prob = z:square():sum(2, true) * -0.5 - math.log(2 * math.pi) + log_det
    optimizer:step(peri.grad(-log_prob:mean(), flow))
  end

  return function (n)
    for _ = 1, n do step() end
  end
end

return workload
