-- Lion (Chen et al. 2023, Algorithm 2): the sign of a moving average, with decoupled weight decay.

local core = require "perigee.core"
local options = require "perigee.options"
local Optimizer = require "perigee.optim.optimizer"

local Lion = Optimizer.class(function (self, gradients)
  core.fused.lion(self.parameters, gradients, self.slots.m, self.options)
end)

local known = {
  lr = "number?", beta1 = "number?", beta2 = "number?", decay = "number?", groups = "table?",
}

---p <- (1 - lr decay) p - lr sign(beta1 m + (1 - beta1) g);  m <- beta2 m + (1 - beta2) g.
---lr 1e-4, betas 0.9 and 0.99, decay 0 when absent; lr wants to be 3 to 10 times below Adam's.
---@param target table a model, or a list of tensors or models
---@param given? {lr?: number, beta1?: number, beta2?: number, decay?: number,
---  groups?: OptimizerGroup[]}
---@return Optimizer
return function (target, given)
  given = options.check("lion", given, known)
  return Optimizer.new(Lion, "lion", target, {
    lr = given.lr or 1e-4, beta1 = given.beta1 or 0.9, beta2 = given.beta2 or 0.99,
    decay = given.decay or 0,
  }, {"m"}, given.groups)
end
