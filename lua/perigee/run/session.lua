-- One experiment in one process: reads its arguments, runs the script, and ends the run whatever
-- happens: done, failed, or stopped.  Prints what a person sees before and after the steps.

local core      = require "perigee.core"
local text      = require "perigee.run.text"
local arguments = require "perigee.run.arguments"
local claim     = require "perigee.run.claim"
local code      = require "perigee.run.code"

local session = {
  mode = "run",          -- or "config": print the configuration at peri.run and leave
  script = nil,          -- path as the user typed it
  arguments = nil,       -- perigee.Arguments
  current = nil,         -- perigee.Run
}

---The options of `perigee run` and of scripts run directly.
session.options = {
  threads = "value", results = "value", again = "flag", ["checkpoint-every"] = "value",
  help = "flag",
}

---Leave the process; nothing of the run is in flight.
---@param exit_code integer
function session.leave (exit_code)
  local run = session.current
  session.current = nil
  if run then
    run.left = true
    run:release()
  end
  io.stdout:flush()
  core.sys.exit(exit_code)
end

---Leave with one line on stderr.
---@param exit_code integer 1 failure, 2 usage
---@param message string
function session.die (exit_code, message)
  if session.current then session.current.progress:clear() end
  io.stdout:flush()
  io.stderr:write("perigee: ", message, "\n")
  session.leave(exit_code)
end

---Parse the arguments after the script's name, or leave with exit code 2.
---@param argv string[]
---@param first integer?
---@return perigee.Arguments
function session.parse (argv, first)
  local parsed, message = arguments.parse(argv, session.options, first)
  if not parsed then return session.die(2, message) end
  if parsed.rest[1] then
    return session.die(2, "what is '" .. parsed.rest[1] .. "'? settings are written key=value")
  end
  return parsed
end

-- A word as a shell reads it back.
local function quote (word)
  if word:match("^[%w_./=:,+@%%-]+$") then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

---The command that goes on with a run.
---@param run perigee.Run
---@return string
function session.again_text (run)
  local words = { "perigee run", quote(session.script or "FILE") }
  for _, s in ipairs(session.arguments.settings) do
    words[#words + 1] = quote(s[1] .. "=" .. s[2])
  end
  if run.results ~= "results" then words[#words + 1] = "--results " .. quote(run.results) end
  return table.concat(words, " ")
end

---May colours be used on standard output?
---@return boolean
function session.colour ()
  return core.sys.isatty(1) and (os.getenv("NO_COLOR") or "") == ""
end

---The first line of a run.
---@param run perigee.Run
function session.print_head (run)
  local git = run.record.git
  local commit = "no commit"
  if git then
    commit = "commit " .. git.commit:sub(1, 7) .. (git.dirty and " (changed)" or " (clean)")
  end
  local threads = core.threads()
  run.progress:print("run %s  %s  seed=%d%s  %s  %d thread%s  -> %s", run.id:sub(1, 6), run.name,
    run.config.seed, run.preset ~= "" and "  preset=" .. run.preset or "", commit,
    threads, threads == 1 and "" or "s", run.path)
end

---The last lines of a run: claims, files, and what to try.
---@param record perigee.Record
---@param run perigee.Run
function session.print_tail (record, run)
  local path = run.path
  for _, c in ipairs(record.claims) do print(claim.line(c, session.colour())) end
  print("run: " .. path)
  local shown = {}
  for _, image in ipairs(record.images) do
    local png = path:gsub("%.h5$", "") .. "/" .. image.tag .. ".png"
    if not shown[png] and core.sys.stat(png) then
      print(image.tag .. ": " .. png)
      shown[png] = true
    end
  end
  print("next: perigee show " .. quote(path))
  for _, preset in ipairs(session.script and text.keys(run.schema.presets) or {}) do
    if preset ~= run.preset then
      print(string.format("      perigee run %s preset=%s", quote(session.script), preset))
    end
  end
  io.stdout:flush()
end

---End the run that is under way, if any: its file is written a last time.  A script that is run by
---`perigee` need not call it.
function session.finish ()
  local run = session.current
  if not run then return end
  run.record.head.status, run.record.head.finished = "done", core.sys.now()
  run.record.head.message = nil
  run:save(false)
  run.progress:clear()
  session.print_tail(run.record, run)
  session.current = nil
  run:release(true)
end

---The script failed, or Ctrl-C ended it outside of its steps: what it said goes to the file, beside
---the last checkpoint.
---@param message string
function session.fail (message)
  local run = session.current
  if not run then return end
  local head = run.record.head
  message = message:match("^[^\n]*"):sub(1, 4000)
  if message:match("interrupted$") then
    head.status = "preempted"
  else
    head.status, head.message = "failed", message
  end
  run:save(false)
  io.stderr:write("run: ", run.path, " (", head.status, ")\n")
  session.current = nil
  run:release()
end

-- The text of whatever was raised, with a traceback where it is a plain error.
local function explain (problem)
  if type(problem) ~= "string" then
    local meta = getmetatable(problem)
    if type(meta) == "table" and meta.__tostring then return tostring(problem) end
    problem = "(error object is a " .. type(problem) .. " value)"
  end
  return debug.traceback(problem, 2)
end

---Run a script under the engine.
---@param path string
---@param argv string[] its arguments from index 1
---@param mode "run"|"config"|"script" "script" does not insist on peri.run
---@return integer exit_code
function session.execute (path, argv, mode)
  session.script, session.mode = path, mode == "config" and "config" or "run"
  if mode ~= "script" then session.arguments = session.parse(argv) end
  code.install()
  code.set_script(path)
  local chunk, message = code.load_file(path)
  if not chunk then
    io.stderr:write("perigee: ", message, "\n")
    return core.sys.stat(path) and 1 or 2
  end
  local list = { [0] = path }
  table.move(argv, 1, #argv, 1, list)
  rawset(_G, "arg", list)
  local ok, problem = xpcall(chunk, explain, table.unpack(list))
  if not ok then
    if session.current then session.current.progress:clear() end
    io.stdout:flush()
    io.stderr:write("perigee: ", problem, "\n")
  end
  session.ended(ok, problem)
  if ok and mode ~= "script" and not session.started then
    io.stderr:write(string.format("perigee: %s never called peri.run: nothing was recorded " ..
      "(`perigee %s` runs a script that is not an experiment)\n", path, path))
    return 1
  end
  return ok and 0 or 1
end

---A script has ended, and its error, if any, was printed: end its run.
---@param ok boolean
---@param problem string? the error with its traceback
function session.ended (ok, problem)
  if ok then session.finish() else session.fail(problem) end
end

---The number after --threads and --checkpoint-every, or leave with exit code 2.
---@param name string
---@param integer boolean?
---@return number?
function session.number (name, integer)
  local value, message = arguments.positive(session.arguments, name, integer)
  if message then return session.die(2, message) end
  return value
end

---One key = value a line with its meaning, for `perigee config`.
---@param schema perigee.Schema
---@param values table<string, any>
---@param show fun(value: any): string
function session.print_config (schema, values, show)
  local rows = { { "setting", "value", "default", "meaning" } }
  for _, leaf in ipairs(schema.leaves) do
    local value, default = show(values[leaf.key]), show(leaf.default)
    rows[#rows + 1] = { leaf.key, value, value == default and "" or default, leaf.doc or "" }
  end
  for _, line in ipairs(text.columns(rows)) do print(line) end
end

return session
