-- Results as an aligned table for the terminal and as Markdown for results/benchmarks.md.
-- Formats what it is given; measures and decides nothing.

local report = {}

---A time with three significant digits and a fitting unit.
---@param seconds number
---@return string
function report.time (seconds)
  for _, unit in ipairs({{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}}) do
    local value = seconds / unit[1]
    if value >= 0.9995 or unit[2] == "ns" then
      local digits = value >= 99.95 and 0 or value >= 9.995 and 1 or 2
      return ("%." .. digits .. "f %s"):format(value, unit[2])
    end
  end
end

---@param kib number|nil
---@return string MiB, or "-"
function report.mib (kib)
  return kib and ("%.1f"):format(kib / 1024) or "-"
end

---@param summary Summary|nil of ratios
---@return string median with its quartiles, or "-"
function report.ratio (summary)
  if not summary then return "-" end
  return ("%.3g (%.3g-%.3g)"):format(summary.median, summary.q1, summary.q3)
end

---@param entrant Entrant|nil
---@return string the form and the number of threads it ran with
function report.how (entrant)
  if not entrant then return "" end
  return ("%s%s"):format(entrant.form, entrant.threads and " x" .. entrant.threads or "")
end

local head = {"workload", "Perigee", "", "PyTorch", "", "ratio (quartiles)", "MiB", "PyTorch's",
  "ratio"}

---@param result Result
---@return string[] cells, as in `head`
local function row (result)
  local ours, theirs = result.perigee, result.pytorch
  return {
    result.workload.name,
    ours and report.time(ours.summary.median) or "failed", report.how(ours),
    theirs and report.time(theirs.summary.median) or "-", report.how(theirs),
    report.ratio(result.ratio),
    report.mib(ours and ours.peak_kib), report.mib(theirs and theirs.peak_kib),
    result.memory_ratio and ("%.3g"):format(result.memory_ratio) or "-",
  }
end

---Rows of cells as lines, the columns aligned: the first and those named left, the others right.
---@param rows string[][]
---@param left table<integer, boolean>
---@return string
function report.align (rows, left)
  local widths = {}
  for _, cells in ipairs(rows) do
    for i, cell in ipairs(cells) do widths[i] = math.max(widths[i] or 0, #cell) end
  end
  local lines = {}
  for n, cells in ipairs(rows) do
    local padded = {}
    for i, cell in ipairs(cells) do
      local blank = (" "):rep(widths[i] - #cell)
      padded[i] = left[i] and cell .. blank or blank .. cell
    end
    lines[n] = table.concat(padded, "  "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end

---The table of ratios for a terminal.
---@param results Result[]
---@return string
function report.table (results)
  local rows = {head}
  for i, result in ipairs(results) do rows[i + 1] = row(result) end
  return report.align(rows, {true, false, true, false, true})
end

-- The geometric mean of the training steps' ratios, against two thirds.
local function mean_goal (results)
  local sum, n = 0, 0
  for _, result in ipairs(results) do
    if result.workload.step and result.ratio then
      sum, n = sum + math.log(result.ratio.median), n + 1
    end
  end
  if n == 0 then return nil end
  local mean = math.exp(sum / n)
  return ("%-6s  %d training steps at least 1.5 times as fast as PyTorch in the geometric mean of"
    .. " their ratios: %.3g"):format(mean <= 2 / 3 and "holds" or "MISSED", n, mean)
end

---What is promised of the workloads and whether it held, a line each.
---@param results Result[]
---@return string[]
function report.goals (results)
  local lines = {mean_goal(results)}
  for _, result in ipairs(results) do
    for _, goal in ipairs(result.goals) do
      local value = "not measured"
      if goal.value then
        value = goal.goal.value == "time" and report.time(goal.value)
          or ("%.3g"):format(goal.value)
      end
      local verdict = goal.holds and "holds" or goal.value and "MISSED" or "open"
      lines[#lines + 1] = ("%-6s  %s %s: %s"):format(verdict, result.workload.name,
        goal.goal.text, value)
    end
  end
  return lines
end

local function markdown_row (cells)
  local escaped = {}
  for i, cell in ipairs(cells) do escaped[i] = cell:gsub("|", "\\|") end
  return "| " .. table.concat(escaped, " | ") .. " |"
end

local function markdown_table (rows)
  local lines = {markdown_row(rows[1]), "|" .. ("---|"):rep(#rows[1])}
  for i = 2, #rows do lines[i + 1] = markdown_row(rows[i]) end
  return table.concat(lines, "\n")
end

---Every entrant of every workload, also those that lost or failed, as rows of cells.
---@param results Result[]
---@return string[][]
local function entrant_rows (results)
  local rows = {{"workload", "side", "form, threads", "median", "quartiles", "range", "blocks",
    "MiB at start", "peak MiB"}}
  for _, result in ipairs(results) do
    for _, entrant in ipairs(result.entrants) do
      local s = entrant.summary
      rows[#rows + 1] = {
        result.workload.name, entrant.side, report.how(entrant),
        s and report.time(s.median) or "failed: " .. entrant.problem,
        s and report.time(s.q1) .. " - " .. report.time(s.q3) or "-",
        s and report.time(s.low) .. " - " .. report.time(s.high) or "-",
        s and tostring(s.n) or "-", report.mib(entrant.start_kib), report.mib(entrant.peak_kib),
      }
    end
  end
  return rows
end

---Every configuration, for a terminal.
---@param results Result[]
---@return string
function report.details (results)
  return report.align(entrant_rows(results), {true, true, true})
end

---Single operations, a row each: what was reached, the limit, the share, and what was promised.
---@param shares Share[]
---@return string[][]
local function share_rows (shares)
  local rows = {{"operation", "threads", "reached", "limit", "", "share (quartiles)", "goal", ""}}
  for i, one in ipairs(shares) do
    local unit = one.operation.limit == "peak" and "GFLOP/s" or "GB/s"
    local function rate (summary)
      return summary and ("%.1f %s"):format(summary.median / 1e9, unit) or "-"
    end
    rows[i + 1] = {
      one.operation.name, tostring(one.threads), rate(one.achieved), rate(one.limit),
      one.operation.limit, report.ratio(one.share), ("%.2f"):format(one.goal),
      one.problem and "failed: " .. one.problem or one.holds and "holds" or "missed",
    }
  end
  return rows
end

---The table of single operations for a terminal.
---@param shares Share[]
---@return string
function report.shares (shares)
  return report.align(share_rows(shares), {[1] = true, [5] = true, [8] = true})
end

---@param shares Share[]
---@return string how many promises of each family hold
function report.share_goals (shares)
  local order, held, all = {}, {}, {}
  for _, one in ipairs(shares) do
    local family = one.operation.family
    if not all[family] then order[#order + 1], all[family], held[family] = family, 0, 0 end
    all[family] = all[family] + 1
    if one.holds then held[family] = held[family] + 1 end
  end
  local parts = {}
  for i, family in ipairs(order) do
    parts[i] = ("%s %d of %d"):format(family, held[family], all[family])
  end
  return "goals that hold: " .. table.concat(parts, ", ")
end

---@param shares Share[]|nil
---@param problem string|nil why there are none
---@return string the section of results/benchmarks.md, or nothing when they were not asked for
local function share_section (shares, problem)
  if not shares and not problem then return "" end
  return "## Single operations against this machine's limits\n\n" .. (shares
    and report.share_goals(shares) .. ".\n\n" .. markdown_table(share_rows(shares))
    or "Not measured: " .. problem)
end

---The whole of results/benchmarks.md.
---@param results Result[]
---@param session table date, facts (names and values), blocks, seconds (of a block), remark?,
---shares? and shares_problem? of single operations
---@return string
function report.markdown (results, session)
  local facts, works, ratios = {{"", ""}}, {}, {head}
  for i, fact in ipairs(session.facts) do facts[i + 1] = fact end
  for i, result in ipairs(results) do
    works[i] = ("- `%s`: %s"):format(result.workload.name, result.workload.text)
    ratios[i + 1] = row(result)
  end
  local start = {
    "# Benchmarks",
    "Made by `perigee bench` on " .. session.date .. "; generated, not edited."
      .. " What is measured and how to read it: tests/bench/README.md.",
    session.remark or "",
  }
  local single = share_section(session.shares, session.shares_problem)
  local machine = {"## Machine and versions", markdown_table(facts)}
  local parts = #results == 0 and {single} or {
    markdown_table(ratios),
    ("Medians of %d blocks of about %g s; a ratio below 1 means that Perigee takes less; x2 means"
      .. " 2 threads; MiB is peak resident memory of the process."):format(session.blocks,
      session.seconds),
    table.concat(works, "\n"),
    "## Promises",
    "- " .. table.concat(report.goals(results), "\n- "),
    single,
    "## Every configuration",
    markdown_table(entrant_rows(results)),
  }
  table.move(parts, 1, #parts, #start + 1, start)
  table.move(machine, 1, #machine, #start + 1, start)
  return (table.concat(start, "\n\n"):gsub("\n\n\n+", "\n\n")) .. "\n"
end

return report
