-- One workload on both sides in turns: starts the entrants, lets them run block by block, and pairs
-- their times round by round.  Times nothing itself except whole processes: a child measures its
-- own repeats.

local peri = require "perigee"
local peer = require "bench.peer"
local stats = require "bench.stats"

local binary = peri.sys.realpath("/proc/self/exe")

---@class Entrant
---@field side "Perigee"|"PyTorch"
---@field form string
---@field threads? integer
---@field child? Child
---@field run fun(n: integer): number seconds of n repeats
---@field memory fun(): number peak resident KiB
---@field repeats integer of a block
---@field times number[] seconds of one repeat, one for each round
---@field summary? Summary
---@field problem? string why it has no summary
---@field start_kib? number
---@field peak_kib? number

---@class Result
---@field workload Workload
---@field entrants Entrant[]
---@field perigee? Entrant the one compared
---@field pytorch? Entrant the one compared
---@field ratio? Summary of paired times
---@field memory_ratio? number
---@field goals {goal: Goal, value?: number, holds: boolean}[]

---An entrant whose repeats are whole processes.
---@param argv string[] what is timed
---@param asking string[] the same process, printing its peak memory as "VmHWM: N"
local function process_entrant (side, form, argv, asking)
  local function execute (words)
    local result = assert(peri.sys.run(words))
    if result.code ~= 0 then
      error(("%s ended with code %d: %s"):format(words[1], result.code, result.err), 0)
    end
    return result.out
  end
  return {
    side = side, form = form, times = {},
    run = function (n)
      local begin = peri.sys.clock()
      for _ = 1, n do execute(argv) end
      return peri.sys.clock() - begin
    end,
    memory = function () return tonumber(execute(asking):match("VmHWM:%s*(%d+)")) end,
  }
end

---An entrant that repeats in a child process.
local function child_entrant (side, form, threads, argv)
  local child, problem = peer.start(argv, threads)
  return {
    side = side, form = form, threads = threads, times = {}, child = child, problem = problem,
    start_kib = child and child.start_kib,
    run = function (n) return child:ask("run " .. n) end,
    memory = function () return child:ask("memory") end,
  }
end

local lua_memory = "for line in io.lines('/proc/self/status') do"
  .. " if line:find('^VmHWM') then print(line) end end"
-- `perigee -e ""` loads the library when it is first used; this uses it, down to the BLAS
local library = "local _ = peri.nn, peri.ones(2, 2):matmul(peri.ones(2, 2))"
local python_memory = "import torch; print(open('/proc/self/status').read())"

---Perigee's entrants, the compared one first.
local function perigee_entrants (workload, plan)
  local entrants, threads, root = {}, plan.threads, plan.root
  for _, form in ipairs(workload.perigee) do
    if workload.whole_process then
      -- what a user types is the launcher; it stands for this binary only where it would run it
      local program = form == "launcher" and root .. "/perigee" or binary
      if form ~= "launcher" or binary == root .. "/build/perigee" and peri.sys.stat(program) then
        local code = form == "library" and library .. " " or ""
        entrants[#entrants + 1] = process_entrant("Perigee", form, {program, "-e", code},
          {program, "-e", code .. lua_memory})
      end
    else
      for i = #threads, 1, -1 do
        entrants[#entrants + 1] = child_entrant("Perigee", form, threads[i],
          {binary, plan.here .. "/child.lua", workload.name, tostring(threads[i]), form})
      end
    end
  end
  return entrants
end

local function pytorch_entrants (workload, plan)
  local entrants, threads, python = {}, plan.threads, plan.pytorch.executable
  for _, form in ipairs(workload.pytorch) do
    if workload.whole_process then
      entrants[1] = process_entrant("PyTorch", form, {python, "-c", "import torch"},
        {python, "-c", python_memory})
    else
      for i = #threads, 1, -1 do
        entrants[#entrants + 1] = child_entrant("PyTorch", form, threads[i], {python, "-W",
          "ignore", plan.here .. "/child.py", workload.name, tostring(threads[i]), form})
      end
    end
  end
  return entrants
end

---Call a part of an entrant's measurement; a failure ends the entrant, not the session.
local function attempt (entrant, f)
  if entrant.problem then return end
  local done, problem = pcall(f, entrant)
  if done then return end
  problem = tostring(problem):gsub("\n", " ")
  if problem:find("interrupted$") then error(problem, 0) end    -- Ctrl-C ends the session
  entrant.problem = problem
end

---Warm up, and find how many repeats fill a block.
local function calibrate (entrant, seconds)
  entrant.run(1)
  local n, took = 1, entrant.run(1)
  while took < seconds / 4 do
    n = n * 2
    took = entrant.run(n)
  end
  entrant.repeats = math.max(1, math.ceil(n * seconds / took))
end

---Both sides in turns: one block of each entrant a round, every second round in reverse order, so
---that a drift of the machine's speed falls on both sides alike.
local function measure (entrants, blocks, seconds)
  for _, entrant in ipairs(entrants) do
    attempt(entrant, function () calibrate(entrant, seconds) end)
  end
  for round = 1, blocks do
    local first, last, step = 1, #entrants, 1
    if round % 2 == 0 then first, last, step = #entrants, 1, -1 end
    for i = first, last, step do
      local entrant = entrants[i]
      attempt(entrant, function ()
        if entrant.threads then peer.rest(0.25) end
        entrant.times[round] = entrant.run(entrant.repeats) / entrant.repeats
      end)
    end
  end
  for _, entrant in ipairs(entrants) do
    attempt(entrant, function () entrant.peak_kib = entrant.memory() end)
    if entrant.child then entrant.child:stop() end
    if not entrant.problem then entrant.summary = stats.summary(entrant.times) end
  end
end

---@class Plan
---@field root string the checkout
---@field here string this folder
---@field threads integer[] numbers of threads, the default last
---@field pytorch? table<string, string> what it is, nil where there is none
---@field blocks integer
---@field seconds number of a block

---Run one workload on both sides and pick the entrants that are compared: Perigee's first form at
---its default number of threads, and the fastest of PyTorch's.
---@param workload Workload
---@param plan Plan
---@return Result
local function compare (workload, plan)
  local ours = perigee_entrants(workload, plan)
  local theirs = plan.pytorch and pytorch_entrants(workload, plan) or {}
  local entrants = {}
  for i = 1, math.max(#ours, #theirs) do
    entrants[#entrants + 1] = ours[i]
    entrants[#entrants + 1] = theirs[i]
  end
  measure(entrants, plan.blocks, plan.seconds)

  local result = {workload = workload, entrants = entrants, goals = {}}
  result.perigee = ours[1] and ours[1].summary and ours[1]
  for _, entrant in ipairs(theirs) do
    local best = result.pytorch
    if entrant.summary and not (best and best.summary.median <= entrant.summary.median) then
      result.pytorch = entrant
    end
  end
  if result.perigee and result.pytorch then
    result.ratio = stats.summary(stats.ratios(result.perigee.times, result.pytorch.times))
    result.memory_ratio = result.perigee.peak_kib / result.pytorch.peak_kib
  end
  for i, goal in ipairs(workload.goals or {}) do
    local value = result.memory_ratio
    if goal.value == "ratio" then
      value = result.ratio and result.ratio.median
    elseif goal.value == "time" then
      local entrant = result.perigee
      for _, other in ipairs(ours) do
        if other.form == goal.form then entrant = other break end
      end
      value = entrant and entrant.summary and entrant.summary.median
    end
    result.goals[i] = {goal = goal, value = value, holds = value ~= nil and value <= goal.limit}
  end
  return result
end

return compare
