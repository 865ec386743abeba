-- Increasing functions of one number, with parameters that a network gives: `outputs` of them on
-- the last axis of p, zeros meaning the identity.  logdet here is of every element.

local core = require "perigee.core"

local transform = {}

---@class Transform
---@field outputs integer parameters for each number
---@field forward fun(x: userdata, p: userdata): userdata, userdata
---@field inverse fun(y: userdata, p: userdata): userdata, userdata

-- Parameter k of p (..., features, outputs), as (..., features).
local function parameter (p, k)
  local shape = p.shape
  shape[#shape] = nil
  return p:slice(-1, k, k):reshape(shape)
end

---y = x e^s + t with p = (s', t) and s = limit tanh(s' / limit), so that nothing explodes.  Dinh et
---al. 2017, eq. 7 and 8.
---@param limit number
---@return Transform
function transform.affine (limit)
  local function log_scale (p) return core.tanh(parameter(p, 1) / limit) * limit end
  return {
    outputs = 2,
    forward = function (x, p)
      local s = log_scale(p)
      return x * core.exp(s) + parameter(p, 2), s
    end,
    inverse = function (y, p)
      local s = log_scale(p)
      return (y - parameter(p, 2)) * core.exp(-s), -s
    end,
  }
end

---y = x + t: volume is kept.  Dinh et al. 2015, eq. 4.
---@return Transform
function transform.additive ()
  return {
    outputs = 1,
    forward = function (x, p)
      return x + parameter(p, 1), core.zeros(x.shape)
    end,
    inverse = function (y, p)
      return y - parameter(p, 1), core.zeros(y.shape)
    end,
  }
end

return transform
