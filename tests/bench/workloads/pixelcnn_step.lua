-- PixelCNN training step on 28x28 binary images, as in pixelcnn_step.py.  A 7x7 convolution of mask
-- A, five residual blocks (1x1 to half, 3x3 of mask B, 1x1 back), two 1x1 convolutions; van den
-- Oord et al. 2016, figure 5.

local peri = require "perigee"

local batch, size, width, blocks = 16, 28, 64, 5

local function masked (kind, inputs, outputs, filter, rng)
  return peri.nn.conv {
    inputs = inputs, outputs = outputs, size = filter, padding = "same", rng = rng,
    mask = peri.nn.pixel_mask {size = filter, inputs = inputs, outputs = outputs, type = kind},
  }
end

local function make_pixelcnn (rng)
  local function affine (inputs, outputs, name)
    return peri.nn.linear {inputs = inputs, outputs = outputs, rng = rng:fork(name)}
  end
  local half, model = width // 2, {
    first = masked("A", 1, width, 7, rng:fork "first"), blocks = {},
    mix = affine(width, width, "mix"), out = affine(width, 1, "out"),
  }
  for i = 1, blocks do
    model.blocks[i] = {
      down = affine(width, half, "down." .. i), up = affine(half, width, "up." .. i),
      mix = masked("B", half, half, 3, rng:fork("mix." .. i)),
    }
  end
  return model
end

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local data = rng:bernoulli(peri.full({batch, size, size, 1}, 0.5))
  local model = make_pixelcnn(rng)
  local optimizer = peri.optim.adam(model, {lr = 1e-3})

  local function step ()
    local _ <close> = peri.scope()
    local x = model.first(data)
    for _, block in ipairs(model.blocks) do
      x = x + block.up(block.mix(block.down(x:relu()):relu()):relu())
    end
    local logits = model.out(model.mix(x:relu()):relu())
    optimizer:step(peri.grad(logits:bce_logits(data):sum() / batch, model))
  end

  return function (n)
    for _ = 1, n do step() end
  end
end

return workload
