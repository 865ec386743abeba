-- perigee bench: Perigee's speed and memory beside PyTorch's.  The work is done in tests/bench.

local usage = [[
usage: perigee bench [NAME...] [--quick] [--all] [--out FILE] [--list]

Runs the named workloads (all when none is named) on Perigee and on PyTorch in turns, then single
operations beside this machine's limits (alone: `operations`), prints tables of ratios and, when all
of it ran on both sides, writes results/benchmarks.md.
PyTorch is looked for in the Python named by PERIGEE_PEER_PYTHON, else in python3.

  --quick      short blocks, to see that it works; writes no file; its numbers prove nothing
  --all        print every configuration, not only those compared
  --out FILE   write the results to FILE, whatever ran
  --list       name the workloads
  --help       this text
]]

local command = {summary = "measure speed and memory beside PyTorch", usage = usage}

---@param args string[] what follows `perigee bench`
---@return integer exit_code 0, 1 when something failed, 2 for a wrong command line
function command.run (args)
  for _, word in ipairs(args) do
    if word == "--help" or word == "-h" then
      io.write(usage)
      return 0
    end
  end
  local home = rawget(package, "home")   -- set by the interpreter
  if not package.searchpath("bench.main", home .. "/tests/?.lua") then
    io.stderr:write("perigee bench: ", home, " has no tests/bench; run it from a checkout\n")
    return 1
  end
  package.path = home .. "/tests/?.lua;" .. package.path
  return require("bench.main")(args)
end

return command
