-- Step sizes as functions of the step: each entry takes its options and returns a function of the
-- step 1, 2, ... that is pure, so a resumed run needs nothing but the step.  opt:step(g, {lr =
-- schedule(step)}).

local options = require "perigee.options"

local schedule = {}

local function check (name, given, known)
  local o = options.check("schedule." .. name, given, known, 4)
  for _, count in ipairs {"steps", "every", "warmup", "epoch", "stages"} do
    local low = count == "warmup" and 0 or 1
    if o[count] and o[count] < low then
      error(("schedule.%s: %s = %d; it is at least %d"):format(name, count, o[count], low), 3)
    end
  end
  if o.warmup and o.warmup >= o.steps then
    error(("schedule.%s: warmup = %d; it is less than steps = %d"):format(name, o.warmup,
      o.steps), 3)
  end
  return o
end

---@param lr number
---@return fun(step: integer): number
function schedule.constant (lr)
  if type(lr) ~= "number" then
    error("schedule.constant: give a number, not a " .. options.kind(lr), 2)
  end
  return function () return lr end
end

---lr factor^k after k times `every` steps.
---@param given {lr: number, every: integer, factor?: number} factor 0.1 when absent
---@return fun(step: integer): number
function schedule.step (given)
  local o = check("step", given, {lr = "number", every = "integer", factor = "number?"})
  local factor = o.factor or 0.1
  return function (step) return o.lr * factor ^ ((step - 1) // o.every) end
end

---From lr at step 1 to `final` at `steps` by the same factor every step, then `final`.
---@param given {lr: number, final: number, steps: integer}
---@return fun(step: integer): number
function schedule.exponential (given)
  local o = check("exponential", given, {lr = "number", final = "number", steps = "integer"})
  if not (o.lr > 0 and o.final > 0) then
    error(("schedule.exponential: lr = %g, final = %g; both are above 0"):format(o.lr, o.final), 2)
  end
  return function (step)
    if step >= o.steps then return o.final end
    return o.lr * (o.final / o.lr) ^ ((step - 1) / (o.steps - 1))
  end
end

-- lr step / warmup during the warm-up, then `shape` of the share of the way from its end to
-- `steps`.
local function warmed (o, shape)
  local warmup, final = o.warmup or 0, o.final or 0
  local start = math.max(warmup, 1)
  return function (step)
    if step >= o.steps then return final end
    if step <= warmup then return o.lr * step / warmup end
    return final + (o.lr - final) * shape((step - start) / (o.steps - start))
  end
end

local ramp = {lr = "number", steps = "integer", warmup = "integer?", final = "number?"}

---Rises in a line to lr over `warmup` steps (default none), then falls in a line to `final`
---(default 0).
---@param given {lr: number, steps: integer, warmup?: integer, final?: number}
---@return fun(step: integer): number
function schedule.linear (given)
  return warmed(check("linear", given, ramp), function (share) return 1 - share end)
end

---Rises in a line to lr over `warmup` steps (default none), then falls by half a cosine to `final`
---(default 0).  Loshchilov & Hutter 2017, eq. 5, without restarts.
---@param given {lr: number, steps: integer, warmup?: integer, final?: number}
---@return fun(step: integer): number
function schedule.cosine (given)
  return warmed(check("cosine", given, ramp), function (share)
    return 0.5 * (1 + math.cos(math.pi * share))
  end)
end

---The ladder of Burda et al. 2016: stage i = 0, 1, ... lasts 3^i epochs at lr 10^(-i/7); 8 stages
---are 3280 epochs.  After the last stage its step size stays.
---lr 1e-3 and 8 stages when absent; epoch is the number of steps in one.
---@param given {lr?: number, epoch: integer, stages?: integer}
---@return fun(step: integer): number schedule
---@return integer steps in all stages
function schedule.ladder (given)
  local o = check("ladder", given, {lr = "number?", epoch = "integer", stages = "integer?"})
  local lr, stages = o.lr or 1e-3, o.stages or 8
  local function steps_before (stage) return o.epoch * (math.tointeger(3 ^ stage) - 1) // 2 end
  local function ladder (step)
    local stage = 0
    while stage < stages - 1 and step > steps_before(stage + 1) do stage = stage + 1 end
    return lr * 10 ^ (-stage / 7)
  end
  return ladder, steps_before(stages)
end

return schedule
