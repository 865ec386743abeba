-- The learning-rate finder: a short run with a step size that grows from step to step, after which
-- everything is as it was.

local core = require "perigee.core"
local options = require "perigee.options"
local walk = require "perigee.nn.walk"

local known = {
  from = "number?", to = "number?", steps = "integer?", beta = "number?", limit = "number?",
  keep = "table?",
}

-- A function that puts model parameters, optimizer and further things back as they are now.
local function remember (optimizer, things)
  local function copy (state)
    local c = {}
    for name, v in pairs(state) do
      c[name] = options.is_tensor(v) and v:detach():clone():keep() or v
    end
    return c
  end
  local parameters, state, others = {}, copy(optimizer:state()), {}
  for i, p in ipairs(optimizer.parameters) do parameters[i] = p:detach():clone():keep() end
  for i, thing in ipairs(things) do
    local itself = type(thing.state) == "function" and type(thing.load) == "function"
    others[i] = {itself, copy(itself and thing:state() or walk.state(thing))}
  end
  return function ()
    for i, p in ipairs(optimizer.parameters) do p:assign(parameters[i]) end
    optimizer:load(state)
    for i, thing in ipairs(things) do
      if others[i][1] then thing:load(others[i][2]) else walk.load(thing, others[i][2]) end
    end
  end
end

-- The step size where the smoothed loss falls fastest in log lr, by differences of neighbours.
local function steepest (trace)
  local best, slope = nil, 0
  for i = 2, #trace - 1 do
    local fall = trace[i + 1].smooth - trace[i - 1].smooth
    if fall < slope then best, slope = trace[i].lr, fall end
  end
  return best
end

local function check (optimizer, f, o)
  local what = "optim.finder: "
  if type(optimizer) ~= "table" or not optimizer.parameters or type(f) ~= "function" then
    error(what .. "give an optimizer, and a function that returns the loss", 3)
  end
  if not (o.from > 0 and o.to > o.from and o.to < math.huge) then
    error((what .. "from = %g, to = %g; want 0 < from < to"):format(o.from, o.to), 3)
  end
  if o.steps < 3 or not (o.beta >= 0 and o.beta < 1 and o.limit > 1) then
    error((what .. "steps = %d, beta = %g, limit = %g; want >= 3, in [0, 1), > 1"):format(
      o.steps, o.beta, o.limit), 3)
  end
end

---local lr, trace = optim.finder(opt, function (step) return loss_of_batch(step) end)
---Train with lr = from (to / from)^((i - 1) / (steps - 1)) at step i and note the losses: Smith
---2017, "Cyclical Learning Rates", sec. 3.3.  Smoothed losses are averages of decay `beta`, freed
---of their start at 0.  It ends early when a smoothed loss is above the first by more than
---limit - 1 times its size, or is no number.  Parameters, the optimizer's state and the things in
---`keep` (modules whose running statistics move, and what answers `state` and `load`) are put
---back, whatever happens.
---@param optimizer Optimizer
---@param f fun(step: integer): userdata the loss of a batch, a real scalar
---@param given? {from?: number, to?: number, steps?: integer, beta?: number, limit?: number,
---  keep?: table[]} from 1e-7, to 10, in 100 steps, beta 0.9, limit 4 when absent
---@return number? lr where the smoothed loss fell fastest in log lr; nil when it never fell
---@return {lr: number, loss: number, smooth: number}[] trace of the steps made
return function (optimizer, f, given)
  local o = {from = 1e-7, to = 10, steps = 100, beta = 0.9, limit = 4, keep = {}}
  for name, v in pairs(options.check("optim.finder", given, known)) do o[name] = v end
  check(optimizer, f, o)
  local restore <const> = remember(optimizer, o.keep)
  local trace, average = {}, 0
  local function run ()
    for i = 1, o.steps do
      local _ <close> = core.scope()
      local lr = o.from * (o.to / o.from) ^ ((i - 1) / (o.steps - 1))
      local loss = f(i)
      if not options.is_tensor(loss) then
        error("optim.finder: the function returned a " .. options.kind(loss) .. ", not a loss", 0)
      end
      local value = loss:item()
      average = o.beta * average + (1 - o.beta) * value
      local smooth = average / (1 - o.beta ^ i)
      if smooth ~= smooth or math.abs(smooth) == math.huge then return end
      trace[i] = {lr = lr, loss = value, smooth = smooth}
      local first = trace[1].smooth
      if smooth - first > (o.limit - 1) * math.abs(first) then return end
      optimizer:step(core.grad(loss, optimizer.parameters), {lr = lr})
    end
  end
  local ok, message = pcall(run)
  restore()
  if not ok then error(message, 0) end
  return steepest(trace), trace
end
