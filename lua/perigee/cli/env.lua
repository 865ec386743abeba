-- perigee env: what this program is, what it runs on, and where it keeps things.

local core    = require "perigee.core"
local code    = require "perigee.run.code"
local machine = require "perigee.run.machine"
local text    = require "perigee.run.text"

local env = {
  summary = "versions, processor, kernels in use, memory, folders",
  usage = [[
usage: perigee env

Prints the version, the precision of `real`, the processor and the kernels chosen for it, the
threads in use, the memory of the machine, and the folders of the program, results and data.
]],
}

-- "MemTotal" and "MemAvailable" of Linux, in bytes.
local function memory ()
  local found = {}
  local file = io.open("/proc/meminfo")
  if not file then return found end
  for line in file:lines() do
    local name, kib = line:match("^(%w+):%s+(%d+) kB")
    if name then found[name] = tonumber(kib) * 1024 end
  end
  file:close()
  return found
end

---@param argv string[]
---@return integer exit_code
function env.run (argv)
  if argv[1] then
    io.stderr:write("perigee: env takes no arguments\n")
    return 2
  end
  local facts, ram = machine.facts(), memory()
  local rows = {
    { "perigee", string.format("%s, %s, numeric version %d", facts.perigee, facts.precision,
      code.numeric_version) },
    { "lua", facts.lua }, { "host", facts.host }, { "cpu", facts.cpu },
    { "kernels", facts.kernels }, { "blas", facts.blas },
    { "conv", core.cpu().convolution }, { "threads", tostring(facts.threads) },
  }
  if ram.MemTotal then
    rows[#rows + 1] = { "memory", string.format("%s, %s available", text.bytes(ram.MemTotal),
      text.bytes(ram.MemAvailable or 0)) }
  end
  rows[#rows + 1] = { "home", code.home() }
  rows[#rows + 1] = { "results", core.sys.cwd() .. "/results" }
  local folder, message = require("perigee.data.fetch").root()
  rows[#rows + 1] = { "data", folder or message }
  for _, row in ipairs(rows) do print(string.format("%-8s %s", row[1], row[2] or "unknown")) end
  return 0
end

return env
