-- RMSProp (Tieleman & Hinton 2012, lecture 6.5), plain or centered (Graves 2013, eq. 38-45).

local core = require "perigee.core"
local options = require "perigee.options"
local Optimizer = require "perigee.optim.optimizer"

local Rmsprop = Optimizer.class(function (self, gradients)
  local s = self.slots
  core.fused.rmsprop(self.parameters, gradients, s.v, s.mean, s.velocity, self.options)
end)

local known = {
  lr = "number?", rho = "number?", eps = "number?", momentum = "number?", centered = "boolean?",
  eps_inside = "boolean?", decay = "number?", groups = "table?",
}

---v <- rho v + (1 - rho) g^2;  p <- p - lr g / (sqrt(v) + eps).  centered subtracts the square of
---the mean gradient from v; eps_inside moves eps under the root; momentum gathers the steps;
---decay adds decay p to the gradient.  lr 1e-3, rho 0.9, eps 1e-8 when absent.
---@param target table a model, or a list of tensors or models
---@param given? {lr?: number, rho?: number, eps?: number, momentum?: number, centered?: boolean,
---  eps_inside?: boolean, decay?: number, groups?: OptimizerGroup[]}
---@return Optimizer
return function (target, given)
  given = options.check("rmsprop", given, known)
  local slots, momentum = {"v"}, given.momentum or 0
  if given.centered then slots[#slots + 1] = "mean" end
  if momentum > 0 then slots[#slots + 1] = "velocity" end
  return Optimizer.new(Rmsprop, "rmsprop", target, {
    lr = given.lr or 1e-3, rho = given.rho or 0.9, eps = given.eps or 1e-8, momentum = momentum,
    decay = given.decay or 0, eps_inside = given.eps_inside or false,
  }, slots, given.groups)
end
