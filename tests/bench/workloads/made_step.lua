-- MADE training step: masked 784-500-784, forward, backward and Adam update, as in made_step.py.

local peri = require "perigee"

local batch, features, hidden = 100, 784, 500

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local data = rng:fork("data"):bernoulli(peri.full({batch, features}, 0.5))
  local model = peri.nn.made {features = features, hidden = {hidden}, rng = rng:fork "init"}
  local optimizer = peri.optim.adam(model, {lr = 1e-3})
  return function (n)
    for _ = 1, n do
      local _ <close> = peri.scope()
      local logits = model(data):reshape(batch, features)
      local loss = logits:bce_logits(data):sum() / batch
      optimizer:step(peri.grad(loss, model))
    end
  end
end

return workload
