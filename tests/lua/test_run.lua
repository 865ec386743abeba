-- The experiment engine: settings and their types, tables of metrics, claims, grids of images, and
-- the file of a run written and read back.  Runs as processes are in test_cli.lua.

local check     = require "check"
local core      = require "perigee.core"
local arguments = require "perigee.run.arguments"
local claim     = require "perigee.run.claim"
local column    = require "perigee.run.column"
local code      = require "perigee.run.code"
local config    = require "perigee.run.config"
local evaluate  = require "perigee.run.evaluate"
local metrics   = require "perigee.run.metrics"
local picture   = require "perigee.run.picture"
local states    = require "perigee.run.states"
local store     = require "perigee.run.store"
local text      = require "perigee.run.text"

local test = check.test

local folder = os.tmpname()
os.remove(folder)
assert(core.sys.mkdir(folder))

-- --- text ---------------------------------------------------------------------------------

test("an exact number reads back as the same bits", function ()
  local rng = core.rng(3)
  local list = rng:normal(300):tolist()
  for i, v in ipairs(list) do list[i] = v * 10.0 ^ (i % 60 - 30) end
  table.move({ 0.1, 1 / 3, 2 ^ 53, 1e300, 5e-324, -0.0, 1.0, 100.0 }, 1, 8, #list + 1, list)
  for _, v in ipairs(list) do
    local back = tonumber(text.exact(v))
    check.equal(math.type(back), "float")
    check.equal(string.pack("<d", back), string.pack("<d", v))
  end
  check.equal(math.type(tonumber(text.exact(7))), "integer")
  check.equal(text.exact(0.1), "0.1")
end)

test("the nearest name is found, and none for nonsense", function ()
  local names = { "latent", "lr", "steps" }
  for _, wrong in ipairs { "latnet", "latant", "Latent", "latents" } do
    check.equal(text.nearest(wrong, names), "latent")
  end
  check.equal(text.nearest("qqqqqqqqqqqqqqqq", names), nil)
end)

test("JSON is sorted, escaped, and exact", function ()
  check.equal(text.json({ b = 1, a = { 0.1, true, "x\n\"" }, c = {} }),
    '{"a": [0.1, true, "x\\n\\""], "b": 1, "c": {}}')
end)

-- --- settings -----------------------------------------------------------------------------

local spec = {
  name = "x", lr = { 1e-3, "step size" }, steps = 100, flag = true, data = "mnist",
  model = { latent = { 32, "size" }, widths = { { 200, 100 }, "layers" } },
  presets = { big = { steps = 1000, model = { latent = 64 } }, dotted = { ["model.latent"] = 5 } },
}

local function resolve (settings)
  return config.resolve(assert(config.declare(spec)), settings)
end

test("overrides take the type of the default", function ()
  local v = resolve { { "lr", "3e-4" }, { "steps", "1e4" }, { "flag", "false" }, { "data", "7" },
    { "model.latent", "6000.0" }, { "model.widths", "[3, 4,5]" } }
  check.equal(v, { lr = 3e-4, steps = 10000, flag = false, data = "7", seed = 1,
    ["model.latent"] = 6000, ["model.widths"] = { 3, 4, 5 } })
  check.equal(math.type(v.steps), "integer")
  check.equal(math.type(resolve({ { "lr", "1" } }).lr), "float")
  check.equal(resolve({ { "lr", "-inf" } }).lr, -math.huge)
end)

test("a mistyped override names the setting, the value and what it wants", function ()
  for _, s in ipairs { { "lr", "fast" }, { "lr", "nan" }, { "lr", "" }, { "steps", "2.5" },
    { "steps", "inf" }, { "steps", "many" }, { "flag", "yes" }, { "model.widths", "3,x" },
    { "model.widths", "" }, { "seed", "1.5" } } do
    local v, message = resolve { s }
    check.equal(v, nil)
    check.is_true(message:find(s[1], 1, true))
    check.is_true(message:find("'" .. s[2] .. "'", 1, true))
    check.is_true(not message:find("\n"))
  end
end)

test("an unknown setting or preset is an error with the nearest name and the list", function ()
  local _, message = resolve { { "latnet", "3" } }
  check.is_true(message:find("did you mean 'model.latent'?", 1, true) or
    message:find("known: data, flag, lr, model.latent, model.widths, seed, steps", 1, true))
  _, message = resolve { { "stesp", "3" } }
  check.is_true(message:find("did you mean 'steps'?", 1, true))
  _, message = resolve { { "preset", "bg" } }
  check.is_true(message:find("did you mean 'big'?", 1, true))
end)

test("presets come after defaults and before overrides, in any order of words", function ()
  for _, order in ipairs { { 1, 2 }, { 2, 1 } } do
    local words = { { "preset", "big" }, { "steps", "7" } }
    local v, preset = resolve { words[order[1]], words[order[2]] }
    check.equal({ v.steps, v["model.latent"], preset }, { 7, 64, "big" })
  end
  check.equal(resolve({ { "preset", "dotted" } })["model.latent"], 5)
end)

test("run.config refuses unknown names and assignments, and walks sorted", function ()
  local schema = assert(config.declare(spec))
  local view = config.view(schema, (config.resolve(schema, {})))
  check.equal({ view.lr, view.model.latent, view.model.widths[2] }, { 1e-3, 32, 100 })
  check.raises(function () return view.lrr end, "did you mean 'lr'")
  check.raises(function () return view.model.laten end, "model.latent")
  check.raises(function () view.lr = 1 end, "cannot be set")
  local keys = {}
  for k in pairs(view) do keys[#keys + 1] = k end
  check.equal(keys, { "data", "flag", "lr", "model", "seed", "steps" })
end)

test("a wrong declaration is refused and says where", function ()
  local function refused (change, pattern)
    local wrong = {}
    for k, v in pairs(spec) do wrong[k] = v end
    for k, v in pairs(change) do wrong[k] = v end
    local schema, message = config.declare(wrong)
    check.equal(schema, nil)
    check.is_true(message:find(pattern, 1, true))
  end
  refused({ name = "a/b" }, "a/b")
  refused({ widths = { 200, 200 } }, "widths")
  refused({ f = print }, "function")
  refused({ seed = 1.5 }, "seed")
  refused({ presets = { p = { stepz = 1 } } }, "did you mean 'steps'")
  refused({ presets = { p = { steps = 1.5 } } }, "steps")
  refused({ preset = "none" }, "none")
  refused({ digest_every = 0 }, "digest_every")
  refused({ ["steps.x"] = 1 }, "both a value and a group")
end)

test("the canonical form tells every two configurations apart", function ()
  local schema = assert(config.declare(spec))
  local seen = {}
  for _, s in ipairs { {}, { { "lr", "0.0010000000000000002" } }, { { "steps", "101" } },
    { { "model.widths", "200,101" } }, { { "data", "mnist " } }, { { "flag", "false" } } } do
    local c = config.canonical(schema, (config.resolve(schema, s)))
    check.is_true(not seen[c])
    seen[c] = true
  end
  -- and not those that are the same
  check.is_true(seen[config.canonical(schema, (config.resolve(schema, { { "lr", "0.001" } })))])
end)

test("arguments: options, settings, and the rest", function ()
  local known = { threads = "value", again = "flag" }
  local p = assert(arguments.parse({ "a", "x=1", "--threads", "2", "--again", "y.z=a=b" }, known))
  check.equal(p, { options = { threads = "2", again = true }, rest = { "a" },
    settings = { { "x", "1" }, { "y.z", "a=b" } } })
  check.equal(assert(arguments.parse({ "--threads=4" }, known)).options.threads, "4")
  for _, wrong in ipairs { { "--thread", "2" }, { "--threads" }, { "--again=1" }, { "-t" } } do
    local parsed, message = arguments.parse(wrong, known)
    check.equal(parsed, nil)
    check.is_true(message:find(wrong[1]:match("[%w-]+"), 1, true))
  end
  for _, wrong in ipairs { "0", "-1", "x", "1.5", "inf" } do
    local parsed = assert(arguments.parse({ "--threads", wrong }, known))
    local v, message = arguments.positive(parsed, "threads", true)
    check.equal(v, nil)
    check.is_true(message:find(wrong, 1, true))
  end
end)

-- --- metrics, claims ----------------------------------------------------------------------

local function is_nan (v) return v ~= v end

test("a metric is NaN where it was not logged", function ()
  local m = metrics.new()
  m:add("train", 1, 10, { a = 1 })
  m:add("train", 2, 11, { b = 2 })
  m:add("train", 2, 12, { a = 3 })
  local s = m.splits.train
  check.equal(s.step:list(), { 1, 2 })
  check.equal(s.wall:list(), { 10, 11 })
  check.equal(s.columns.a:list(), { 1.0, 3.0 })
  check.equal(s.columns.b:list(), { 0 / 0, 2.0 })
end)

test("a column of any length holds what was pushed, to the last bit", function ()
  for _, n in ipairs { 0, 1, 127, 128, 129, 256, 1000 } do
    local floats, integers = column.new "d", column.new "j"
    local want_f, want_i = {}, {}
    for i = 1, n do
      want_f[i], want_i[i] = math.sin(i) / 3, i * math.maxinteger // n
      floats:push(0.0)
      floats:amend(want_f[i])
      integers:push(want_i[i])
      check.equal(floats:last(), want_f[i])
    end
    check.equal({ floats:list(), integers:list() }, { want_f, want_i })
    check.equal({ floats:count(), integers:count() }, { n, n })
    check.equal(floats:cut(n // 2):list(), table.move(want_f, 1, n // 2, 1, {}))
  end
end)

test("cutting forgets exactly what was logged after a step", function ()
  local function fill (last)
    local m = metrics.new()
    for step = 1, last do
      m:add("train", step, 0, { a = step, [step > 3 and "late" or "early"] = 0 / 0 })
      if step > 4 then m:add("test", step, 0, { x = step }) end
    end
    return m
  end
  for step = 0, 6 do
    local long = fill(6)
    long:cut(step)
    check.equal(long.splits, fill(step).splits)
  end
end)

test("summary: final value, and the best where a goal is known", function ()
  local m = metrics.new { ["test.acc"] = { goal = "max" } }
  for i, v in ipairs { 0.5, 0.9, 0 / 0, 0.7 } do
    m:add("test", i * 10, 0, { acc = v, loss = -v })
  end
  check.equal(m:summary(), { ["test.acc"] = 0.7, ["test.acc.best"] = 0.9,
    ["test.acc.best_step"] = 20, ["test.loss"] = -0.7 })
end)

test("claims: verdicts, values, and what is refused", function ()
  local c = assert(claim.read { "x is small", true, value = { mean = 1, sem = 0.1, n = 9 } })
  check.equal({ c.verdict, c.value, c.sem, c.n }, { "holds", 1, 0.1, 9 })
  check.is_true(claim.line(c):find("^claim holds: x is small: 1"))
  c = assert(claim.read { "x", false, value = 2.5, published = 1.5, source = "somewhere" })
  check.equal(claim.line(c), "claim FAILS: x: 2.5 (published 1.5, somewhere)")
  c = assert(claim.read { "x", nil, why = "no data" })
  check.equal({ c.verdict, c.why }, { "not judged", "no data" })
  check.is_true(claim.line(c):find("^claim not judged: x"))
  check.equal(assert(claim.read { "x", true, judged = false }).verdict, "not judged")
  for _, wrong in ipairs { {}, { 1, true }, { "x", "yes" }, { "x", true, valeu = 1 },
    { "x", true, value = "1" } } do
    check.equal(claim.read(wrong), nil)
  end
end)

test("mean, spread and standard error", function ()
  local e = evaluate.describe { 1, 2, 3, 4 }
  local std = math.sqrt(5 / 3)
  check.close({ e.mean, e.std, e.sem, e.n }, { 2.5, std, std / 2, 4 }, 1e-15)
  -- shifting the numbers shifts the mean alone, even far away
  local far = evaluate.describe { 1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4 }
  check.close(far.std, e.std, 1e-6)
  check.is_true(is_nan(evaluate.describe({ 1 }).std))
end)

-- --- images -------------------------------------------------------------------------------

test("every pixel of every image is where the grid puts it", function ()
  local n, h, w = 5, 2, 3
  local x = core.rng(1):uniform(n, h, w)
  local grid = assert(picture.grid(x, { columns = 2 }))
  check.equal(grid.shape, { 3 * (h + 1) + 1, 2 * (w + 1) + 1, 3 })
  local g, list = grid:tolist(), x:tolist()
  for i = 0, n - 1 do
    for r = 1, h do
      for c = 1, w do
        local pixel = g[i // 2 * (h + 1) + 1 + r][i % 2 * (w + 1) + 1 + c]
        check.close(pixel[1], list[i + 1][r][c] * 255, 0.51)
        check.equal({ pixel[2], pixel[3] }, { pixel[1], pixel[1] })
      end
    end
  end
end)

test("grids take flat rows, colours, bytes and ranges, and clip", function ()
  local flat = core.rng(1):uniform(4, 6)
  check.equal(assert(picture.grid(flat, { shape = { 2, 3 } })):tolist(),
    assert(picture.grid(flat:reshape(4, 2, 3), {})):tolist())
  local colour = assert(picture.grid(core.rng(1):integers({ 2, 4, 4, 3 }, 0, 255):byte(), {}))
  check.equal(colour.shape, { 6, 11, 3 })
  local edge = assert(picture.grid(core.tensor { { { -5, 0, 5, 0 / 0 } } }, { range = { -1, 1 } }))
  local row = edge:tolist()[2]
  check.equal({ row[2][1], row[3][1], row[4][1], row[5][1] }, { 0, 128, 255, 0 })
end)

test("a tensor that is no list of images is refused", function ()
  for _, case in ipairs {
    { core.zeros(4, 784), {} }, { core.zeros(4, 784), { shape = { 28, 27 } } },
    { core.zeros(2, 4, 4, 2), {} }, { core.arange(4), { shape = { 1, 1 } } },
    { core.zeros(2, 2, 2), { range = { 1, 1 } } }, { core.zeros(2, 2, 2), { columns = 0 } },
  } do
    local grid, message = picture.grid(case[1], case[2])
    check.equal(grid, nil)
    check.is_true(type(message) == "string" and not message:find("\n"))
  end
end)

-- --- kept state, ids, files -----------------------------------------------------------------

test("the digest sees every logged bit, every parameter and their names", function ()
  local w = core.tensor { 1, 2, 3 }
  local thing = { state = function (self) return self.all end, load = function () end }
  local function digest (values, all)
    thing.all = all
    return states.digest(5, values, { model = thing })
  end
  local base = digest({ loss = 0.1 }, { w = w, n = 3 })
  check.equal(digest({ loss = 0.1 }, { w = core.tensor { 1, 2, 3 }, n = 3 }), base)
  check.is_true(digest({ loss = 0.1 + 2 ^ -56 }, { w = w, n = 3 }) ~= base)     -- one bit
  check.is_true(digest({ loss = 0.1 }, { w = w, n = 4 }) ~= base)
  check.is_true(digest({ loss = 0.1 }, { w = core.tensor { 1, 2, 3.0000005 }, n = 3 }) ~= base)
  check.is_true(digest({ kl = 0.1 }, { w = w, n = 3 }) ~= base)
end)

test("things that are kept: by name, saving themselves or walked", function ()
  check.equal(states.group("model"), "parameters")
  check.equal(states.group("ema"), "ema")
  for _, wrong in ipairs { "loader", "random", "parameters", "a.b", 3 } do
    check.equal(states.group(wrong), nil)
  end
  local model = { a = core.tensor { 1, 2 }, inner = { core.tensor { 3 } } }
  local state = states.get(model)
  check.equal(text.keys(state), { "a", "inner.1" })
  local copy = states.copy(state)
  model.a:assign(core.tensor { 7, 8 })
  check.equal(copy.a:tolist(), { 1, 2 })
  states.put(model, copy)
  check.equal(model.a:tolist(), { 1, 2 })
end)

test("the run id changes with every part of it and with nothing else", function ()
  local id = code.run_id("x", "a\tinteger\t1", "f\tabc")
  check.equal(#id, 64)
  check.equal(code.run_id("x", "a\tinteger\t1", "f\tabc"), id)
  for _, other in ipairs { { "y", "a\tinteger\t1", "f\tabc" }, { "x", "a\tfloat\t1.0", "f\tabc" },
    { "x", "a\tinteger\t1", "f\tabd" } } do
    check.is_true(code.run_id(table.unpack(other)) ~= id)
  end
end)

local function record ()
  local m = metrics.new { ["train.loss"] = { goal = "min", unit = "nats" } }
  for step = 1, 300 do m:add("train", step, 1e9 + step, { loss = math.sin(step) / 3 }) end
  m:add("train", 301, 2e9, { late = 1 })
  m:add("test", 301, 2e9, { nll = 0 / 0 })
  return {
    head = { run_id = ("ab"):rep(32), name = "x", status = "running", seed = 1, created = 1.5 },
    config = { lr = 0.1, steps = 3, flag = false, ["model.widths"] = { 3, 4 }, data = "mnist" },
    resolved = '{"lr": 0.1}', overrides = "", git = { commit = "abc", dirty = true, diff = "+x\n" },
    code = { { name = "lua/a.lua", text = "return 1\n", sha256 = "00", late = false },
             { name = "lua/empty.lua", text = "", sha256 = "01", late = true } },
    env = { host = "here", threads = 2 }, data = { ["noise.train"] = { sha256 = "ff", n = 60 } },
    metrics = m, claims = { assert(claim.read { "c", true, value = 1 / 3 }) },
    images = { { tag = "w", step = 9, image = core.rng(1):integers({ 4, 5, 3 }, 0, 255):byte() } },
    digest = { step = { 7, 14 }, value = { math.mininteger, -1 } },
    checkpoints = { last = { step = 14, seed = 1, ends = { 3, 9 }, groups = {
      parameters = { ["encoder.1.weight"] = core.rng(1):normal(3, 4), ["b"] = core.zeros(5) },
      optimizer = { t = 14, ["m.b"] = core.ones(5), scale = 0.5 }, plain = { t = 1 } } } },
  }
end

test("a run's file gives back what was written, to the last bit", function ()
  local path = folder .. "/whole.h5"
  local before = record()
  assert(store.save(path, before))
  local after = assert(store.load(path, true))
  for part in ("head resolved overrides git env data claims digest"):gmatch("%a+") do
    check.equal(after[part], before[part])
  end
  check.equal(after.config, { lr = 0.1, steps = 3, flag = false, ["model.widths"] = "[3, 4]",
    data = "mnist" })
  check.equal(after.metrics.splits, before.metrics.splits)
  check.equal(after.metrics.about, before.metrics.about)
  check.equal(after.images[1].image:tolist(), before.images[1].image:tolist())
  local a, b = after.checkpoints.last, before.checkpoints.last
  check.equal({ a.step, a.seed, a.ends }, { 14, 1, { 3, 9 } })
  for group, state in pairs(b.groups) do
    check.equal(text.keys(a.groups[group]), text.keys(state))
    for name, v in pairs(state) do
      local w = a.groups[group][name]
      check.equal(type(v) == "number" and w or w:tolist(), type(v) == "number" and v or v:tolist())
    end
  end
  check.equal(math.type(a.groups.optimizer.t), "integer")
  check.equal(after.code, before.code)
  -- and written again it is the same file
  after.config = before.config
  assert(store.save(folder .. "/again.h5", after))
  check.equal(core.io.sha256_file(folder .. "/again.h5"), core.io.sha256_file(path))
end)

test("a truncated or foreign file is a message, at every length", function ()
  local path, cut = folder .. "/whole.h5", folder .. "/cut.h5"
  local file = assert(io.open(path, "rb"))
  local content = file:read("a")
  file:close()
  for _, part in ipairs { 0, 1, 8, 96, 0.25, 0.5, 0.75, 0.99 } do
    local n = math.type(part) == "float" and math.floor(part * #content) or part
    file = assert(io.open(cut, "wb"))
    file:write(content:sub(1, n))
    file:close()
    local loaded, message = store.load(cut, true)
    check.equal(loaded, nil)
    check.is_true(message:find("cut.h5", 1, true) and not message:find("\n"))
  end
  local loaded, message = store.load(folder .. "/none.h5")
  check.equal(loaded, nil)
  check.is_true(message:find("none.h5", 1, true))
end)

test("HDF5 that no run wrote is refused, whatever it holds", function ()
  local cases = {
    function (f) f:attr("/", "format", "something else") end,
    function (f) f:attr("/", "format", store.format) f:attr("/", "format_version", 99) end,
    function (f)
      for k, v in pairs { format = store.format, format_version = 1, run_id = "x", name = "x",
        status = "done" } do f:attr("/", k, v) end
    end,
    function (f)
      for k, v in pairs { format = store.format, format_version = 1, run_id = 3, name = "x",
        status = "done" } do f:attr("/", k, v) end
      f:write("/config/resolved", "{}")
      f:write("/config/overrides", "")
    end,
    function (f)
      for k, v in pairs { format = store.format, format_version = 1, run_id = "x", name = "x",
        status = "done" } do f:attr("/", k, v) end
      f:write("/config/resolved", "{}")
      f:write("/config/overrides", "")
      f:write_i64("/metrics/train/step", { 1, 2 })
      f:write_f64("/metrics/train/wall", { 1, 2 })
      f:write_f64("/metrics/train/loss", { 1, 2, 3 })
    end,
  }
  for i, fill in ipairs(cases) do
    local path = folder .. "/foreign" .. i .. ".h5"
    local file = assert(core.h5.create(path))
    fill(file)
    assert(file:commit())
    local loaded, message = store.load(path, true)
    check.equal(loaded, nil)
    check.is_true(message:find("foreign" .. i, 1, true) and not message:find("\n"))
  end
end)

core.sys.run { "rm", "-rf", folder }
check.done()
