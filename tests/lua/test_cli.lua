-- Runs as processes: the commands, resuming after kills and signals, threads, and everything that
-- can go wrong between a user, a folder and a disk.  Uses the toy experiment of tests/smoke.

local check = require "check"
local core  = require "perigee.core"

local test = check.test
local perigee = core.sys.realpath(arg[-1])
local here = core.sys.realpath(arg[0]:match("^(.*)/[^/]*$") or ".")
local toy = here:match("^(.*)/[^/]*$") .. "/smoke/toy.lua"

local folder = os.tmpname()
os.remove(folder)
assert(core.sys.mkdir(folder))

-- The collector's stress makes processes very slow and tests nothing here that it does not test in
-- the suites of one process.
if os.getenv "PERIGEE_STRESS_COLLECTOR" then
  print("processes are not run again under the collector's stress")
  os.exit(0, true)
end
local quiet = { "env", "NO_COLOR=1" }

local function start (prefix, words)
  local argv = { table.unpack(quiet) }
  table.move(prefix, 1, #prefix, #argv + 1, argv)
  argv[#argv + 1] = perigee
  table.move(words, 1, #words, #argv + 1, argv)
  return assert(core.sys.run(argv, { cwd = folder }))
end

local function run (...) return start({}, { ... }) end

-- Run the toy into a results folder of its own.
local function toy_run (results, ...)
  return run("run", toy, "--results", results, ...)
end

-- The one run file in a results folder.
local function file_in (results)
  local found
  for _, name in ipairs(core.sys.list(folder .. "/" .. results .. "/toy") or {}) do
    if name:match("%.h5$") then
      check.equal(found, nil)
      found = folder .. "/" .. results .. "/toy/" .. name
    end
  end
  check.is_true(found)
  return found
end

local function status_of (path)
  local f = assert(core.h5.open(path))
  local status = f:attrs("/").status
  f:close()
  return status
end

-- An error is one line on stderr that begins as all do and has every pattern.
local function check_refused (result, exit_code, ...)
  if result.code ~= exit_code then error(result.out .. result.err, 2) end
  local err = result.err:gsub("\n$", "")
  check.is_true(err:match("^perigee: ") and not err:find("\n"))
  for _, pattern in ipairs { ... } do
    if not err:find(pattern, 1, true) then error(err .. " lacks " .. pattern, 2) end
  end
end

local function check_same (a, b)
  local result = run("diff", a, b)
  if result.code ~= 0 then error(result.out .. result.err, 2) end
end

-- --- a run and what is shown of it ------------------------------------------------------------

test("a run ends with its claims, its files and what to try", function ()
  local result = toy_run("plain")
  check.equal({ result.code, result.err }, { 0, "" })
  local path = file_in("plain")
  check.equal(status_of(path), "done")
  local last = result.out:match("claim holds: the first loop ended.*$")
  check.is_true(last and last:find("\nclaim holds: loss below 100:", 1, true))
  check.is_true(last:find("\nclaim not judged: noise can be compressed; this is a toy\n", 1, true))
  check.is_true(last:find("weights: plain/toy/%x+/weights.png\n"))
  check.is_true(last:find("\nnext: perigee show plain/toy/%x+.h5\n"))
  check.is_true(last:find("perigee run [^\n]+toy.lua preset=tiny\n"))
  check.is_true(not result.out:find("\r"))
  local left = {}
  for _, name in ipairs(core.sys.list(folder .. "/plain/toy")) do
    left[#left + 1] = name:gsub("%x%x%x%x%x%x%x%x%x%x%x%x", "ID")
  end
  check.equal(left, { "ID", "ID.h5" })       -- no log, lock or temporary file stays
  check.is_true(core.io.png_read(path:gsub("%.h5$", "/weights.png")))
end)

test("a finished run is not repeated, and --again repeats it to the last bit", function ()
  local path = file_in("plain")
  local before = core.io.sha256_file(path)
  local result = toy_run("plain")
  check.equal(result.code, 0)
  check.is_true(result.out:find("already done: ", 1, true))
  check.is_true(result.out:find("claim holds: loss below 100", 1, true))
  check.equal(core.io.sha256_file(path), before)
  check.is_true(core.sys.rename(path, folder .. "/first.h5"))
  check.equal(toy_run("plain").code, 0)
  check_same(path, folder .. "/first.h5")
  check.equal(toy_run("plain", "--again").code, 0)
  check_same(path, folder .. "/first.h5")
end)

test("threads, by option or environment, change no bit", function ()
  for i, prefix in ipairs { { "env", "OMP_NUM_THREADS=1" }, { "env", "OMP_NUM_THREADS=2" }, {} } do
    local results = "threads" .. i
    local words = { "run", toy, "--results", results }
    if i == 3 then table.move({ "--threads", "3" }, 1, 2, 5, words) end
    check.equal(start(prefix, words).code, 0)
    check_same(file_in(results), folder .. "/first.h5")
  end
end)

test("the layout is what HDF5 readers expect", function ()
  local f = assert(core.h5.open(file_in("plain")))
  for _, name in ipairs { "/config/resolved", "/code/tests/smoke/toy.lua",
    "/code/lua/perigee/run/loop.lua", "/metrics/train/step", "/metrics/train/loss",
    "/metrics/train/final_sem", "/claims/2", "/summary", "/images/weights/step_00000040",
    "/digest/value", "/checkpoints/last/parameters/down", "/checkpoints/last/optimizer",
    "/checkpoints/last/random", "/checkpoints/last/loader", "/checkpoints/best/parameters/up",
    "/data/noise.train", "/env" } do
    if not f:has(name) then error("the file lacks " .. name) end
  end
  check.equal(f:read("/digest/step"), { 7, 14, 21, 28, 35, 40 })
  check.equal(#f:read("/metrics/train/loss"), 40)
  check.equal(f:attrs("/metrics/train/loss").unit, "nats")
  check.equal(f:attrs("/checkpoints/last/random"), { seed = 1, step = 40 })
  local config = f:attrs("/config")
  check.equal({ config.lr, config["model.latent"], config.verbose, config.widths },
    { 0.01, 3, false, "[4, 5]" })
  check.equal(math.type(config.steps), "integer")
  f:close()
end)

test("list, show, config, env and help say what there is", function ()
  local id = file_in("plain"):match("(%x+)%.h5$")
  local result = run("list", "--results", "plain")
  check.equal(result.code, 0)
  check.is_true(result.out:find(id .. "  toy   done", 1, true))
  result = run("show", id:sub(1, 5), "--results", "plain")
  check.equal({ result.code, result.err }, { 0, "" })
  for _, pattern in ipairs { "train.loss", "▁", "claim holds: loss below 100", "weights",
    "noise.train", "tests/smoke/toy.lua", "model.latent" } do
    check.is_true(result.out:find(pattern, 1, true))
  end
  check.is_true(not result.out:find("\27"))
  result = run("config", toy, "lr=3e-4")
  check.equal(result.code, 0)
  check.is_true(result.out:find("lr%s+0.0003%s+0.01%s+Adam step size"))
  check.is_true(run("config", toy).out:find("run id: " .. id, 1, true))
  check.equal(run("env").code, 0)
  check.equal(run("help").code, 0)
  for name in ("run config list show diff data env bench test"):gmatch("%a+") do
    result = run(name, "--help")
    check.equal({ result.code, result.err }, { 0, "" })
    check.is_true(result.out:find("^usage: perigee " .. name))
    check.equal(run("help", name).out, result.out)
  end
  result = run("help", "nn.linear")
  check.equal({ result.code, result.err }, { 0, "" })
  check.is_true(result.out:find("^nn.linear%(given%)\n"))
  result = run("help", "nn.liner")
  check.equal({ result.code, result.out }, { 2, "" })
  check.is_true(result.err:find("did you mean nn.linear?", 1, true))
end)

-- --- diff ---------------------------------------------------------------------------------------

test("diff names what differs, and the first step at which it does", function ()
  check.equal(toy_run("other", "lr=0.011").code, 0)
  local result = run("diff", file_in("plain"), file_in("other"))
  check.equal(result.code, 1)
  check.is_true(result.out:find("/config: lr is 0.01 and 0.011", 1, true))
  -- the loss of step 1 is computed before the first update, so step 2 is the first to differ
  check.is_true(result.out:find("/metrics/train/loss: %d+ of 40 differ, first at step 2 "))
  check.is_true(result.out:find("/digest/value: 6 of 6 differ, first at step 7", 1, true))
  check.is_true(result.out:find("/checkpoints/best/parameters/down: ", 1, true))
  check.equal(run("diff", file_in("other"), file_in("plain")).code, 1)
end)

test("diff of what cannot be read exits with 2", function ()
  local path = file_in("plain")
  local file = assert(io.open(path, "rb"))
  local content = file:read("a")
  file:close()
  file = assert(io.open(folder .. "/half.h5", "wb"))
  file:write(content:sub(1, #content // 2))
  file:close()
  check_refused(run("diff", path, folder .. "/half.h5"), 2, "half.h5")
  check_refused(run("diff", folder .. "/none.h5", path), 2, "none.h5")
  check_refused(run("diff", path, toy), 2, "toy.lua")
  check_refused(run("diff", path), 2, "usage: perigee diff")
  check_refused(run("show", folder .. "/half.h5"), 1, "half.h5")
  check_refused(run("show", "ffffff", "--results", "plain"), 1, "ffffff")
end)

-- --- stopping and going on ---------------------------------------------------------------------

-- A run long enough to be stopped in: steps of 10 ms, and a second loop.
local slow = { "steps=40", "second=15", "pause=0.01", "--checkpoint-every", "0.05" }

-- Start the toy in the background, run a shell command when it has logged a step ($p is its
-- process, "$@" the command line), and wait for it; the exit code and the output of both.
local function in_background (results, command, words)
  local script = [[
results=$1; shift
"$@" > "$results.out" 2>&1 & p=$!
until find "$results"/toy -name '*.log' -size +64c 2> /dev/null | grep -q . || ! kill -0 $p; do
  sleep 0.02
done
]] .. command .. [[

wait $p; code=$?
cat "$results.out"
exit $code
]]
  local argv = { table.unpack(quiet) }
  for _, word in ipairs { "sh", "-c", script, "sh", results, perigee, "run", toy, "--results",
    results, table.unpack(words) } do argv[#argv + 1] = word end
  return assert(core.sys.run(argv, { cwd = folder }))
end

test("killed at random moments and started again, the file is the undisturbed one", function ()
  local result = toy_run("calm", table.unpack(slow))
  check.equal({ result.code, result.err }, { 0, "" })
  local rng = core.rng(os.time())
  local kills, resumed = 0, 0
  repeat
    -- Longer from time to time, so that a busy machine comes to an end as well.
    local seconds = (0.05 + 0.5 * rng:uniform(1):sum():item()) * (1 + kills / 10)
    result = start({ "timeout", "-s", "KILL", string.format("%.3f", seconds) },
      { "run", toy, "--results", "killed", table.unpack(slow) })
    if result.code ~= 0 then kills = kills + 1 end
    if result.out:find("resuming after step", 1, true) then resumed = resumed + 1 end
  until result.code == 0 or kills > 60
  check.equal(result.code, 0)
  check.is_true(kills >= 2 and resumed >= 1)
  check_same(file_in("calm"), file_in("killed"))
end)

test("Ctrl-C, SIGTERM and SIGUSR1 finish the step, save, and say how to go on", function ()
  for signal, code in pairs { INT = 130, TERM = 75, USR1 = 75 } do
    local results = "signal" .. signal
    local result = in_background(results, "kill -s " .. signal .. " $p", slow)
    check.equal({ signal, result.code }, { signal, code })
    check.is_true(result.out:find("stopped by SIG" .. signal ..
      " after step %d+; to go on: perigee run "))
    check.equal(status_of(file_in(results)), "preempted")
    result = toy_run(results, table.unpack(slow))
    check.equal(result.code, 0)
    check.is_true(result.out:find("resuming after step", 1, true))
    check_same(file_in("calm"), file_in(results))
  end
end)

test("a loop left early is over after a resume as well", function ()
  local words = { "steps=40", "second=20", "stop_at=20", "pause=0.01", "--checkpoint-every",
    "0.05" }
  check.equal(toy_run("left", table.unpack(words)).code, 0)
  local result
  for try = 1, 30 do
    result = start({ "timeout", "-s", "KILL", tostring(0.2 + try / 10) },
      { "run", toy, "--results", "left.killed", table.unpack(words) })
    if result.code == 0 then break end
  end
  check.equal(result.code, 0)
  check_same(file_in("left"), file_in("left.killed"))
end)

test("a run that failed keeps its checkpoint and says why", function ()
  local result = toy_run("failed", "fail_at=25", "--checkpoint-every", "0.000001")
  check.equal(result.code, 1)
  check.is_true(result.err:find("toy.lua:%d+: asked to fail\n.*traceback"))
  local path = file_in("failed")
  check.equal(status_of(path), "failed")
  local f = assert(core.h5.open(path))
  check.equal(f:attrs("/checkpoints/last").step, 24)
  check.is_true(f:attrs("/").message:find("asked to fail", 1, true))
  f:close()
  check.is_true(run("show", path).out:find("failed with: .*asked to fail"))
  check.is_true(toy_run("failed", "fail_at=25").out:find("resuming after step 24", 1, true))
end)

test("a second process does not start the same run", function ()
  local result = in_background("twice", "\"$@\"; echo \"second $?\"", { "pause=0.02" })
  check.equal(result.code, 0)
  check.is_true(result.out:find("^second 1\n"))
  check.is_true(result.err:find("^perigee: .*held by process %d+ on [^\n]+\n$"))
  check.equal(status_of(file_in("twice")), "done")
end)

-- --- what users and disks do ---------------------------------------------------------------------

test("wrong words on the command line: exit 2, one line, and nothing is written", function ()
  check_refused(toy_run("wrong", "model.latnet=3"), 2, "did you mean 'model.latent'?",
    "known: content, fail_at, lr")
  check_refused(toy_run("wrong", "lr=fast"), 2, "lr", "'fast'", "0.01")
  check_refused(toy_run("wrong", "steps=1.5"), 2, "steps", "'1.5'", "an integer")
  check_refused(toy_run("wrong", "preset=tny"), 2, "did you mean 'tiny'?")
  check_refused(toy_run("wrong", "--thread", "2"), 2, "did you mean '--threads'?")
  check_refused(toy_run("wrong", "--threads", "0"), 2, "--threads")
  check_refused(toy_run("wrong", "stray"), 2, "stray")
  check_refused(run("run"), 2, "run wants a file")
  check_refused(run("run", "none.lua"), 2, "none.lua")
  check_refused(run("rnu"), 2, "did you mean 'run'?")
  check_refused(run("list", "--what"), 2, "--what")
  check.equal(core.sys.stat(folder .. "/wrong"), nil)
end)

test("presets and overrides reach the run", function ()
  check.equal(toy_run("preset", "preset=tiny", "model.latent=2").code, 0)
  local f = assert(core.h5.open(file_in("preset")))
  check.equal({ f:attrs("/config").steps, f:attrs("/config")["model.latent"] }, { 4, 2 })
  check.equal(f:read("/config/overrides"), "preset=tiny\nmodel.latent=2")
  f:close()
end)

test("a damaged file in the run's place is reported and kept", function ()
  check.equal(toy_run("damaged").code, 0)
  local path = file_in("damaged")
  local file = assert(io.open(path, "r+b"))
  file:write(("x"):rep(3000))
  file:close()
  local before = core.io.sha256_file(path)
  check_refused(toy_run("damaged"), 1, path:match("damaged/toy/.*$"), "--again")
  check.equal(core.io.sha256_file(path), before)
  local result = run("list", "--results", "damaged")
  check.equal(result.code, 1)
  check.is_true(result.err:find(path:match("[^/]*$"), 1, true))
  check.equal(toy_run("damaged", "--again").code, 0)
  check_same(path, folder .. "/first.h5")
end)

test("a results folder that cannot be written is one line", function ()
  check_refused(toy_run("/dev/null/perigee"), 1, "/dev/null")
  local file = assert(io.open(folder .. "/plain.txt", "w"))
  file:close()
  check_refused(toy_run("plain.txt"), 1, "plain.txt")
end)

test("a full disk in the middle of a run leaves the last file whole", function ()
  -- A limit on the size of files is a disk that is full: it is reached when the metrics have grown.
  local kib = core.sys.stat(file_in("plain")).size // 1024 + 8
  local result = start({ "bash", "-c", string.format("ulimit -f %d; exec \"$@\"", kib), "bash" },
    { "run", toy, "--results", "full", "steps=1500", "--checkpoint-every", "0.05" })
  check_refused(result, 1, "full/toy/", "the file as last saved is whole")
  for _, name in ipairs(core.sys.list(folder .. "/full/toy")) do
    check.is_true(not name:match("%.tmp$"))
  end
  check.equal(run("show", file_in("full")).code, 0)
  result = toy_run("full", "steps=1500")
  check.equal(result.code, 0)
  check.is_true(result.out:find("resuming after step", 1, true))
  check.equal(toy_run("roomy", "steps=1500").code, 0)
  check_same(file_in("full"), file_in("roomy"))
end)

test("data that changed under its name stops a resume", function ()
  local script = folder .. "/changing.lua"
  local file = assert(io.open(script, "w"))
  file:write([[
local peri = require "perigee"
local run = peri.run { name = "changing", fail = true }
local set = { name = "d", sha256 = assert(io.open("hash")):read("l"), n = 1, batches = function ()
  return { at = function () return peri.zeros(1) end } end }
for step in run:steps(set, { batch = 1, count = 2 }) do
  run:log { x = step }
end
if run.config.fail then error("once") end
]])
  file:close()
  local function write_hash (text)
    file = assert(io.open(folder .. "/hash", "w"))
    file:write(text)
    file:close()
  end
  write_hash("aaaa")
  check.equal(run("run", script).code, 1)
  write_hash("bbbb")
  local result = run("run", script)
  check.equal(result.code, 1)
  check.is_true(result.err:find("data d is not what this run began with", 1, true))
end)

test("a file that anybody may have written commands no terminal and breaks no command", function ()
  local path = folder .. "/hostile/x/" .. ("ab"):rep(6) .. ".h5"
  assert(core.sys.mkdir(folder .. "/hostile/x"))
  local evil = "\27[2J\27]0;title\a"
  local function write (change)
    local f = assert(core.h5.create(path))
    for k, v in pairs { format = "perigee-run", format_version = 1, run_id = evil, name = evil,
      status = evil, created = evil, about = evil, message = 3 } do f:attr("/", k, v) end
    f:write("/config/resolved", evil)
    f:write("/config/overrides", evil)
    f:attr("/config", "lr" .. evil, evil)
    f:attr("/claims/1", "text", evil)
    f:attr("/claims/1", "value", evil)
    f:attr("/claims/2", "verdict", 7)
    f:attr("/env", "seconds", evil)
    f:attr("/data/" .. evil, "sha256", evil)
    f:write("/code/" .. evil, "os.exit(99)")
    f:attr("/summary", evil, 0 / 0)
    if change then change(f) end
    assert(f:commit())
  end
  local changes = {
    function () end,
    function (f) f:image("/images/w/step_00000001", core.zeros(2, 2):byte()) end,
    function (f) f:write("/images/w/step_00000001", "text") end,
    function (f) f:attr("/metrics/train", "x", 1) end,
    function (f)
      f:write_f64("/metrics/train/step", { 0.5 })
      f:write_f64("/metrics/train/wall", { 1 })
    end,
    function (f) f:attr("/checkpoints/last", "step", "many") end,
  }
  for i, change in ipairs(changes) do
    write(change)
    for _, words in ipairs { { "show", path }, { "show", path, "--code" }, { "diff", path, path },
      { "list", "--results", "hostile" }, { "diff", path, file_in("plain") } } do
      local result = run(table.unpack(words))
      local all = result.out .. result.err
      if result.code > 2 or all:find("\27") or all:find("traceback") then
        error(i .. " " .. words[1] .. ": " .. result.code .. " " .. all)
      end
    end
  end
end)

test("a source that was loaded late and has changed: the run starts again", function ()
  local script, module = folder .. "/late.lua", folder .. "/later.lua"
  local function write (name, content)
    local file = assert(io.open(name, "w"))
    file:write(content)
    file:close()
  end
  write(script, [[
local run = require "perigee".run { name = "late" }
run:log { x = require "later" }
]])
  write(module, "return 1\n")
  local result = run("run", script)
  check.equal({ result.code, result.err }, { 0, "" })
  check.is_true(run("run", script).out:find("^already done"))
  write(module, "return 2\n")
  result = run("run", script)
  check.is_true(result.out:find("later.lua has changed since: starting again", 1, true))
  local f = assert(core.h5.open(folder .. "/results/late/" .. core.sys.list(folder ..
    "/results/late")[1]))
  check.equal(f:read("/metrics/train/x"), { 2.0 })
  check.is_true(f:attrs("/code/later.lua").late)
  f:close()
end)

test("scripts: with and without a run, started either way", function ()
  local script = folder .. "/plain.lua"
  local file = assert(io.open(script, "w"))
  file:write("print('arguments', ...)\n")
  file:close()
  local result = run(script, "a=1", "--x")
  check.equal({ result.code, result.out }, { 0, "arguments\ta=1\t--x\n" })
  result = run("run", script)
  check.equal(result.code, 1)
  check.is_true(result.err:find("never called peri.run", 1, true))
  result = run(toy, "preset=tiny", "--results", "direct")
  check.equal(result.code, 0)
  check.equal(status_of(file_in("direct")), "done")
  check.is_true(result.out:find("claim holds: loss below 100", 1, true))
  check.equal(toy_run("indirect", "preset=tiny").code, 0)
  check_same(file_in("direct"), file_in("indirect"))
  check_refused(run(toy, "lrr=1"), 2, "did you mean 'lr'?")
end)

core.sys.run { "rm", "-rf", folder }
check.done()
