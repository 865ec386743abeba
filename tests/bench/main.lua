-- The benchmark driver's command line: runs the chosen workloads on Perigee and on PyTorch, and
-- single operations beside the machine's limits; prints tables and writes results/benchmarks.md.
-- How they are compared is in compare.lua and shares.lua.

local peri = require "perigee"

local compare = require "bench.compare"
local machine = require "bench.machine"
local peer = require "bench.peer"
local report = require "bench.report"
local shares = require "bench.shares"
local workloads = require "bench.workloads"

local root = peri.sys.realpath(rawget(package, "home"))
local here = root .. "/tests/bench"

---What the words ask for.
---@param words string[]
---@return Workload[]|nil chosen, table|string options, or what is wrong
local function parse (words)
  local options, names, known = {}, {}, {}
  for _, workload in ipairs(workloads) do known[#known + 1] = workload.name end
  known[#known + 1] = "operations"
  local i = 1
  while i <= #words do
    local word = words[i]
    if word == "--quick" or word == "--all" or word == "--list" then
      options[word:sub(3)] = true
    elseif word == "--out" then
      i = i + 1
      options.out = words[i]
      if not options.out then return nil, "--out wants a file name after it" end
    elseif word:sub(1, 1) == "-" then
      return nil, ("unknown option %s (known: --quick --all --out --list --help)"):format(word)
    elseif (" " .. table.concat(known, " ") .. " "):find(" " .. word .. " ", 1, true) then
      names[word] = true
    else
      return nil, ("unknown workload %s (known: %s)"):format(word, table.concat(known, " "))
    end
    i = i + 1
  end
  local chosen = {}
  for _, workload in ipairs(workloads) do
    if next(names) == nil or names[workload.name] then chosen[#chosen + 1] = workload end
  end
  options.operations = next(names) == nil or names.operations
  return chosen, options
end

---Measure single operations and print them; the results go into `session`, for the report.
---@param plan table as compare.lua's
---@param session table
---@param quick boolean|nil
---@return integer failures
local function run_operations (plan, session, quick)
  local result, problem = shares {here = plan.here, threads = plan.threads,
    rounds = quick and 1 or 5, seconds = quick and 0 or 0.08,
    notice = function (line) io.stderr:write(line, "\n") end}
  session.shares, session.shares_problem = result, problem
  if not result then
    print("single operations: " .. problem)
    return 1
  end
  local failures = 0
  for _, share in ipairs(result) do failures = failures + (share.problem and 1 or 0) end
  print("\n" .. report.shares(result) .. "\n\n" .. report.share_goals(result))
  return failures
end

---@return string[][] what the session ran on, for the report
local function describe (pytorch)
  local facts = machine.facts(root)
  if not pytorch then
    facts[#facts + 1] = {"PyTorch", "none"}
    return facts
  end
  facts[#facts + 1] = {"PyTorch", ("%s, Python %s, %s"):format(pytorch.version, pytorch.python,
    pytorch.capability)}
  facts[#facts + 1] = {"PyTorch's BLAS", ("%s; %s"):format(pytorch["build.BLAS_INFO"] or "unknown",
    pytorch.mkl or "no MKL")}
  facts[#facts + 1] = {"PyTorch's oneDNN", pytorch.onednn or "none"}
  return facts
end

---@param words string[] what follows `perigee bench`
---@return integer exit code: 0, 1 when something failed, 2 for a wrong command line
local function main (words)
  local chosen, options = parse(words)
  if not chosen then
    io.stderr:write("perigee bench: ", options, "\n")
    return 2
  end
  if options.list then
    for _, workload in ipairs(workloads) do
      print(("%-16s %s"):format(workload.name, workload.text))
    end
    print(("%-16s %s"):format("operations", "single operations beside this machine's limits"))
    return 0
  end

  local blocks, seconds = 9, 0.4
  if options.quick then blocks, seconds = 3, 0.05 end
  local cores = peri.threads()
  local threads = cores > 1 and {1, cores} or {1}
  local pytorch, missing = nil, "nothing to compare"
  if #chosen > 0 then pytorch, missing = peer.pytorch(here .. "/child.py") end
  local facts = describe(pytorch)
  for _, fact in ipairs(facts) do print(("%-18s %s"):format(fact[1], fact[2])) end
  if not pytorch and #chosen > 0 then print(missing .. "; only Perigee's side runs") end
  if machine.load() > 0.5 then
    print("the machine is not idle: these numbers are no evidence")
  end

  local plan = {root = root, here = here, threads = threads, pytorch = pytorch, blocks = blocks,
    seconds = seconds}
  local results, failures = {}, 0
  for i, workload in ipairs(chosen) do
    io.stderr:write(("[%d/%d] %s\n"):format(i, #chosen, workload.name))
    results[i] = compare(workload, plan)
    for _, entrant in ipairs(results[i].entrants) do
      if entrant.problem then
        failures = failures + 1
        print(("%s: %s %s failed: %s"):format(workload.name, entrant.side, report.how(entrant),
          entrant.problem))
      end
    end
  end

  if #results > 0 then
    print("\n" .. report.table(results))
    if options.all then print("\n" .. report.details(results)) end
    print("\nmedians of " .. blocks .. " blocks; a ratio below 1 means that Perigee takes less\n")
    for _, line in ipairs(report.goals(results)) do print(line) end
  end
  local session = {facts = facts, blocks = blocks, seconds = seconds}
  if options.operations then
    failures = failures + run_operations(plan, session, options.quick)
  end

  local out = options.out
  local whole = pytorch and #chosen == #workloads and options.operations and failures == 0
    and not options.quick
  if not out and whole then out = root .. "/results/benchmarks.md" end
  if not out then
    print("\nresults/benchmarks.md left as it was: it takes every workload on both sides"
      .. " and the operations, without --quick")
    return failures > 0 and 1 or 0
  end
  session.remark = options.quick and "A --quick run: these numbers prove nothing."
    or not pytorch and #chosen > 0 and "No PyTorch here: only Perigee's side ran." or nil
  session.date = os.date("!%Y-%m-%d %H:%M UTC")
  local text = report.markdown(results, session)
  local written, problem = peri.sys.write_atomic(out, text)
  if not written then
    io.stderr:write("perigee bench: ", problem, "\n")
    return 1
  end
  print("\nwritten: " .. out)
  return failures > 0 and 1 or 0
end

return main
