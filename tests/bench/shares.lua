-- Single operations as a share of what the machine can do.  The limit is measured again before and
-- after every block of an operation, and a share is the median of the ratios of neighbours, so that
-- a drift of the machine's speed falls on both alike.

local peri = require "perigee"
local operations = require "bench.operations"
local peer = require "bench.peer"
local stats = require "bench.stats"

local binary = peri.sys.realpath("/proc/self/exe")
local probe = binary:match("^(.*)/") .. "/bench_limits"

-- Arrays of the probes, in MiB.  From 128 on nothing of a pass is left in a cache for the next one
-- where the last level holds tens of MiB for a core.
local mib = 128

-- Passes of each probe in a block, 3 to 25 ms each; the fastest pass of all probes is the limit.
-- Stores past the caches move less but are not faster everywhere, so both kinds are tried.
local probes = {
  peak = {"peak 10"},
  read = {"read 3"},
  copy = {"copy 3", "copy_stream 3"},
  triad = {"triad 3", "triad_stream 3"},
  update = {"update 3"},
}

local goals = {GEMM = 0.9, convolution = 0.85, elementwise = 0.8, reduction = 0.8}

---@class Share
---@field operation Operation
---@field threads integer
---@field goal number
---@field achieved? Summary FLOP/s or B/s, one for each round
---@field limit? Summary the same unit
---@field share? Summary
---@field holds boolean
---@field problem? string why there is none

---@param child Child of the probes
---@param name string of a limit
---@return number FLOP/s or B/s
local function measure_limit (child, name)
  local best = 0
  for _, request in ipairs(probes[name]) do best = math.max(best, child:ask(request)) end
  return best
end

---The fastest of the slices of one block, since the limit is the fastest of its passes: seconds.
---@param child Child
---@param n integer repeats of a slice
---@param seconds number of the block
local function fastest (child, n, seconds)
  local best, spent, slices = math.huge, 0, 0
  repeat
    local took = child:ask("run " .. n)
    best, spent, slices = math.min(best, took / n), spent + took, slices + 1
  until spent >= seconds and slices >= 3
  return best
end

---@param share Share
---@param limits Child
---@param plan table here, rounds, seconds
local function measure (share, limits, plan)
  local operation = share.operation
  local child, problem = peer.start({binary, plan.here .. "/child.lua", "operations",
    tostring(share.threads), operation.name}, share.threads)
  if not child then error(problem, 0) end
  local _ <close> = setmetatable({}, {__close = function () child:stop() end})

  -- a slice takes at least as long as a pass of the shortest probe
  child:ask("run 1")
  local n, took = 1, child:ask("run 1")
  while took < 0.005 do
    n = math.ceil(n * math.min(100, 0.006 / math.max(took, 1e-6)))
    took = child:ask("run " .. n)
  end
  local achieved, limit, ratio = {}, {}, {}
  local before = measure_limit(limits, operation.limit)
  for round = 1, plan.rounds do
    achieved[round] = operation.work / fastest(child, n, plan.seconds)
    if share.threads > 1 then peer.rest(0.05) end          -- its threads may spin before they sleep
    local after = measure_limit(limits, operation.limit)
    limit[round] = (before + after) / 2
    ratio[round] = achieved[round] / limit[round]
    before = after
  end
  share.achieved, share.limit = stats.summary(achieved), stats.summary(limit)
  share.share = stats.summary(ratio)
  share.holds = share.share.median >= share.goal
end

---Measure every operation at every number of threads.
---@param plan table here (this folder), threads (numbers), rounds, seconds (of a block), notice
---@return Share[]|nil, string|nil message why there are none
local function shares (plan)
  if not peri.sys.stat(probe) then return nil, "no " .. probe .. ": the tests are not built" end
  local results = {}
  for _, threads in ipairs(plan.threads) do
    local limits, problem = peer.start({probe, tostring(threads), tostring(mib)}, threads)
    if not limits then return nil, "the probes do not start: " .. problem end
    for i, operation in ipairs(operations.list) do
      plan.notice(("[%d/%d, %d threads] %s"):format(i, #operations.list, threads, operation.name))
      local share = {operation = operation, threads = threads, goal = goals[operation.family],
        holds = false}
      local done, message = pcall(measure, share, limits, plan)
      if not done then
        message = tostring(message):gsub("\n", " ")
        if message:find("interrupted$") then error(message, 0) end
        share.problem = message
      end
      results[#results + 1] = share
    end
    limits:stop()
  end
  return results
end

return shares
