-- Files and the system as a script sees them: peri.io, peri.h5, peri.sys.

local check = require "check"
local core = require "perigee.core"
local io_, h5, sys = core.io, core.h5, core.sys

local folder = os.tmpname()
os.remove(folder)
assert(sys.mkdir(folder))

local function put (name, text)
  local f <close> = assert(io.open(folder .. "/" .. name, "wb"))
  f:write(text)
end

local function get (name)
  local f <close> = assert(io.open(folder .. "/" .. name, "rb"))
  return f:read "a"
end

-- An environment failure: nil, one line that has the pattern, and a code.
local function check_refused (code, pattern, value, message, word)
  if value ~= nil then error("a result where a failure was due", 2) end
  if type(message) ~= "string" or not message:find(pattern) or message:find "\n" then
    error("the message is " .. tostring(message) .. ", want " .. pattern, 2)
  end
  if word ~= code then error("the code is " .. tostring(word) .. ", want " .. code, 2) end
end

-- --- hashes -------------------------------------------------------------------------------

check.test("sha256 of a string and of the file that holds it agree", function ()
  local text = ("perigee\0"):rep(10000)
  put("text", text)
  check.equal(io_.sha256(text), io_.sha256_file(folder .. "/text"))
  check.equal(io_.sha256 "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  check_refused("system", "No such file", io_.sha256_file(folder .. "/none"))
  check_refused("system", "folder", io_.sha256_file(folder))
end)

check.test("a digest sees elements, not strides", function ()
  local x = core.rng(1):normal(5, 7)
  check.equal(io_.digest(9, x:transpose()), io_.digest(9, x:transpose():clone()))
  check.is_true(io_.digest(9, x) ~= io_.digest(8, x))
  check.is_true(io_.digest(9, x) ~= io_.digest(9, x:transpose()))
  check.equal(math.type(io_.digest(-1, x)), "integer")
end)

-- --- images and logs ----------------------------------------------------------------------

check.test("an image and its texts come back", function ()
  local path = folder .. "/image.png"
  for _, shape in ipairs { { 5, 4 }, { 5, 4, 3 }, { 5, 4, 4 } } do
    local x = core.rng(2):integers(shape, 0, 255):byte()
    check.equal(io_.png_write(path, x, { Title = "größer", step = "7", Author = "" }), true)
    check.equal(io_.png_read(path):tolist(), x:tolist())
    check.equal(io_.png_text(path), { Title = "größer", step = "7", Author = "" })
  end
  local first = get "image.png"
  local x = io_.png_read(path)
  assert(io_.png_write(path, x, { step = "7", Author = "", Title = "größer" }))
  check.equal(get "image.png", first)                  -- whatever the order of the table
  check.raises(function () io_.png_write(path, core.zeros(2, 2)) end, "byte")
  check.raises(function () io_.png_write(path, x, { step = 7 }) end, "string = number")
  check.raises(function () io_.png_write(path, x, { [" "] = "a" }) end, "keyword")
  check.raises(function () io_.png_write("a\0b", x) end, "zero byte")
  check_refused("system", "No such file", io_.png_write(folder .. "/no/x.png", x))
  check_refused("format", "not a PNG", io_.png_read(folder .. "/text"))
  check_refused("format", "not an IDX", io_.idx_read(folder .. "/text"))
end)

check.test("a log gives back its records and survives a torn tail", function ()
  local path = folder .. "/log"
  local records = { "one", "two\0\n", ("x"):rep(100000) }
  do
    local log <close> = assert(io_.log_open(path))
    for _, r in ipairs(records) do check.equal(log:append(r), true) end
    check.equal(log:sync(), true)
  end
  check.equal(io_.log_read(path), records)
  put("log", get "log":sub(1, -2))
  records[3] = "three"
  local log = assert(io_.log_open(path))
  log:append "three"
  log:close()
  log:close()
  check.equal(io_.log_read(path), records)
  check.raises(function () log:append "four" end, "closed")
  check.raises(function () log.append({}, "four") end, "perigee.log")
  check_refused("format", "not a log", io_.log_open(folder .. "/text"))
end)

-- --- HDF5 ---------------------------------------------------------------------------------

local function write_some (path)
  local f = assert(h5.create(path))
  f:attr("/", "name", "größer")
  f:attr("/", "seed", math.mininteger)
  f:attr("/config", "lr", 0.1)
  f:attr("/config", "flag", false)
  f:write("p/weight", core.rng(1):normal(30, 40), { compress = true })
  f:write("p/labels", core.tensor({ 3, 1, 2 }, "index"))
  f:write("code/a.lua", "return 'ü'\n")
  f:write_f64("m/loss", { 0.1, -math.huge, 3 })
  f:write_i64("m/step", { 1, 2, math.maxinteger })
  f:write_u64("digest", { -1, 0 })
  f:scale("m/loss", "m/step", "step")
  f:image("images/x", core.full({ 6, 5, 3 }, 9, "byte"))
  check.equal(f:commit(), true)
end

check.test("an HDF5 file gives back what was written, the same bytes each time", function ()
  write_some(folder .. "/a.h5")
  write_some(folder .. "/b.h5")
  check.equal(get "a.h5", get "b.h5")
  local f <close> = assert(h5.open(folder .. "/a.h5"))
  check.equal(f:attrs "/", { name = "größer", seed = math.mininteger })
  check.equal(f:attrs "config", { lr = 0.1, flag = false })
  check.equal(f:read "p/weight":tolist(), core.rng(1):normal(30, 40):tolist())
  check.equal(f:read "p/labels".dtype, "index")
  check.equal(f:read "code/a.lua", "return 'ü'\n")
  check.equal(f:read "m/loss", { 0.1, -math.huge, 3 })
  check.equal(f:read "m/step", { 1, 2, math.maxinteger })
  check.equal(math.type(f:read "m/step"[1]), "integer")
  check.equal(f:read "digest", { -1, 0 })
  check.equal(f:read "images/x".shape, { 6, 5, 3 })
  check.equal(f:attrs "images/x".IMAGE_SUBCLASS, "IMAGE_TRUECOLOR")
  check.equal(f:list "p", { { name = "labels", kind = "dataset" },
    { name = "weight", kind = "dataset" } })
  check.equal(f:list()[1], { name = "code", kind = "group" })
  check.is_true(f:has "p/weight" and f:has "p" and not f:has "q" and not f:has "p/weight/q")
end)

check.test("mistakes with HDF5 files raise, and what files get wrong is returned", function ()
  local f = assert(h5.create(folder .. "/c.h5"))
  f:write("x", "text")
  check.raises(function () f:write("x", "again") end, "x is written already")
  check.raises(function () f:write("y", { 1, 2 }) end, "write_f64")
  check.raises(function () f:write_i64("y", { 1, 2.5 }) end, "entry 2")
  check.raises(function () f:write_f64("y", { 1, "2" }) end, "entry 2")
  check.raises(function () f:attr("x", "y", {}) end, "not table")
  check.raises(function () f:attr("x", "y", ("z"):rep(65536)) end, "as a dataset")
  check.raises(function () f:image("y", core.zeros(2, 2)) end, "byte")
  f:close()
  f:close()
  check.equal(sys.stat(folder .. "/c.h5"), nil)        -- never committed
  check.raises(function () f:write("x", "text") end, "closed")
  check_refused("system", "No such file", h5.create(folder .. "/no/c.h5"))
  check_refused("system", "No such file", h5.open(folder .. "/no/c.h5"))
  check_refused("format", "not an HDF5 file", h5.open(folder .. "/text"))
  put("cut.h5", get "a.h5":sub(1, 3000))
  check_refused("format", "truncated", h5.open(folder .. "/cut.h5"))
  f = assert(h5.open(folder .. "/a.h5"))
  check_refused("format", "there is no q", f:read "q")
  check_refused("format", "group", f:read "p")
  check_refused("format", "no group", f:list "p/weight")
  check.raises(function () f:write("x", "text") end, "open for reading")
  f:close()
end)

check.test("h5py, where it is installed, reads text as str and numbers as they are", function ()
  local there = sys.run { "python3", "-c", "import h5py" }
  if not there or there.code ~= 0 then return end
  local result = assert(sys.run({ "python3", "-" }, { cwd = folder, input = [[
import h5py
f = h5py.File("a.h5", "r")
assert f.attrs["name"] == "größer" and f.attrs["seed"] == -2**63
assert f["config"].attrs["lr"] == 0.1 and f["config"].attrs["flag"].dtype == bool
assert f["code/a.lua"].asstr()[()] == "return 'ü'\n"
assert f["p/weight"].dtype == "<f4" and f["p/weight"].shape == (30, 40)
assert f["m/loss"].dims[0].label == "step" and f["m/loss"].dims[0][0].name == "/m/step"
assert f["digest"].dtype == "<u8" and f["digest"][0] == 2**64 - 1
assert f["images/x"].attrs["CLASS"] == b"IMAGE" and f["images/x"].dtype == "u1"
]] }))
  if result.code ~= 0 then error(result.err) end
end)

-- --- system -------------------------------------------------------------------------------

check.test("folders are made, listed in order, and removed", function ()
  check.equal(sys.mkdir(folder .. "/d/e/f"), true)
  check.equal(sys.mkdir(folder .. "/d/e/f/"), true)
  for _, name in ipairs { "b", "a10", "a2", "B" } do put("d/" .. name, "12345") end
  check.equal(sys.list(folder .. "/d"), { "B", "a10", "a2", "b", "e" })
  check.equal(sys.stat(folder .. "/d/b").size, 5)
  check.equal(sys.stat(folder .. "/d/b").kind, "file")
  check.equal(sys.stat(folder .. "/d").kind, "dir")
  check.is_true(math.abs(sys.stat(folder .. "/d/b").mtime - sys.now()) < 600)
  check.equal(sys.rename(folder .. "/d/b", folder .. "/d/e/b"), true)
  check.equal(sys.remove(folder .. "/d/e/b"), true)
  check_refused("system", "not empty", sys.remove(folder .. "/d"))
  check_refused("system", "No such file", sys.remove(folder .. "/d/e/b"))
  check_refused("system", "No such file", sys.list(folder .. "/none"))
  check_refused("system", "exists", sys.mkdir(folder .. "/d/a2"))
  check_refused("system", "a2: File exists", sys.mkdir(folder .. "/d/a2/x"))
  check_refused("system", "No such file", sys.rename(folder .. "/none", folder .. "/x"))
  check.equal(sys.realpath(folder .. "/d/../d/e"), sys.realpath(folder) .. "/d/e")
  check.raises(function () sys.list "" end, "empty")
  check.raises(function () sys.stat {} end, "string expected")
end)

check.test("write_atomic leaves the old file or the new one", function ()
  check.equal(sys.write_atomic(folder .. "/w", "old"), true)
  check.equal(sys.write_atomic(folder .. "/w", "new\0"), true)
  check.equal(get "w", "new\0")
  check_refused("system", "cannot write", sys.write_atomic(folder .. "/no/w", "x"))
  check_refused("system", "cannot write", sys.write_atomic(folder, "x"))
  check.equal(sys.stat(folder .. "/w.tmp"), nil)
end)

check.test("a lock is held once, names its holder, and ends with the process", function ()
  local path = folder .. "/lock"
  local lock = assert(sys.lock(path))
  check_refused("held", "^held by process " .. sys.pid() .. " on " ..
    sys.hostname():gsub("%p", "%%%0") .. "$", sys.lock(path))
  lock:close()
  lock:close()
  check.equal(sys.stat(path), nil)
  local program = sys.realpath(arg[-1])
  local script = string.format("local sys = require 'perigee.core'.sys; local l = sys.lock(%q);"
    .. " print(l and 'taken' or 'held'); if arg[1] == 'die' then sys.run {'kill', '-9', "
    .. "tostring(sys.pid())} end", path)
  put("locker.lua", script)
  local function elsewhere (...)
    return assert(sys.run { program, folder .. "/locker.lua", ... })
  end
  check.equal(elsewhere("die").code, 128 + 9)
  lock = assert(sys.lock(path))                        -- free, though its file was left behind
  check.equal(elsewhere().out, "held\n")
  lock:close()
  check.equal(elsewhere().out, "taken\n")
  check_refused("system", "No such file", sys.lock(folder .. "/no/lock"))
end)

check.test("a program gets its input and gives both outputs and its code", function ()
  local much = ("0123456789"):rep(100000)
  local result = assert(sys.run({ "sh", "-c", "cat; echo error >&2; exit 3" }, { input = much }))
  check.equal(result, { code = 3, out = much, err = "error\n" })
  -- both outputs and the input larger than any pipe
  local both = "mkfifo both; cat both >&2 & tee both; wait; rm both"
  result = assert(sys.run({ "sh", "-c", both }, { input = much, cwd = folder }))
  check.is_true(result.out == much and result.err == much)
  check.equal(sys.run { "cat" }.out, "")               -- no input is the end of it
  check.equal(sys.run({ "true" }, { input = much }).code, 0)
  check.equal(sys.run({ "sh", "-c", "kill -9 $$" }).code, 137)
  check.equal(sys.run({ "pwd" }, { cwd = folder }).out, sys.realpath(folder) .. "\n")
  check.equal(sys.run({ "printf", "%s", "a b; $HOME" }).out, "a b; $HOME")
  check_refused("system", "cannot run no%-such", sys.run { "no-such-program" })
  check_refused("system", "none", sys.run({ "pwd" }, { cwd = folder .. "/none" }))
  check.raises(function () sys.run {} end, "empty")
  check.raises(function () sys.run { "ls", 1 } end, "word 2")
  check.raises(function () sys.run({ "ls" }, { cwd = 1 }) end, "cwd")
end)

check.test("signals are noted until they are asked for", function ()
  local function send (name) sys.run { "kill", "-" .. name, tostring(sys.pid()) } end
  sys.catch_signals()
  check.equal(sys.signal(), nil)
  for _, name in ipairs { "USR1", "TERM", "INT" } do     -- the later ones come first
    send(name)
    check.equal(sys.signal(), name)
    check.equal(sys.signal(), name)
  end
  sys.catch_signals()
  check.equal(sys.signal(), nil)
  sys.catch_signals(false)
  local program = sys.realpath(arg[-1])
  put("twice.lua", "local sys = require 'perigee.core'.sys; sys.catch_signals()\n"
    .. "for _ = 1, 2 do sys.run {'kill', '-INT', tostring(sys.pid())} end print 'alive'")
  check.equal(sys.run { program, folder .. "/twice.lua" }, { code = 130, out = "", err = "" })
end)

check.test("time passes and the terminal has a width", function ()
  local before = sys.clock()
  check.is_true(sys.clock() >= before and math.type(before) == "float")
  check.is_true(math.abs(sys.now() - os.time()) < 60)
  check.is_true(sys.columns() > 0 and sys.pid() > 1 and #sys.hostname() > 0)
  check.equal(sys.isatty(-1), false)
  check.equal(sys.run({ "pwd" }).out, sys.realpath(sys.cwd()) .. "\n")
end)

check.test("exit gives back locks and ends with its code", function ()
  local program = sys.realpath(arg[-1])
  put("leave.lua", string.format("local sys = require 'perigee.core'.sys; "
    .. "local l <close> = sys.lock(%q); io.write 'bye'; sys.exit(75)", folder .. "/left"))
  check.equal(sys.run { program, folder .. "/leave.lua" }, { code = 75, out = "bye", err = "" })
  check.equal(sys.stat(folder .. "/left"), nil)
  check.raises(function () sys.exit(256) end, "0 to 255")
end)

sys.run { "rm", "-rf", folder }
check.done()
