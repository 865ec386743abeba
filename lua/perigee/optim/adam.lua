-- Adam (Kingma & Ba 2015, Algorithm 1) and AdamW (Loshchilov & Hutter 2019, Algorithm 2).

local core = require "perigee.core"
local options = require "perigee.options"
local Optimizer = require "perigee.optim.optimizer"

local Adam = Optimizer.class(function (self, gradients, t)
  core.fused.adam(self.parameters, gradients, self.slots.m, self.slots.v, self.options, t)
end)

local known = {
  lr = "number?", beta1 = "number?", beta2 = "number?", eps = "number?", eps_hat = "boolean?",
}
local known_decay = {decay = "number?"}
for name, types in pairs(known) do known_decay[name] = types end

local function make (what, target, given, decay)
  return Optimizer.new(Adam, what, target, {
    lr = given.lr or 1e-3, beta1 = given.beta1 or 0.9, beta2 = given.beta2 or 0.999,
    eps = given.eps or 1e-8, eps_hat = given.eps_hat or false, decay = decay,
  }, {"m", "v"})
end

local adam = {}

---p <- p - lr m^ / (sqrt(v^) + eps).  eps_hat adds eps to sqrt(v) before its bias is corrected (the
---form at the end of the paper's section 2), which matters in early steps when eps is large.
---@param target table a model, or a list of tensors or models
---@param given? {lr?: number, beta1?: number, beta2?: number, eps?: number, eps_hat?: boolean}
---@return Optimizer
function adam.adam (target, given)
  return make("adam", target, options.check("adam", given, known), 0)
end

---Adam with decoupled weight decay: p <- (1 - lr decay) p before each step; decay 0.01 when absent.
---@param target table
---@param given? {lr?: number, beta1?: number, beta2?: number, eps?: number, eps_hat?: boolean,
---  decay?: number}
---@return Optimizer
function adam.adamw (target, given)
  given = options.check("adamw", given, known_decay)
  return make("adamw", target, given, given.decay or 0.01)
end

return adam
