-- Stochastic gradient descent, with momentum and Nesterov's look-ahead (Sutskever et al. 2013).

local core = require "perigee.core"
local options = require "perigee.options"
local Optimizer = require "perigee.optim.optimizer"

local Sgd = Optimizer.class(function (self, gradients)
  core.fused.sgd(self.parameters, gradients, self.slots.velocity, self.options)
end)

local known = {lr = "number?", momentum = "number?", nesterov = "boolean?", decay = "number?",
  groups = "table?"}

---u <- momentum u + g;  p <- p - lr u, with nesterov p - lr (g + momentum u).  decay adds decay p
---to the gradient.  lr 0.01 when absent, the others 0 and false.
---@param target table a model, or a list of tensors or models
---@param given? {lr?: number, momentum?: number, nesterov?: boolean, decay?: number,
---  groups?: OptimizerGroup[]}
---@return Optimizer
return function (target, given)
  given = options.check("sgd", given, known)
  local momentum = given.momentum or 0
  return Optimizer.new(Sgd, "sgd", target, {
    lr = given.lr or 0.01, momentum = momentum, nesterov = given.nesterov or false,
    decay = given.decay or 0,
  }, momentum > 0 and {"velocity"} or {}, given.groups)
end
