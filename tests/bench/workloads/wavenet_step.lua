-- WaveNet training step: 8 dilated causal layers on 2048 samples, as in wavenet_step.py.

local peri = require "perigee"

local batch, time, width, skip, layers, classes = 2, 2048, 32, 64, 8, 256

local function make_wavenet (rng)
  local model = {
    embed = peri.nn.embedding {count = classes, size = width, rng = rng:fork "embed"},
    mix = peri.nn.linear {inputs = skip, outputs = skip, rng = rng:fork "mix"},
    out = peri.nn.linear {inputs = skip, outputs = classes, rng = rng:fork "out"},
    layers = {},
  }
  for i = 1, layers do
    local name = "layer." .. i
    model.layers[i] = {
      conv = peri.nn.conv {
        inputs = width, outputs = 2 * width, size = 2, axes = 1, dilation = 1 << i - 1,
        padding = "causal", rng = rng:fork(name .. ".conv"),
      },
      residual = peri.nn.linear {
        inputs = width, outputs = width, rng = rng:fork(name .. ".residual"),
      },
      skip = peri.nn.linear {inputs = width, outputs = skip, rng = rng:fork(name .. ".skip")},
    }
  end
  return model
end

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local samples = rng:integers({batch, time + 1}, 1, classes)
  local seen, next_one = samples:slice(2, 1, time):clone(), samples:slice(2, 2, time + 1):clone()
  local model = make_wavenet(rng)
  local optimizer = peri.optim.adam(model, {lr = 1e-3})

  local function step ()
    local _ <close> = peri.scope()
    local x, total = model.embed(seen), 0
    for _, layer in ipairs(model.layers) do
      local both = layer.conv(x)
      local h = both:slice(3, 1, width):tanh() * both:slice(3, width + 1, -1):sigmoid()
      x, total = x + layer.residual(h), total + layer.skip(h)
    end
    local loss = model.out(model.mix(total:relu()):relu()):cross_entropy(next_one):mean()
    optimizer:step(peri.grad(loss, model))
  end

  return function (n)
    for _ = 1, n do step() end
  end
end

return workload
