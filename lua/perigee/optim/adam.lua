-- Adam (Kingma & Ba 2015, Algorithm 1), AdamW (Loshchilov & Hutter 2019, Algorithm 2), and their
-- forms AMSGrad and optimistic Adam.

local core = require "perigee.core"
local options = require "perigee.options"
local Optimizer = require "perigee.optim.optimizer"

local Adam = Optimizer.class(function (self, gradients, t)
  local s = self.slots
  core.fused.adam(self.parameters, gradients, s.m, s.v, s.top, s.last, self.options, t)
end)

local known = {
  lr = "number?", beta1 = "number?", beta2 = "number?", eps = "number?", eps_hat = "boolean?",
  amsgrad = "boolean?", optimistic = "boolean?", groups = "table?",
}
local known_decay = {decay = "number?"}
for name, types in pairs(known) do known_decay[name] = types end

local function make (what, target, given, decay)
  local slots = {"m", "v"}
  if given.amsgrad then slots[#slots + 1] = "top" end
  if given.optimistic then slots[#slots + 1] = "last" end
  return Optimizer.new(Adam, what, target, {
    lr = given.lr or 1e-3, beta1 = given.beta1 or 0.9, beta2 = given.beta2 or 0.999,
    eps = given.eps or 1e-8, eps_hat = given.eps_hat or false, decay = decay,
  }, slots, given.groups)
end

local adam = {}

---p <- p - lr m^ / (sqrt(v^) + eps).  eps_hat adds eps to sqrt(v) before its bias is corrected (the
---form at the end of the paper's section 2), which matters in early steps when eps is large.
---amsgrad divides by the largest v so far (Reddi et al. 2018); optimistic takes the step twice and
---the one before back (Daskalakis et al. 2018, Algorithm 1).  lr 1e-3, betas 0.9 and 0.999, eps
---1e-8 when absent.
---@param target table a model, or a list of tensors or models
---@param given? {lr?: number, beta1?: number, beta2?: number, eps?: number, eps_hat?: boolean,
---  amsgrad?: boolean, optimistic?: boolean, groups?: OptimizerGroup[]}
---@return Optimizer
function adam.adam (target, given)
  return make("adam", target, options.check("adam", given, known))
end

---Adam with decoupled weight decay: p <- (1 - lr decay) p before each step; decay 0.01 when absent.
---@param target table
---@param given? {lr?: number, beta1?: number, beta2?: number, eps?: number, eps_hat?: boolean,
---  amsgrad?: boolean, optimistic?: boolean, decay?: number, groups?: OptimizerGroup[]}
---@return Optimizer
function adam.adamw (target, given)
  given = options.check("adamw", given, known_decay)
  return make("adamw", target, given, given.decay or 0.01)
end

return adam
