-- run:steps: the iterator that opens a scope for each step, sets the clock of the random streams,
-- restores the step after a resume, and saves checkpoints.  Owns no model and prints only progress.

local core    = require "perigee.core"
local text    = require "perigee.run.text"
local states  = require "perigee.run.states"
local session = require "perigee.run.session"

local loop = {}

-- After a loop that ended at step k the clock shows AFTER + k, so what the script draws there is
-- neither a repetition of a step nor dependent on where a resumed process took over.
local AFTER <const> = 1 << 40

-- Exit codes: 130 as shells report SIGINT; 75 (EX_TEMPFAIL) asks a queue to start the run again.
local exit_codes = { INT = 130, TERM = 75, USR1 = 75 }

---Leave because a signal asked for it.
---@param run perigee.Run
---@param signal string "INT", "TERM" or "USR1"
---@param live boolean save the kept things as they are now
function loop.stop (run, signal, live)
  run.record.head.status = "preempted"
  run:save(live)
  run.progress:print("stopped by SIG%s after step %d; to go on: %s", signal, run.done,
    session.again_text(run))
  session.leave(exit_codes[signal] or 1)
end

-- The loop that the restored checkpoint belongs to: the one under way, or the last that is over.
local function target (checkpoint)
  local over = #checkpoint.ends
  local under_way = over == 0 or checkpoint.step > checkpoint.ends[over]
  return under_way and over + 1 or over
end

local function restore (run, checkpoint)
  for _, group in ipairs(text.keys(checkpoint.groups)) do
    local found = false
    for name in pairs(run.kept) do found = found or states.group(name) == group end
    if not found then
      error("run:steps: the checkpoint holds " .. group .. ", which run:keep was not given", 0)
    end
  end
  for _, name in ipairs(text.keys(run.kept)) do
    local state = checkpoint.groups[states.group(name)]
    if not state then
      -- A thing whose state is empty, as plain gradient descent's, leaves no trace in a file.
      if next(states.get(run.kept[name])) ~= nil then
        error(string.format("run:steps: the checkpoint does not hold %s", name), 0)
      end
      state = {}
    end
    states.put(run.kept[name], state)
  end
end

local function digest (run, step)
  local d = run.record.digest
  if d.step[#d.step] == step then return end
  d.step[#d.step + 1] = step
  d.value[#d.value + 1] = states.digest(d.value[#d.value] or 0, run.logged, run.kept)
end

-- A step's body has ended.
local function finish_step (run, last)
  local step = run.step
  run.done = step
  if last or step % run.schema.digest_every == 0 then digest(run, step) end
  if last then
    run.ends[#run.ends + 1] = step
    run.inside = false
    run.progress:finish(step, run.latest)
    run.rng:tick(AFTER + step)
  else
    run.progress:step(step, run.latest)
  end
  local signal = core.sys.signal()
  if signal then return loop.stop(run, signal, true) end
  -- The first step is saved at once: a disk that is too small shows now and not in hours.
  local due = last or not run.has_checkpoint
    or core.sys.clock() - run.saved_at >= run.checkpoint_every
  if due then run:save(true) end
end

local known = { batch = true, count = true }

local function check (set, options)
  if type(options) ~= "table" then
    error("run:steps(set, { batch = ..., count = ... }): the options are missing", 3)
  end
  for _, k in ipairs(text.keys(options)) do
    if not known[k] then
      error("run:steps: " .. text.unknown("option", tostring(k), text.keys(known)), 3)
    end
  end
  if math.type(options.count) ~= "integer" or options.count < 1 then
    error(string.format("run:steps: count is a positive number of steps, not %s",
      tostring(options.count)), 3)
  end
  if set ~= nil and not (type(set) == "table" and type(set.batches) == "function") then
    error("run:steps: the first argument is a data set or nil, not a " .. type(set), 3)
  end
end

---@param run perigee.Run
---@param set any a data set, or nil for steps without data
---@param options {batch: integer?, count: integer}
function loop.steps (run, set, options)
  check(set, options)
  if run.inside then error("run:steps: a loop cannot run inside another", 3) end
  run.loops = run.loops + 1
  local index, start = run.loops, run.step
  if not run.listening then
    core.sys.catch_signals()
    run.listening = true
  end
  local loader
  if set ~= nil then
    run:uses(set)
    -- A second loop sees other shuffles than the first.
    local stream = index == 1 and "batches" or "batches." .. index
    loader = set:batches { batch = options.batch, rng = run.rng:fork(stream) }
  end
  local last = start + options.count
  local pending = run.pending
  if pending then
    local over = pending.ends[index]
    if index == target(pending) then
      restore(run, pending)
      run.pending, run.replaying = nil, false
      run.step = pending.step
    elseif over then
      run.step = over
    end
    if over then
      run.ends[index], run.done = over, run.step
      run.rng:tick(AFTER + run.step)
      return function () end
    end
  end
  run.done, run.inside, run.saved_at = run.step, true, core.sys.clock()
  run.progress:start("step", run.step, last)
  local scope
  local function close_scope ()
    if scope then scope:close() end
    scope = nil
  end
  local function advance ()
    if scope then
      close_scope()
      finish_step(run, run.step >= last)
    end
    if run.step >= last then return nil end
    run.step = run.step + 1
    run.logged = {}
    scope = core.scope()
    run.rng:tick(run.step)
    if loader then return run.step, loader:at(run.step - start) end
    return run.step
  end
  local guard = setmetatable({}, { __close = function (_, problem)
    local broken_off = scope ~= nil
    close_scope()
    -- A process that leaves in the middle of a step closes this as well.
    if broken_off and problem == nil and not run.left then finish_step(run, true) end
    run.inside = false
  end })
  return advance, nil, nil, guard
end

return loop
