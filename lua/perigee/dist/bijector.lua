-- Invertible maps with the logarithm of their derivative: what dist.transformed and flows are made
-- of.  A map answers forward(x), inverse(y), log_det(x, y) and `event`, how many of the last axes
-- it maps as one; log_det is log |det dy/dx| with one value for an event, where y = forward(x).

local core = require "perigee.core"
local options = require "perigee.options"
local shape = require "perigee.dist.shape"

---@class Bijector
---@field forward fun(self: Bijector, x: userdata): userdata
---@field inverse fun(self: Bijector, y: userdata): userdata
---@field log_det fun(self: Bijector, x: userdata, y: userdata): userdata
---@field event integer
---@field support string? a set that y lies in, when it is not where x lay

local bijector = {}

local function class (fields)
  fields.event = fields.event or 0
  fields.__index = fields
  return fields
end

-- --- element by element -------------------------------------------------------------------------

local Affine = class {support = "real"}
function Affine:forward (x) return x * self.scale + self.loc end
function Affine:inverse (y) return (y - self.loc) / self.scale end
function Affine:log_det (x) return core.zeros(x.shape) + core.log(core.abs(self.scale)) end

---y = loc + scale x.
---@param loc userdata|number
---@param scale userdata|number other than 0; may be negative
---@return Bijector
function bijector.affine (loc, scale)
  shape.check_parameter("dist.bijector.affine", "loc", loc)
  shape.check_parameter("dist.bijector.affine", "scale", scale)
  if scale == 0 then error("dist.bijector.affine: scale is 0; it has no inverse", 2) end
  return setmetatable({loc = loc, scale = scale}, Affine)
end

local Exp = class {support = "positive"}
function Exp:forward (x) return core.exp(x) end
function Exp:inverse (y) return core.log(y) end
function Exp:log_det (x) return x end

---y = e^x.
---@return Bijector
function bijector.exp () return setmetatable({}, Exp) end

local Sigmoid = class {support = "unit"}
function Sigmoid:forward (x) return core.sigmoid(x) end
function Sigmoid:inverse (y) return core.logit(y) end
function Sigmoid:log_det (x) return core.log_sigmoid(x) + core.log_sigmoid(-x) end

---y = 1 / (1 + e^-x).
---@return Bijector
function bijector.sigmoid () return setmetatable({}, Sigmoid) end

local Tanh = class {support = "interval"}
function Tanh:forward (x) return core.tanh(x) end
function Tanh:inverse (y) return core.atanh(y) end
-- log(1 - tanh^2 x), which rounds to -inf in that form
function Tanh:log_det (x) return (math.log(2) - x - core.softplus(x * -2)) * 2 end

---y = tanh x.
---@return Bijector
function bijector.tanh () return setmetatable({}, Tanh) end

local Softplus = class {support = "positive"}
function Softplus:forward (x) return core.softplus(x) end
function Softplus:inverse (y) return y + core.log1mexp(-y) end
function Softplus:log_det (x) return core.log_sigmoid(x) end

---y = log(1 + e^x).
---@return Bijector
function bijector.softplus () return setmetatable({}, Softplus) end

-- --- along the last axis ------------------------------------------------------------------------

local Permute = class {event = 1}
function Permute:forward (x) return core.index_select(x, self.order, -1) end
function Permute:inverse (y) return core.index_select(y, self.back, -1) end
function Permute:log_det (x) return core.zeros(table.move(x.shape, 1, #x.shape - 1, 1, {})) end

---y_i = x_order[i] along the last axis.
---@param order integer[]|userdata a list or an index tensor that holds each of 1..n once
---@return Bijector
function bijector.permute (order)
  if options.is_tensor(order) then order = order:tolist() end
  local back, n = {}, type(order) == "table" and #order or 0
  for i = 1, n do
    local k = math.tointeger(order[i])
    if not k or k < 1 or k > n or back[k] then
      error(("dist.bijector.permute: entry %d is %s; each of 1..%d comes once"):format(i,
        tostring(order[i]), n), 2)
    end
    back[k] = i
  end
  if n == 0 then error("dist.bijector.permute: no order; give a list of 1..n", 2) end
  return setmetatable({order = core.tensor(order, "index"), back = core.tensor(back, "index")},
    Permute)
end

-- --- made of others -----------------------------------------------------------------------------

local Chain = class {}

function Chain:forward (x)
  for _, f in ipairs(self) do x = f:forward(x) end
  return x
end

function Chain:inverse (y)
  for i = #self, 1, -1 do y = self[i]:inverse(y) end
  return y
end

function Chain:log_det (x)
  local total
  for _, f in ipairs(self) do
    local y = f:forward(x)
    local part = shape.sum_last(f:log_det(x, y), self.event - f.event)
    total, x = total and total + part or part, y
  end
  return total
end

---The first map, then the second, and so on.
---@param list Bijector[] at least one
---@return Bijector
function bijector.chain (list)
  local self = {event = 0}
  for i, f in ipairs(list) do
    if type(f) ~= "table" or not f.log_det then
      error(("dist.bijector.chain: entry %d is a %s; give a bijector"):format(i, type(f)), 2)
    end
    self[i] = f
    self.event = math.max(self.event, f.event)
    self.support = f.support or self.support
  end
  if #self == 0 then error("dist.bijector.chain: an empty list", 2) end
  return setmetatable(self, Chain)
end

local Inverse = class {support = "real"}
function Inverse:forward (x) return self.of:inverse(x) end
function Inverse:inverse (y) return self.of:forward(y) end
function Inverse:log_det (x, y) return -self.of:log_det(y, x) end

---The map backwards.
---@param f Bijector
---@return Bijector
function bijector.inverse (f)
  if type(f) ~= "table" or not f.log_det then
    error(("dist.bijector.inverse: f is a %s; give a bijector"):format(type(f)), 2)
  end
  return setmetatable({of = f, event = f.event}, Inverse)
end

return bijector
