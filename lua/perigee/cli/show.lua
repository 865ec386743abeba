-- perigee show: all that a run's file says, for a person.

local core      = require "perigee.core"
local arguments = require "perigee.run.arguments"
local claim     = require "perigee.run.claim"
local session   = require "perigee.run.session"
local store     = require "perigee.run.store"
local text      = require "perigee.run.text"
local runs      = require "perigee.cli.runs"
local terminal  = require "perigee.cli.terminal"

local show = {
  summary = "a run: settings, curves, claims, images, code and data",
  usage = [[
usage: perigee show RUN [--results DIR] [--code]

Shows the run in the file RUN, or the one in the results folder whose id begins with RUN.
  --code     print the sources it ran as well
Images are shown where the terminal can: kitty, iTerm, or 24-bit colours.  NO_COLOR turns it off.
]],
}

local function say (...)
  print(text.plain(string.format(...)))
end

local function heading (title)
  print("\n" .. title)
end

local function show_config (record)
  heading("settings")
  local rows = {}
  for _, key in ipairs(text.keys(record.config)) do
    local v = record.config[key]
    rows[#rows + 1] = { "  " .. key, type(v) == "number" and text.exact(v) or tostring(v) }
  end
  for _, row in ipairs(rows) do row[2] = row[2] .. " " end      -- keeps the column on the left
  for _, line in ipairs(text.columns(rows)) do say("%s", line) end
end

local function show_metrics (m)
  local wide = math.max(16, math.min(60, core.sys.columns() - 64))
  local rows = { { "  metric", "curve", "points", "least", "largest", "last", "unit" } }
  for _, split in ipairs(m:names()) do
    local s = m.splits[split]
    for _, name in ipairs(text.keys(s.columns)) do
      local values, key = {}, split .. "." .. name
      local low, high = math.huge, -math.huge
      for _, v in ipairs(s.columns[name]:list()) do
        if v == v then
          values[#values + 1] = v
          low, high = math.min(low, v), math.max(high, v)
        end
      end
      local some = #values > 0
      rows[#rows + 1] = { "  " .. key, terminal.sparkline(values, wide), tostring(#values),
        some and text.short(low) or "nan", some and text.short(high) or "nan",
        some and text.short(values[#values]) or "nan", (m.about[key] or {}).unit or "" }
    end
  end
  if #rows == 1 then return end
  heading("metrics")
  for _, line in ipairs(text.columns(rows)) do say("%s", line) end
end

local function show_images (record)
  if #record.images == 0 then return end
  heading("images")
  local rich = terminal.is_rich()
  local latest = {}
  for _, image in ipairs(record.images) do
    local other = latest[image.tag]
    if not other or image.step > other.step then latest[image.tag] = image end
  end
  for _, tag in ipairs(text.keys(latest)) do
    local steps = {}
    for _, image in ipairs(record.images) do
      if image.tag == tag then steps[#steps + 1] = image.step end
    end
    local shape = latest[tag].image.shape
    say("  %s  %d x %d  step %s", tag, shape[2], shape[1],
      #steps > 8 and #steps .. " of them, the last " .. steps[#steps] or table.concat(steps, ", "))
    if rich then terminal.show(latest[tag].image) end
  end
end

local function show_sources (record, whole)
  heading("code")
  if record.git then
    say("  commit %s%s", record.git.commit, record.git.dirty and " (changed)" or "")
  end
  local library = 0
  for _, s in ipairs(record.code) do
    if whole then
      say("\n-- %s  sha256 %s\n%s", s.name, s.sha256, s.text)
    elseif s.name:match("^lua/perigee/") then
      library = library + 1
    else
      say("  %s  sha256 %.12s", s.name, s.sha256)
    end
  end
  if library > 0 then print(string.format("  and %d files of the library", library)) end
  if next(record.data) then heading("data") end
  for _, name in ipairs(text.keys(record.data)) do
    local d = record.data[name]
    say("  %s  n = %s  sha256 %.12s  %s", name, tostring(d.n), tostring(d.sha256),
      tostring(d.source or ""))
  end
end

-- What the log beside an unfinished run adds to its file.
local function add_log (record, path)
  local records = core.io.log_read((path:gsub("%.h5$", ".log")))
  for _, line in ipairs(records or {}) do
    local split, step, wall, rest = line:match("^([^\t]+)\t(%d+)\t([%d.]+)\t?(.*)$")
    local values = {}
    for name, v in (rest or ""):gmatch("([^\t=]+)=([^\t]+)") do
      values[name] = tonumber(v) or 0 / 0
    end
    if split and not record.metrics:reaches(split, tonumber(step) + 1) then
      record.metrics:add(split, math.tointeger(tonumber(step)), tonumber(wall), values)
    end
  end
end

---@param argv string[]
---@return integer exit_code
function show.run (argv)
  local parsed, message = arguments.parse(argv, { results = "value", code = "flag" })
  if not parsed or #parsed.rest ~= 1 or parsed.settings[1] then
    io.stderr:write("perigee: ", message or show.usage:match("^[^\n]*"), "\n")
    return 2
  end
  local path, record
  path, message = runs.find(parsed.rest[1], parsed.options.results or "results")
  if path then record, message = store.load(path) end
  if not record then
    io.stderr:write("perigee: ", message, "\n")
    return 1
  end
  local head, env = record.head, record.env
  local status = runs.status(path, head.status)
  if status ~= "done" then add_log(record, path) end
  say("run %.12s  %s  %s", head.run_id, head.name, status)
  if head.about then say("%s", tostring(head.about)) end
  if head.message then say("failed with: %s", tostring(head.message)) end
  say("began %s  took %s  on %s  %s thread(s)  %s", text.date(head.created),
    text.duration(tonumber(env.seconds) or 0), tostring(env.host), tostring(env.threads),
    tostring(env.cpu))
  show_config(record)
  show_metrics(record.metrics)
  if #record.claims > 0 then heading("claims") end
  for _, c in ipairs(record.claims) do
    for k, v in pairs(c) do c[k] = type(v) == "string" and text.plain(v) or v end
    print("  " .. claim.line(c, session.colour()))
  end
  show_images(record)
  show_sources(record, parsed.options.code)
  return 0
end

return show
