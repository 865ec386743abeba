-- Weights of terms of a loss as pure functions of the step 1, 2, ..., and what else is done to a KL
-- term on the way.

local core = require "perigee.core"
local options = require "perigee.options"

local anneal = {}

local function check (name, given, known)
  local o = options.check("anneal." .. name, given, known, 4)
  for _, count in ipairs {"steps", "start", "cycle"} do
    local low = count == "start" and 0 or 1
    if o[count] and o[count] < low then
      error(("anneal.%s: %s = %d; it is at least %d"):format(name, count, o[count], low), 3)
    end
  end
  return o
end

local function ramp (from, to, share)
  return from + (to - from) * math.min(math.max(share, 0), 1)
end

---In a line from `from` (0) to `to` (1), which it reaches at step start + steps: KL warm-up (Bowman
---et al. 2016; Soenderby et al. 2016).  start is 0 when absent.
---@param given {steps: integer, start?: integer, from?: number, to?: number}
---@return fun(step: integer): number
function anneal.linear (given)
  local o = check("linear", given, {steps = "integer", start = "integer?", from = "number?",
    to = "number?"})
  local from, to, start = o.from or 0, o.to or 1, o.start or 0
  return function (step) return ramp(from, to, (step - start) / o.steps) end
end

---By a sigmoid from `from` (0) to `to` (1), halfway at step start + steps / 2, within 0.7 % of both
---ends at start and start + steps.  Bowman et al. 2016, fig. 2.
---@param given {steps: integer, start?: integer, from?: number, to?: number}
---@return fun(step: integer): number
function anneal.sigmoid (given)
  local o = check("sigmoid", given, {steps = "integer", start = "integer?", from = "number?",
    to = "number?"})
  local from, to, start = o.from or 0, o.to or 1, o.start or 0
  return function (step)
    return from + (to - from) / (1 + math.exp(5 - 10 * (step - start) / o.steps))
  end
end

---Every `cycle` steps anew: in a line from `from` (0) to `to` (1) over the share `rise` (0.5) of
---the cycle, then `to`.  Fu et al. 2019, eq. 6.
---@param given {cycle: integer, rise?: number, from?: number, to?: number}
---@return fun(step: integer): number
function anneal.cyclical (given)
  local o = check("cyclical", given, {cycle = "integer", rise = "number?", from = "number?",
    to = "number?"})
  local from, to, rise = o.from or 0, o.to or 1, o.rise or 0.5
  if not (rise > 0 and rise <= 1) then
    error(("anneal.cyclical: rise = %g; it is in (0, 1]"):format(rise), 2)
  end
  return function (step) return ramp(from, to, (step - 1) % o.cycle / o.cycle / rise) end
end

---The loss term weight |kl - c(step)| with a capacity c that grows in a line to `nats`: answers a
---function of the step and the KL.  Burgess et al. 2018, eq. 8.
---@param given {nats: number, steps: integer, weight: number}
---@return fun(step: integer, kl: userdata): userdata
function anneal.capacity (given)
  local o = check("capacity", given, {nats = "number", steps = "integer", weight = "number"})
  return function (step, kl)
    return core.abs(kl - ramp(0, o.nats, step / o.steps)) * o.weight
  end
end

---Sum over latent dimensions of max(nats, mean over the batch of kl): no gradient presses a
---dimension below `nats`.  Kingma et al. 2016, eq. 15.
---@param kl userdata (batch, latent), nats
---@param nats number
---@return userdata ()
function anneal.free_bits (kl, nats)
  if not options.is_tensor(kl) or #kl.shape ~= 2 then
    error("anneal.free_bits: kl is (batch, latent), not " .. (options.is_tensor(kl)
      and "(" .. table.concat(kl.shape, ", ") .. ")" or "a " .. options.kind(kl)), 2)
  end
  if type(nats) ~= "number" or nats ~= nats or nats < 0 then
    error(("anneal.free_bits: nats is %s; it is a number >= 0"):format(tostring(nats)), 2)
  end
  return core.clamp(kl:mean(1), nats, math.huge):sum()
end

return anneal
