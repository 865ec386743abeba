-- peri.run: starts the run that a script describes, or goes on with what an earlier process left.
-- What the script then says to it is in handle.lua, the process around it in session.lua.

local core     = require "perigee.core"
local text     = require "perigee.run.text"
local config   = require "perigee.run.config"
local code     = require "perigee.run.code"
local store    = require "perigee.run.store"
local metrics  = require "perigee.run.metrics"
local progress = require "perigee.run.progress"
local session  = require "perigee.run.session"
local Run      = require "perigee.run.handle"

-- An identical run that is done is not repeated, even where nothing can be written.
local function leave_if_done (run)
  local head = core.sys.stat(run.path) and store.head(run.path)
  if not head or head.status ~= "done" or head.run_id ~= run.id then return end
  local record = store.load(run.path)
  if not record or code.changed(record.code) then return end
  print("already done: " .. run.path .. "  (--again repeats it)")
  session.print_tail(record, run)
  session.leave(0)
end

-- What an earlier process left of this run; its checkpoint may be absent.
local function look_back (run)
  if not core.sys.stat(run.path) then return nil end
  local earlier, message = store.load(run.path, true)
  if earlier and earlier.head.run_id ~= run.id then
    message = run.path .. " belongs to the run " .. earlier.head.run_id
    earlier = nil
  end
  if not earlier then
    session.die(1, message .. "; move it away, or replace it with --again")
  end
  local changed = code.changed(earlier.code)
  if changed then
    print(changed .. " has changed since: starting again")
    return nil
  end
  return earlier
end

local function take_lock (run)
  local ok, message = core.sys.mkdir(run.path:match("^(.*)/"))
  if not ok then session.die(1, message .. "; --results DIR stores runs elsewhere") end
  local word
  run.lock, message, word = core.sys.lock((run.path:gsub("%.h5$", ".lock")))
  if not run.lock then
    session.die(1, word == "held" and run.path .. " is " .. message
      or message .. "; --results DIR stores runs elsewhere")
  end
end

-- Take over what the earlier process recorded up to its last checkpoint.
local function resume (run, earlier)
  local last = earlier.checkpoints.last
  if not last then return false end
  local record = run.record
  record.head.created = earlier.head.created
  record.data, record.claims = earlier.data, earlier.claims
  record.metrics, record.digest = earlier.metrics, earlier.digest
  record.metrics.about = run.schema.metrics
  record.metrics:cut(last.step)
  for _, image in ipairs(earlier.images) do
    if image.step <= last.step then
      image.image:keep()
      table.insert(record.images, image)
    end
  end
  local d = record.digest
  while d.step[#d.step] and d.step[#d.step] > last.step do
    d.step[#d.step], d.value[#d.value] = nil, nil
  end
  run.best_checkpoint = earlier.checkpoints.best
  run.env_before = earlier.env
  run.pending, run.replaying, run.has_checkpoint = last, true, true
  return true
end

-- The code and the arguments of a script that was not started by `perigee run`.
local function read_arguments ()
  local argv = rawget(_G, "arg") or {}
  local is_inline = argv[-1] == "-e"
  if not argv[-1] or argv[0] == "-" then
    error("peri.run wants a script in a file: a run's code is kept and can be read again", 3)
  end
  code.install()
  if is_inline then code.set_inline(argv[0]) else code.set_script(argv[0]) end
  session.script = not is_inline and argv[0] or nil
  session.arguments = session.parse(argv)
end

local function print_config (schema, values, preset, id)
  session.print_config(schema, values, config.show)
  local presets = text.keys(schema.presets)
  if #presets > 0 then
    local taken = preset ~= "" and "; taken: " .. preset or ""
    print("presets: " .. table.concat(presets, ", ") .. taken)
  end
  print("run id: " .. id)
end

local function new_record (run, values)
  local asked = {}
  for i, s in ipairs(session.arguments.settings) do asked[i] = s[1] .. "=" .. s[2] end
  return {
    head = { run_id = run.id, name = run.name, status = "running", seed = values.seed,
      about = run.schema.about, created = core.sys.now() },
    config = values, resolved = text.json(config.nest(values), ""),
    overrides = table.concat(asked, "\n"),
    git = code.git(code.script_folder()), env = {}, data = {}, claims = {}, images = {},
    metrics = metrics.new(run.schema.metrics), digest = { step = {}, value = {} },
    checkpoints = {},
  }
end

-- os.exit closes what is open, the loop over steps too: not as if it had ended.
local function watch_exit (run)
  local exit = os.exit
  rawset(os, "exit", function (...)
    run.left = true
    exit(...)
  end)
end

---Start the run that a script describes, or go on with it.
---@param spec table
---@return perigee.Run
local function start (spec)
  if session.current then error("peri.run was called twice in one process", 2) end
  local schema, message = config.declare(spec)
  if not schema then error(message, 2) end
  if not session.arguments then read_arguments() end
  local values, preset = config.resolve(schema, session.arguments.settings)
  if not values then session.die(2, preset) end
  session.started = true
  local id = code.run_id(schema.name, config.canonical(schema, values), code.settle())
  if session.mode == "config" then
    print_config(schema, values, preset, id)
    session.leave(0)
  end
  local threads = session.number("threads", true)
  if threads then core.threads(threads) end
  local results = (session.arguments.options.results or "results"):gsub("(.)/+$", "%1")
  local run = setmetatable({
    schema = schema, config = config.view(schema, values), preset = preset, id = id,
    name = schema.name, results = results,
    path = string.format("%s/%s/%s.h5", results, schema.name, id:sub(1, 12)),
    step = 0, done = 0, loops = 0, ends = {}, kept = {}, logged = {}, latest = {},
    progress = progress.new(),
    begun = core.sys.clock(), saved_at = core.sys.clock(),
    checkpoint_every = session.number("checkpoint-every") or schema.checkpoint_every,
    rng = core.rng(values.seed),
  }, Run)
  run.record = new_record(run, values)
  local again = session.arguments.options.again
  if not again then leave_if_done(run) end
  take_lock(run)
  watch_exit(run)
  session.current = run
  -- Asked again, now that nobody else can write: the run may have ended a moment ago.
  if not again then leave_if_done(run) end
  local earlier = not again and look_back(run)
  session.print_head(run)
  if earlier and resume(run, earlier) then
    run.progress:print("resuming after step %d", run.pending.step)
  end
  run:save(false)
  return run
end

return setmetatable({ start = start, finish = session.finish, ended = session.ended, Run = Run }, {
  __call = function (_, spec) return start(spec) end,
})
