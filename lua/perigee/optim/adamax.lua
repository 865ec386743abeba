-- Adamax (Kingma & Ba 2015, Algorithm 2): Adam with the largest gradient in place of the root mean
-- square.

local core = require "perigee.core"
local options = require "perigee.options"
local Optimizer = require "perigee.optim.optimizer"

local Adamax = Optimizer.class(function (self, gradients, t)
  core.fused.adamax(self.parameters, gradients, self.slots.m, self.slots.u, self.options, t)
end)

local known = {
  lr = "number?", beta1 = "number?", beta2 = "number?", eps = "number?", decay = "number?",
  groups = "table?",
}

---m <- beta1 m + (1 - beta1) g;  u <- max(beta2 u, |g|);
---p <- p - lr / (1 - beta1^t) m / (u + eps).  decay adds decay p to the gradient.
---lr 2e-3, betas 0.9 and 0.999, eps 1e-8 when absent.
---@param target table a model, or a list of tensors or models
---@param given? {lr?: number, beta1?: number, beta2?: number, eps?: number, decay?: number,
---  groups?: OptimizerGroup[]}
---@return Optimizer
return function (target, given)
  given = options.check("adamax", given, known)
  return Optimizer.new(Adamax, "adamax", target, {
    lr = given.lr or 2e-3, beta1 = given.beta1 or 0.9, beta2 = given.beta2 or 0.999,
    eps = given.eps or 1e-8, decay = given.decay or 0,
  }, {"m", "u"}, given.groups)
end
