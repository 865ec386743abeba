-- Facts about the program and the machine that a run's file keeps and no comparison counts.

local core = require "perigee.core"
local code = require "perigee.run.code"

local machine = {}

-- What a Slurm job is told about itself.
local slurm = {
  "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_JOB_PARTITION", "SLURM_JOB_NODELIST",
  "SLURM_CPUS_PER_TASK", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT",
  "SLURM_PROCID", "SLURM_NTASKS",
}

---@param before table<string, any>? facts of the process that began the run
---@param begun number? core.sys.clock at the start of this one
---@return table<string, any>
function machine.facts (before, begun)
  local cpu, memory = core.cpu(), core.memory()
  local facts = {
    host = core.sys.hostname(), cpu = cpu.name, kernels = cpu.level, blas = cpu.blas,
    threads = core.threads(), perigee = core.version, lua = _VERSION,
    precision = code.precision, peak_tensor_bytes = memory.peak,
  }
  if begun then
    local seconds = before and tonumber(before.seconds) or 0
    facts.seconds = seconds + core.sys.clock() - begun
  end
  for _, name in ipairs(slurm) do
    local v = os.getenv(name)
    if v and v ~= "" then facts[name] = v end
  end
  return facts
end

return machine
