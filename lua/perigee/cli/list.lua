-- perigee list: a table of the runs in a folder.

local arguments = require "perigee.run.arguments"
local text      = require "perigee.run.text"
local runs      = require "perigee.cli.runs"

local list = {
  summary = "the runs in a folder",
  usage = [[
usage: perigee list [NAME] [--results DIR]

Lists the runs in the results folder, oldest first: id, name, status, when they began, how long they
took, their claims (+ holds, - fails, ? not judged), and the last value of every metric but those of
training.  With NAME only the runs of that name.
]],
}

local marks = { holds = "+", fails = "-" }

local function results_text (summary)
  local parts = {}
  for _, key in ipairs(text.keys(summary)) do
    local derived = key:match("%.best$") or key:match("%.best_step$") or key:match("_sem$")
    if not derived and not key:match("^train%.") and type(summary[key]) == "number" then
      parts[#parts + 1] = key .. " " .. text.short(summary[key])
    end
  end
  return table.concat(parts, "  ")
end

---@param argv string[]
---@return integer exit_code
function list.run (argv)
  local parsed, message = arguments.parse(argv, { results = "value" })
  if not parsed or parsed.settings[1] or parsed.rest[2] then
    io.stderr:write("perigee: ", message or list.usage:match("^[^\n]*"), "\n")
    return 2
  end
  local results = parsed.options.results or "results"
  local paths
  paths, message = runs.paths(results)
  if not paths then
    io.stderr:write("perigee: ", message, "\n")
    return 1
  end
  local heads, damaged = {}, 0
  for _, path in ipairs(paths) do
    local head
    head, message = runs.head(path)
    if not head then
      io.stderr:write("perigee: ", message, "\n")
      damaged = damaged + 1
    elseif not parsed.rest[1] or head.name == parsed.rest[1] then
      head.created = tonumber(head.created) or 0
      heads[#heads + 1] = head
    end
  end
  if #heads == 0 then
    print("no runs in " .. results)
    return damaged > 0 and 1 or 0
  end
  table.sort(heads, function (a, b)
    if a.created ~= b.created then return a.created < b.created end
    return tostring(a.run_id) < tostring(b.run_id)
  end)
  local rows = { { "run", "name", "status", "began", "time", "claims", "results" } }
  for _, head in ipairs(heads) do
    local claims = {}
    for i, verdict in ipairs(head.verdicts) do claims[i] = marks[verdict] or "?" end
    rows[#rows + 1] = { tostring(head.run_id):sub(1, 12), tostring(head.name), head.status,
      text.date(head.created), text.duration(head.seconds),
      table.concat(claims), results_text(head.summary) }
  end
  for _, line in ipairs(text.columns(rows)) do print(text.plain(line)) end
  return damaged > 0 and 1 or 0
end

return list
