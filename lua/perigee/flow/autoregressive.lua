-- Autoregressive layers: feature i changes by what the features before it say.

local check = require "perigee.flow.check"
local choose = require "perigee.flow.choose"
local core = require "perigee.core"
local made = require "perigee.nn.masked".made
local options = require "perigee.options"

---@class Autoregressive
---@field net Made
---@field places userdata (features), the degrees of the network
local Autoregressive = {}
Autoregressive.__index = Autoregressive

---One pass of the network.
---@param x userdata (..., features)
---@param context? userdata (..., context)
---@return userdata y (..., features)
---@return userdata logdet (...)
function Autoregressive:forward (x, context)
  check.features("autoregressive", x, self.net.features)
  local y, slopes = self.transform.forward(x, self.net(x, context))
  return y, slopes:sum(-1)
end

---As many passes as features: pass k finds the feature in place k.
---@param y userdata (..., features)
---@param context? userdata (..., context)
---@return userdata x (..., features)
---@return userdata logdet (...)
function Autoregressive:inverse (y, context)
  check.features("autoregressive", y, self.net.features)
  local x, zero, slopes = core.zeros(y.shape), core.zeros(y.shape), nil
  for k = 1, self.net.features do
    x, slopes = self.transform.inverse(y, self.net(x, context))
    -- What is not yet known is held at 0: its numbers could overflow, and 0 times infinity is NaN.
    if k < self.net.features then x = core.where(core.le(self.places, k), x, zero) end
  end
  return x, slopes:sum(-1)
end

local known = {
  features = "integer", hidden = "table", order = "string|table?", context = "integer?",
  activation = "string|function?", degrees = "string?", direct = "boolean?", transform = "string?",
  limit = "number?", bins = "integer?", bound = "number?", rng = "rng",
}

---y_i = f(x_i; parameters that a MADE makes of x_<i), the identity at the start.  Forward is one
---pass: the layer of an inverse autoregressive flow (Kingma et al. 2016).  Turned round by
---flow.inverse it is that of a masked autoregressive flow, whose density is one pass (Papamakarios
---et al. 2017, eq. 3 to 5).  Options as in nn.made and flow.coupling.
---@param given {features: integer, hidden: integer[], order?: string|integer[],
---  context?: integer, activation?: string|function, degrees?: string, direct?: boolean,
---  transform?: string, limit?: number, bins?: integer, bound?: number, rng: userdata}
---@return Autoregressive
return function (given)
  local o = options.check("flow.autoregressive", given, known)
  check.sizes("flow.autoregressive", {features = o.features})
  local transform = choose("flow.autoregressive", o)
  local net = made {
    features = o.features, hidden = o.hidden, outputs = transform.outputs, order = o.order,
    context = o.context, activation = o.activation or "tanh", degrees = o.degrees,
    direct = o.direct, zero = true, rng = o.rng,
  }
  local places = core.tensor(net.degrees):real():keep()
  return setmetatable({net = net, places = places, transform = transform}, Autoregressive)
end
