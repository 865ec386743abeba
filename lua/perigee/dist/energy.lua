-- The four energies in the plane of Rezende & Mohamed 2015, table 1, as distributions exp(-U) / Z.
-- The first is normalised by quadrature; the others do not fall off along the first axis, and are
-- taken on -4 <= z1 <= 4 as in the paper's figures, where Z is known.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

-- log of the integral of exp(-U1) over the plane, by the trapezoid rule at spacings 1/32 and 1/64,
-- which agree to 12 digits.
local LOG_Z1 <const> = 1.877501626109

local WIDTH <const> = 8                   -- of the interval of z1

local function bump (x, centre, scale) return core.square((x - centre) / scale) * -0.5 end

local function wave (x) return core.sin(x * (math.pi / 2)) end

-- One or two ridges y = wave(x) - shift(x) of a deviation each.
local ridges = {
  [2] = {{0.4, function (x) return x * 0 end}},
  [3] = {{0.35, function (x) return x * 0 end},
    {0.35, function (x) return core.exp(bump(x, 1, 0.6)) * 3 end}},
  [4] = {{0.4, function (x) return x * 0 end},
    {0.35, function (x) return core.sigmoid((x - 1) / 0.3) * 3 end}},
}

---@class Energy : Distribution
---@field which integer 1 to 4
---@field log_normalizer number log Z
---@field box number[][] holds all but a millionth of the probability
local Energy = family.class("toy.energy", {}, {})
Energy.event = 1

---U(z), without Z.
---@param z userdata (..., 2)
---@return userdata without the last axis
function Energy:energy (z)
  local x, y = shape.columns(z)
  if self.which == 1 then
    local radius = core.sqrt(core.square(x) + core.square(y))
    return -bump(radius, 2, 0.4) - core.logaddexp(bump(x, 2, 0.6), bump(x, -2, 0.6))
  end
  local parts = {}
  for i, r in ipairs(ridges[self.which]) do parts[i] = bump(y - wave(x) + r[2](x), 0, r[1]) end
  return -(parts[2] and core.logaddexp(parts[1], parts[2]) or parts[1])
end

---With the gradient of -U where z1 is in range, -inf elsewhere; in nats.
---@param z userdata (..., 2)
---@return userdata without the last axis
function Energy:log_prob (z)
  local l = -self:energy(z) - self.log_normalizer
  if self.which == 1 then return l end
  return core.where(core.gt(core.abs((shape.columns(z))), WIDTH / 2), -math.huge, l)
end

-- Polar proposals, radius N(2, 0.4^2), of which r g(z1) / 5 are kept: r < 5 but for 10^-13.
local function propose (rng, n)
  local radius = rng:normal(n) * 0.4 + 2
  local angle, u = rng:uniform(n) * (2 * math.pi), rng:uniform(n)
  local x, y = radius * core.cos(angle), radius * core.sin(angle)
  local weight = core.exp(core.logaddexp(bump(x, 2, 0.6), bump(x, -2, 0.6))) * radius / 5
  local kept = {}
  for i, keep in ipairs(core.lt(u, weight):tolist()) do
    if keep ~= 0 then kept[#kept + 1] = i end
  end
  return core.index_select(core.stack({x, y}, -1), core.tensor(kept, "index"), 1), #kept
end

local function draw_first (rng, count)
  local parts, have = {}, 0
  while have < count do
    local more, n = propose(rng, 10 * (count - have) + 100)
    if n > 0 then parts[#parts + 1] = more end
    have = have + n
  end
  return core.slice(core.concat(parts, 1), 1, 1, count)
end

local function draw_ridges (which, rng, count)
  local list = ridges[which]
  local x, noise, u = rng:uniform(count) * WIDTH - WIDTH / 2, rng:normal(count), rng:uniform(count)
  local first, second = list[1], list[2] or list[1]
  local share = first[1] / (first[1] + second[1])
  local y = core.where(core.lt(u, share), noise * first[1] - first[2](x),
    noise * second[1] - second[2](x))
  return core.stack({x, wave(x) + y}, -1)
end

local function draw (self, rng, lead)
  local sizes, count = shape.lead(lead, {}), 1
  for _, n in ipairs(sizes) do count = count * n end
  local z
  if count == 0 then z = core.zeros(0, 2)
  elseif self.which == 1 then z = draw_first(rng, count)
  else z = draw_ridges(self.which, rng, count) end
  return core.reshape(z, shape.lead(sizes, {2}))
end

---By rejection for the first energy, exactly for the others.
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata (..., 2)
function Energy:sample (rng, lead)
  return core.no_grad(draw, self, rng, lead)
end

---An energy U of Rezende & Mohamed 2015, table 1, as the distribution exp(-U) / Z in the plane.
---@param which integer 1 to 4
---@return Energy
return function (which)
  if math.type(which) ~= "integer" or which < 1 or which > 4 then
    error(("dist.toy.energy: energy %s; give 1 to 4"):format(tostring(which)), 2)
  end
  local log_z = LOG_Z1
  if which > 1 then
    local sum = 0
    for _, r in ipairs(ridges[which]) do sum = sum + r[1] end
    log_z = math.log(WIDTH * math.sqrt(2 * math.pi) * sum)
  end
  return setmetatable({which = which, shape = {2}, log_normalizer = log_z,
    box = which == 1 and {{-5, 5}, {-5, 5}} or {{-4, 4}, {-7, 4}}}, Energy)
end
