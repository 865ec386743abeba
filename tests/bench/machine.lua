-- What a measurement ran on: processor, memory, versions.  Reads and asks; formats nothing.

local peri = require "perigee"

local machine = {}

---The first capture of a pattern in a file, or "unknown".
local function find (path, pattern)
  local file = io.open(path, "r")
  if not file then return "unknown" end
  local text = file:read("a")
  file:close()
  return text:match(pattern) or "unknown"
end

---@return number processes that ran or waited to run in the last minute, on average
function machine.load ()
  return tonumber(find("/proc/loadavg", "^(%S+)")) or 0
end

---The commit of a checkout, with "+" when files differ from it.
---@param root string
---@return string
local function commit (root)
  local function git (...)
    local result = peri.sys.run({"git", "-C", root, ...})
    return result and result.code == 0 and result.out or nil
  end
  local id = git("rev-parse", "--short=10", "HEAD")
  if not id then return "no commit" end
  local changes = git("status", "--porcelain", "--untracked-files=no")
  return id:match("%x+") .. (changes ~= "" and "+ (files changed)" or "")
end

---@param root string the checkout
---@return {[1]: string, [2]: string}[] names and values, in the order to show them
function machine.facts (root)
  local cores = select(2, find("/proc/cpuinfo", "^(.*)$"):gsub("processor%s*:", ""))
  local kib = tonumber(find("/proc/meminfo", "MemTotal:%s*(%d+)")) or 0
  local cpu = peri.cpu()
  return {
    {"processor", find("/proc/cpuinfo", "model name%s*:%s*([^\n]*)")},
    {"cores", tostring(cores)},
    {"memory", ("%.1f GiB"):format(kib / 2 ^ 20)},
    {"system", find("/proc/sys/kernel/ostype", "%S+") .. " "
      .. find("/proc/sys/kernel/osrelease", "%S+")},
    {"load at the start", ("%.2f"):format(machine.load())},
    {"Perigee", commit(root)},
    {"Perigee's kernels", ("%s (%s), BLAS %s"):format(cpu.level, cpu.name, cpu.blas)},
  }
end

return machine
