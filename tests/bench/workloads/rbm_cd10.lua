-- RBM update by contrastive divergence with ten Gibbs steps: 784-500, as in rbm_cd10.py.

local peri = require "perigee"

local batch, visible, hidden, steps, rate = 100, 784, 500, 10, 0.01

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local data = rng:fork("data"):bernoulli(peri.full({batch, visible}, 0.5))
  local rbm = {
    b = peri.nn.parameter(peri.zeros(visible)), c = peri.nn.parameter(peri.zeros(hidden)),
    w = peri.nn.parameter(rng:normal(visible, hidden) * 0.01),
  }
  local optimizer = peri.optim.sgd(rbm, {lr = rate})

  local function step ()
    local _ <close> = peri.scope()
    local w, b, c = rbm.w, rbm.b, rbm.c
    local positive = data:dense(w, c, "sigmoid")
    local h, v = rng:bernoulli(positive), nil
    for _ = 1, steps do
      v = h:gibbs(w:transpose(), b, rng:uniform(batch, visible))
      h = v:gibbs(w, c, rng:uniform(batch, hidden))
    end
    local negative = v:dense(w, c, "sigmoid")
    optimizer:step {
      (v - data):mean(1), (negative - positive):mean(1),
      (v:transpose():matmul(negative) - data:transpose():matmul(positive)) / batch,
    }
  end

  return function (n)
    for _ = 1, n do peri.no_grad(step) end
  end
end

return workload
