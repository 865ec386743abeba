-- The variational autoencoder with a diagonal Gaussian posterior and a standard normal prior
-- (Kingma & Welling 2014).  Its likelihood estimates are in bounds.lua.

local bounds = require "perigee.models.vae.bounds"
local core = require "perigee.core"
local dist = require "perigee.dist"
local nn = require "perigee.nn"
local options = require "perigee.options"

local prior = bounds.prior

---@class VaeGaussian
---@field encoder {body?: Mlp, mean: Linear, log_scale: Linear}
---@field decoder Mlp
---@field latent integer
---@field likelihood fun(y: userdata): table decoder output -> distribution of x
local Vae = {}
Vae.__index = Vae

---q(z | x).
---@param x userdata (batch, features)
---@return Normal (batch, latent)
function Vae:encode (x)
  local h = self.encoder.body and self.encoder.body(x) or x
  local log_scale = self.encoder.log_scale(h)
  return dist.normal(self.encoder.mean(h), log_scale:exp(), log_scale)
end

---p(x | z), element by element.
---@param z userdata (..., latent)
---@return table a distribution of shape (..., features)
function Vae:decode (z)
  return self.likelihood(self.decoder(z))
end

---The negative bound in nats an image, from one draw of z: rec = -E_q log p(x | z) and
---kl = KL(q(z | x) || p(z)).  Kingma & Welling 2014, eq. 7 and 10.
---@param x userdata (batch, features)
---@param rng userdata
---@return userdata loss ()
---@return {rec: userdata, kl: userdata} terms
function Vae:loss (x, rng)
  local q, share = self:encode(x), 1 / x.shape[1]
  local rec = self:decode(q:rsample(rng)):log_prob(x):sum() * -share
  local kl = dist.kl(q, prior):sum() * share
  return rec + kl, {rec = rec, kl = kl}
end

Vae.log_prob = bounds.log_prob
Vae.elbo = bounds.elbo

---Images of latent draws: the means of p(x | z), or with `draw` draws from it.
---@param n integer
---@param rng userdata
---@param given? {draw?: boolean}
---@return userdata (n, features)
function Vae:sample (n, rng, given)
  given = options.check("sample", given, {draw = "boolean?"})
  return core.no_grad(function ()
    local p = self:decode(rng:normal(n, self.latent))
    return given.draw and p:sample(rng) or p.mean
  end)
end

---The mean of p(x | z) at a draw of q(z | x), or without rng at its mean.
---@param x userdata (batch, features)
---@param rng? userdata
---@return userdata (batch, features)
function Vae:reconstruct (x, rng)
  return core.no_grad(function ()
    local q = self:encode(x)
    return self:decode(rng and q:rsample(rng) or q.mean).mean
  end)
end

-- The bias that makes an untrained decoder answer the data's mean, as in the authors' code for
-- Burda et al. 2016.
local function start_at_mean (decoder, mean)
  local _ <close> = core.scope()
  local p = mean:detach():clamp(0.001, 0.999)
  local bias = decoder[#decoder].bias
  if mean:count() ~= bias:count() then
    error(("vae: data_mean has %d entries; give %d"):format(mean:count(), bias:count()), 3)
  end
  bias:assign((p / (1 - p)):log():reshape(bias.shape))
end

local known = {
  features = "integer", latent = "integer?", hidden = "table?", activation = "string|function?",
  data_mean = "tensor?", likelihood = "function?", rng = "rng",
}

---VAE { features = 784, rng = rng:fork "init" } hidden lists the encoder's widths ({200, 200} when
---absent, {} for an affine encoder), the decoder's are the same in reverse; latent is 50 and
---activation tanh when absent.  likelihood makes a distribution of the decoder's output, Bernoulli
---by logits when absent; data_mean (features) in [0, 1] sets the output bias for it.
---@param given {features: integer, latent?: integer, hidden?: integer[], rng: userdata,
---  activation?: string|function, data_mean?: userdata, likelihood?: fun(y: userdata): table}
---@return VaeGaussian
return function (given)
  local o = options.check("vae", given, known)
  local hidden, latent, activation = o.hidden or {200, 200}, o.latent or 50, o.activation or "tanh"
  local up, down = {o.features}, {latent}
  for i, width in ipairs(hidden) do
    up[i + 1], down[i + 1] = width, hidden[#hidden + 1 - i]
  end
  down[#down + 1] = o.features
  local self = {latent = latent, likelihood = o.likelihood or dist.bernoulli, encoder = {}}
  if #hidden > 0 then
    self.encoder.body = nn.mlp {
      sizes = up, activation = activation, output = activation, rng = o.rng:fork "encoder",
    }
  end
  for _, name in ipairs {"mean", "log_scale"} do
    self.encoder[name] = nn.linear {
      inputs = up[#up], outputs = latent, rng = o.rng:fork("encoder." .. name),
    }
  end
  self.decoder = nn.mlp {sizes = down, activation = activation, rng = o.rng:fork "decoder"}
  if o.data_mean then start_at_mean(self.decoder, o.data_mean) end
  return setmetatable(self, Vae)
end
