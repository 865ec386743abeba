-- Perigee's side of a measurement: one workload in one process, driven by lines on stdin.
-- child.lua NAME THREADS FORM prepares the workload (or, for the name `operations`, the single
-- operation that FORM names), then answers
--   run N     seconds that N repeats took
--   memory    peak resident memory of this process in KiB

local peri = require "perigee"

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."

---VmHWM, in KiB.
local function peak ()
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^VmHWM:%s*(%d+)")
    if kib then return tonumber(kib) end
  end
  return 0
end

local function reply (...)
  io.stdout:write(string.format(...):gsub("\n", " "), "\n")
  io.stdout:flush()
end

local function main (name, threads, form)
  peri.threads(assert(tonumber(threads), "THREADS is not a number"))
  local start = peak()
  local folder = name == "operations" and here or here .. "/workloads"
  local workload = assert(loadfile(folder .. "/" .. name .. ".lua", "t"))()
  local run = workload.prepare(form)
  reply("ready %d", start)
  for line in io.stdin:lines() do
    local count = line:match("^run (%d+)$")
    if count then
      count = assert(math.tointeger(count))
      local begin = peri.sys.clock()
      run(count)
      reply("%.9g", peri.sys.clock() - begin)
    elseif line == "memory" then
      reply("%d", peak())
    else
      error("unknown request " .. line)
    end
  end
end

local done, problem = pcall(main, ...)
if not done then
  reply("error %s", tostring(problem))
  os.exit(1)
end
