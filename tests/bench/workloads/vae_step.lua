-- VAE training step: forward, backward and Adam update, as in vae_step.py.

local peri = require "perigee"
local Vae = require "perigee.models.vae.gaussian"

local batch, batches, features = 100, 20, 784

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local data = rng:fork("data"):bernoulli(peri.full({batch * batches, features}, 0.5))
  local model = Vae {
    features = features, hidden = {500, 500}, latent = 20, activation = "tanh",
    rng = rng:fork "init",
  }
  local optimizer = peri.optim.adam(model, {lr = 1e-3})
  return function (n)
    for i = 0, n - 1 do
      local _ <close> = peri.scope()
      local start = i % batches * batch
      local loss = model:loss(data:slice(1, start + 1, start + batch), rng)
      optimizer:step(peri.grad(loss, model))
    end
  end
end

return workload
