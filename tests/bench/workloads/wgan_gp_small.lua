-- WGAN-GP critic step with gradient penalty, as in wgan_gp_small.py.

local peri = require "perigee"

local batch, hidden, penalty = 256, 128, 10

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local real, fake = rng:normal(batch, 2), rng:normal(batch, 2) + 1
  local critic = peri.nn.mlp {
    sizes = {2, hidden, hidden, 1}, activation = "leaky_relu", rng = rng:fork "init",
    weight = peri.nn.initialiser.xavier_uniform(),
  }
  local optimizer = peri.optim.adam(critic, {lr = 1e-4, beta1 = 0, beta2 = 0.9})

  local function step ()
    local _ <close> = peri.scope()
    local t = rng:uniform(batch, 1)
    local between = (real * t + fake * (1 - t)):requires_grad(true)
    local slope = peri.grad(critic(between):sum(), {between}, {create_graph = true})[1]
    local norm = (slope:square():sum(2) + 1e-12):sqrt()
    local loss = critic(fake):mean() - critic(real):mean() + (norm - 1):square():mean() * penalty
    optimizer:step(peri.grad(loss, critic))
  end

  return function (n)
    for _ = 1, n do step() end
  end
end

return workload
