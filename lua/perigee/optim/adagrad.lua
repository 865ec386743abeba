-- Adagrad (Duchi et al. 2011) and Adadelta (Zeiler 2012): steps divided by past gradients.

local core = require "perigee.core"
local options = require "perigee.options"
local Optimizer = require "perigee.optim.optimizer"

local Adagrad = Optimizer.class(function (self, gradients)
  core.fused.adagrad(self.parameters, gradients, self.slots.v, self.options)
end)

local Adadelta = Optimizer.class(function (self, gradients)
  core.fused.adadelta(self.parameters, gradients, self.slots.v, self.slots.x, self.options)
end)

local known = {
  lr = "number?", eps = "number?", start = "number?", decay = "number?", groups = "table?",
}
local known_delta = {
  lr = "number?", rho = "number?", eps = "number?", decay = "number?", groups = "table?",
}

local adagrad = {}

---v <- v + g^2;  p <- p - lr g / (sqrt(v) + eps).  v begins as `start`; decay adds decay p to the
---gradient.  lr 0.01, eps 1e-10 when absent, the others 0.
---@param target table a model, or a list of tensors or models
---@param given? {lr?: number, eps?: number, start?: number, decay?: number,
---  groups?: OptimizerGroup[]}
---@return Optimizer
function adagrad.adagrad (target, given)
  given = options.check("adagrad", given, known)
  local start = given.start or 0
  if not (start >= 0 and start < math.huge) then
    error(("adagrad: start is %g; give a finite number >= 0"):format(start), 2)
  end
  local self = Optimizer.new(Adagrad, "adagrad", target, {
    lr = given.lr or 0.01, eps = given.eps or 1e-10, decay = given.decay or 0,
  }, {"v"}, given.groups)
  for _, v in ipairs(self.slots.v) do v:assign(core.full(v.shape, start)) end
  return self
end

---v <- rho v + (1 - rho) g^2;  d = sqrt(x + eps) / sqrt(v + eps) g;  x <- rho x + (1 - rho) d^2;
---p <- p - lr d.  lr 1 as in the paper, rho 0.95, eps 1e-6 when absent.
---@param target table a model, or a list of tensors or models
---@param given? {lr?: number, rho?: number, eps?: number, decay?: number,
---  groups?: OptimizerGroup[]}
---@return Optimizer
function adagrad.adadelta (target, given)
  given = options.check("adadelta", given, known_delta)
  return Optimizer.new(Adadelta, "adadelta", target, {
    lr = given.lr or 1, rho = given.rho or 0.95, eps = given.eps or 1e-6, decay = given.decay or 0,
  }, {"v", "x"}, given.groups)
end

return adagrad
