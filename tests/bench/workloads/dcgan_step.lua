-- DCGAN training step on 32x32 colour images: critic, then generator, as in dcgan_step.py.  Radford
-- et al. 2016 at a quarter of the width: 4x4 filters of stride 2, batch normalisation.

local peri = require "perigee"

local batch, latent, width = 32, 100, 32
local training = {train = true}

local function up (inputs, outputs, rng, given)
  return peri.nn.conv_transpose {
    inputs = inputs, outputs = outputs, size = 4, stride = given.stride, padding = given.padding,
    bias = given.bias, rng = rng,
  }
end

local function down (inputs, outputs, rng, given)
  return peri.nn.conv {
    inputs = inputs, outputs = outputs, size = 4, stride = given.stride, padding = given.padding,
    bias = given.bias, rng = rng,
  }
end

local half = {stride = 2, padding = 1, bias = false}

local function make_generator (rng)
  local net = {
    up(latent, 4 * width, rng:fork "1", {bias = false}),
    up(4 * width, 2 * width, rng:fork "2", half), up(2 * width, width, rng:fork "3", half),
    up(width, 3, rng:fork "4", {stride = 2, padding = 1}), norms = {},
  }
  for i, channels in ipairs {4 * width, 2 * width, width} do
    net.norms[i] = peri.nn.batch_norm {channels = channels}
  end
  return net
end

local function generate (net, z)
  local x = z:reshape(batch, 1, 1, latent)
  for i = 1, 3 do x = net.norms[i](net[i](x), training):relu() end
  return net[4](x):tanh()
end

local function make_critic (rng)
  local net = {
    down(3, width, rng:fork "1", {stride = 2, padding = 1}),
    down(width, 2 * width, rng:fork "2", half), down(2 * width, 4 * width, rng:fork "3", half),
    down(4 * width, 1, rng:fork "4", {}), norms = {},
  }
  for i, channels in ipairs {2 * width, 4 * width} do
    net.norms[i] = peri.nn.batch_norm {channels = channels}
  end
  return net
end

local function judge (net, x)
  x = net[1](x):leaky_relu(0.2)
  for i = 2, 3 do x = net.norms[i - 1](net[i](x), training):leaky_relu(0.2) end
  return net[4](x)
end

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local real = rng:normal(batch, 32, 32, 3):tanh():keep()
  local generator, critic = make_generator(rng:fork "generator"), make_critic(rng:fork "critic")
  local options = {lr = 2e-4, beta1 = 0.5}
  local generator_adam = peri.optim.adam(generator, options)
  local critic_adam = peri.optim.adam(critic, options)

  local function step ()
    local _ <close> = peri.scope()
    local fake = generate(generator, rng:normal(batch, latent))
    local loss = (-judge(critic, real)):softplus():mean()
      + judge(critic, fake:detach()):softplus():mean()
    critic_adam:step(peri.grad(loss, critic))
    loss = (-judge(critic, fake)):softplus():mean()
    generator_adam:step(peri.grad(loss, generator))
  end

  return function (n)
    for _ = 1, n do step() end
  end
end

return workload
