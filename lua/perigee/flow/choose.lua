-- The transform that the options of a coupling or autoregressive layer name.

local spline = require "perigee.flow.spline"
local transform = require "perigee.flow.transform"

---@param what string for messages
---@param o {transform?: string, limit?: number, bins?: integer, bound?: number}
---@return Transform
return function (what, o)
  local name, limit = o.transform or "affine", o.limit or 5
  local bins, bound = o.bins or 8, o.bound or 3
  if limit ~= limit or limit <= 0 or bound ~= bound or bound <= 0 then
    error(("%s: limit = %g, bound = %g; both are above 0"):format(what, limit, bound), 3)
  end
  if bins < 1 or bins > 500 then
    error(("%s: bins = %d; it is in 1..500"):format(what, bins), 3)
  end
  if name == "affine" then return transform.affine(limit) end
  if name == "additive" then return transform.additive() end
  if name == "spline" then return spline.rational_quadratic(bins, bound) end
  error(("%s: transform = '%s'; say affine, additive or spline"):format(what, name), 3)
end
