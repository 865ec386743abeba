-- Step sizes as functions of the step: each entry takes its options and returns a function of the
-- step 1, 2, ... that is pure, so a resumed run needs nothing but the step.  opt:step(g, {lr =
-- schedule(step)}).

local options = require "perigee.options"

local schedule = {}

local function check (name, given, known)
  local o = options.check("schedule." .. name, given, known, 4)
  for _, count in ipairs {"steps", "every", "warmup", "epoch", "stages", "grow"} do
    local low = count == "warmup" and 0 or 1
    if o[count] and o[count] < low then
      error(("schedule.%s: %s = %d; it is at least %d"):format(name, count, o[count], low), 3)
    end
  end
  if o.warmup and o.steps and o.warmup >= o.steps then
    error(("schedule.%s: warmup = %d; it is less than steps = %d"):format(name, o.warmup,
      o.steps), 3)
  end
  return o
end

---lr at every step.
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

---Half cosines from lr to `final` (default 0), begun again after `every` steps; each is `grow`
---times as long as the one before (default 1) and begins at `shrink` times its lr (default 1).
---Loshchilov & Hutter 2017, eq. 5.
---@param given {lr: number, every: integer, final?: number, grow?: integer, shrink?: number}
---@return fun(step: integer): number
function schedule.restarts (given)
  local o = check("restarts", given, {lr = "number", every = "integer", final = "number?",
    grow = "integer?", shrink = "number?"})
  local final, grow, shrink = o.final or 0, o.grow or 1, o.shrink or 1
  return function (step)
    local at, length, lr = step - 1, o.every, o.lr
    if grow == 1 then
      at, lr = at % length, lr * shrink ^ (at // length)
    else
      while at >= length do at, length, lr = at - length, length * grow, lr * shrink end
    end
    return final + (lr - final) * 0.5 * (1 + math.cos(math.pi * at / length))
  end
end

---Rises in a line to lr over `warmup` steps, then final + (lr - final) (1 - share)^power, share
---being that of the way to `steps`; power 1 when absent is schedule.linear.
---@param given {lr: number, steps: integer, power?: number, warmup?: integer, final?: number}
---@return fun(step: integer): number
function schedule.polynomial (given)
  local o = check("polynomial", given, {lr = "number", steps = "integer", warmup = "integer?",
    final = "number?", power = "number?"})
  local power = o.power or 1
  if power ~= power or power <= 0 then
    error(("schedule.polynomial: power = %g; it is above 0"):format(power), 2)
  end
  return warmed(o, function (share) return (1 - share) ^ power end)
end

---One cycle: by half a cosine from lr / start up to lr over the share `rise` of the steps, then by
---another down to lr / start / finish, where it stays.  Smith & Topin 2019; start 25, finish 1e4,
---rise 0.3 when absent.
---@param given {lr: number, steps: integer, rise?: number, start?: number, finish?: number}
---@return fun(step: integer): number
function schedule.one_cycle (given)
  local o = check("one_cycle", given, {lr = "number", steps = "integer", rise = "number?",
    start = "number?", finish = "number?"})
  local rise, first = o.rise or 0.3, o.lr / (o.start or 25)
  local last = first / (o.finish or 1e4)
  if not (rise > 0 and rise < 1) then
    error(("schedule.one_cycle: rise = %g; it is in (0, 1)"):format(rise), 2)
  end
  local function between (a, b, share)
    return a + (b - a) * 0.5 * (1 - math.cos(math.pi * share))
  end
  return function (step)
    local share = o.steps > 1 and math.min((step - 1) / (o.steps - 1), 1) or 1
    if share < rise then return between(first, o.lr, share / rise) end
    return between(o.lr, last, (share - rise) / (1 - rise))
  end
end

---lr min(step / warmup, sqrt(warmup / step)): rises in a line to lr, then falls as 1 / sqrt(step).
---Vaswani et al. 2017, eq. 3, whose factor is lr = 1 / sqrt(width warmup).
---@param given {lr: number, warmup: integer}
---@return fun(step: integer): number
function schedule.inverse_sqrt (given)
  local o = check("inverse_sqrt", given, {lr = "number", warmup = "integer"})
  local warmup = math.max(o.warmup, 1)
  return function (step) return o.lr * math.min(step / warmup, math.sqrt(warmup / step)) end
end

---Any schedule after a warm-up: step / steps of its first value during `steps` steps, then the
---schedule from its step 1 on.
---@param given {schedule: (fun(step: integer): number), steps: integer}
---@return fun(step: integer): number
function schedule.warmup (given)
  local o = check("warmup", given, {schedule = "function", steps = "integer"})
  return function (step)
    if step <= o.steps then return o.schedule(1) * step / o.steps end
    return o.schedule(step - o.steps)
  end
end

return schedule
