-- Limits on gradients: by their common norm, or element by element.

local core = require "perigee.core"

local clip = {}

local function check_limit (what, limit)
  if type(limit) ~= "number" or limit ~= limit or limit <= 0 then
    error(("clip.%s: the limit is %s; give a number above 0"):format(what, tostring(limit)), 3)
  end
end

---The Euclidean norm of all gradients together, accumulated in double in a fixed order.
---@param gradients userdata[]
---@return number
function clip.global_norm (gradients)
  return core.fused.norm(gradients)
end

---The factor that brings the gradients' common norm down to `limit`, 1 when it is below, and the
---norm: opt:step(g, {scale = clip.norm(g, 1)}).  Pascanu et al. 2013, Algorithm 1.  A norm that is
---not finite is an error, before it spoils the parameters.
---@param gradients userdata[]
---@param limit number
---@return number scale
---@return number norm
function clip.norm (gradients, limit)
  check_limit("norm", limit)
  local norm = core.fused.norm(gradients)
  if norm ~= norm or norm == math.huge then
    error(("clip.norm: the gradients' norm is %g: training diverged; lower lr"):format(norm), 2)
  end
  return norm > limit and limit / norm or 1, norm
end

---Gradients with every element limited to [-limit, limit].
---@param gradients userdata[]
---@param limit number
---@return userdata[]
function clip.value (gradients, limit)
  check_limit("value", limit)
  local clipped = {}
  for i, g in ipairs(gradients) do clipped[i] = core.clamp(g, -limit, limit) end
  return clipped
end

return clip
