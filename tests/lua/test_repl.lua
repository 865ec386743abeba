-- The interpreter's front: what its arguments mean, and the prompt fed by a pipe and by a terminal.

local check = require "check"
local sys   = require "perigee.core".sys

local binary = os.getenv "PERIGEE_BINARY" or arg[-1]

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local folder = os.tmpname()
os.remove(folder)
assert(sys.mkdir(folder))

local function write(name, text)
  local path = folder .. "/" .. name
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  return path
end

local function read(path)
  local f = io.open(path, "rb")
  if not f then return "" end
  local text = f:read "a"
  f:close()
  return text
end

-- Run the program with a string as its input: what it wrote, to where, and its exit code.
local function run(arguments, input)
  local from, errors = write("input", input or ""), folder .. "/errors"
  local command = "%s %s <%s 2>%s"
  local pipe = io.popen(command:format(quote(binary), arguments, quote(from), quote(errors)))
  local out = pipe:read "a"
  local _, _, code = pipe:close()
  return out, read(errors), code
end

--- arguments

check.test("-e runs code with arguments and `peri` at hand", function ()
  local out, err, code = run [[-e 'print(peri.ones(2):sum():item(), ...)' a 'b c']]
  check.equal(out, "2.0\ta\tb c\n")
  check.equal(err, "")
  check.equal(code, 0)
end)

check.test("-e without code is a wrong command line", function ()
  local out, err, code = run "-e"
  check.equal(out, "")
  check.is_true(err:find("-e wants the code", 1, true))
  check.equal(code, 2)
end)

check.test("a script gets its arguments as lua's do", function ()
  local script = write("script.lua", "print(arg[0], #arg, arg[1], arg[2], select('#', ...), (...))")
  local out = run(quote(script) .. " one 'two words'")
  check.equal(out, script .. "\t2\tone\ttwo words\t2\tone\n")
end)

check.test("a script may come from the standard input", function ()
  check.equal(run("- x", "print(..., 1 + 1)"), "x\t2\n")
end)

check.test("a failing script tells where and exits with 1", function ()
  local script = write("fails.lua", "local function f() error 'broken' end\nf()\n")
  local out, err, code = run(quote(script))
  check.equal(out, "")
  check.is_true(err:find("fails.lua:1: broken", 1, true))
  check.is_true(err:find("fails.lua:2: in main chunk", 1, true))
  check.equal(code, 1)
end)

check.test("a missing script, a wrong one and bytecode are refused", function ()
  local _, err, code = run(quote(folder .. "/absent.lua"))
  check.is_true(err:find("absent.lua", 1, true))
  check.equal(code, 1)
  _, err, code = run(quote(write("wrong.lua", "print(")))
  check.is_true(err:find("wrong.lua:1:", 1, true))
  check.equal(code, 1)
  _, err, code = run(quote(write("binary.lua", string.dump(function () end))))
  check.is_true(err:find("binary", 1, true))
  check.equal(code, 1)
end)

check.test("scripts are strict about globals, one-liners are not", function ()
  local _, err, code = run(quote(write("typo.lua", "count = 1")))
  check.is_true(err:find("count", 1, true))
  check.equal(code, 1)
  check.equal(run "-e 'count = 1 print(count)'", "1\n")
end)

check.test("an error object is shown by its own text, without a traceback", function ()
  local object = 'setmetatable({}, {__tostring = function () return "own" end})'
  local _, err, code = run("-e " .. quote("error(" .. object .. ")"))
  check.equal(err, "perigee: own\n")
  check.equal(code, 1)
end)

check.test("os.exit gives the exit code", function ()
  local _, _, code = run "-e 'os.exit(7)'"
  check.equal(code, 7)
end)

check.test("version and help", function ()
  check.is_true(run("--version"):match "^perigee %d+%.%d+%.%d+ %(Lua 5%.4")
  check.equal(run "-v", run "--version")
  check.is_true(run("--help"):find("usage: perigee", 1, true))
  check.equal(run "-h", run "--help")
end)

check.test("a full disk under the output is a failure", function ()
  local status = os.execute(quote(binary) .. " -e 'print(1)' >/dev/full 2>/dev/null")
  check.is_true(not status)
end)

--- the prompt on a pipe

local function prompt(input)
  return run("", input)
end

check.test("expressions are shown, statements are not", function ()
  local out, err, code = prompt "1 + 1\nx = 5\nx * 2\nlocal y = 3\n-- nothing\n\n"
  check.equal(out, "2\n10\n")
  check.equal(err, "")
  check.equal(code, 0)
end)

check.test("there is no prompt and no greeting on a pipe", function ()
  check.equal(prompt "", "")
end)

check.test("several results, tables and tensors", function ()
  check.equal(prompt "1, 'a', nil\n", "1\ta\tnil\n")
  check.equal(prompt "{1, {2}, b = 'x', a = true}\n", "{1, {2}, a = true, b = \"x\"}\n")
  check.equal(prompt "peri.ones(1, 2)\n", "real (1, 2)\n  1  1\n")
  check.equal(prompt "peri.ones(1, 2).shape\n", "{1, 2}\n")
  check.equal(prompt "t = {} t.t = t\nt\n", "{t = {t = {t = {...}}}}\n")
end)

check.test("chunks go on over lines until they are whole", function ()
  check.equal(prompt "for i = 1, 2 do\nprint(i)\nend\n", "1\n2\n")
  check.equal(prompt "{1,\n2}\n", "{1, 2}\n")
  check.equal(prompt "s = [[a\nb]]\ns\n", "a\nb\n")
end)

check.test("an error is told and the session goes on", function ()
  local out, err, code = prompt "error 'first'\n2\nnil + 1\n3\n"
  check.equal(out, "2\n3\n")
  check.is_true(err:find("first", 1, true) and err:find("arithmetic", 1, true))
  check.is_true(not err:find("traceback", 1, true))
  check.equal(code, 1)
end)

check.test("a traceback is kept where it leads somewhere", function ()
  local _, err = prompt "require('perigee.nn').linear {}\n"
  check.is_true(err:find("linear.lua", 1, true))
end)

check.test("input that ends in the middle of a chunk is an error", function ()
  local out, err, code = prompt "1\nfor i = 1, 2 do\n"
  check.equal(out, "1\n")
  check.is_true(err:find("<eof>", 1, true))
  check.equal(code, 1)
end)

check.test("? explains", function ()
  check.is_true(prompt("? sum\n"):find("^sum%(x"))
  check.equal(prompt "?x:sum\n", prompt "? sum\n")
  check.equal(prompt "? peri.sum()\n", prompt "? sum\n")
  check.is_true(prompt("?\n"):find("matmul", 1, true))
  check.is_true(prompt("? peri.nn\n"):find("linear", 1, true))
  check.is_true(prompt("? peri.nn.linear\n"):find("^nn.linear%(given%)"))
  check.equal(prompt("? peri.nn.linear\n"), run("help nn.linear"))
  check.equal(prompt("r = peri.rng(1)\n? r:normal\n"), prompt("? rng:normal\n"))
  check.equal(prompt("t = {b = 1, a = 2}\n? t\n"), "t is a table of\n  a  b\n")
  check.equal(prompt("n = 3\n? n\n"), "n is a number\n")
  local out, _, code = prompt "? no_such_thing\n"
  check.is_true(out:find("no_such_thing", 1, true))
  check.equal(code, 0)
end)

--- the prompt on a terminal, played by script(1)

local has_terminal = os.execute "script -qc true /dev/null >/dev/null 2>&1"

-- Keys typed one line at a time, `pace` times as slow as on an idle machine; script ends with the
-- program, which ends at the Ctrl-D sent last.  The output, or nil when it did not end.
local function play (pace, lines)
  local typed = {}
  local function wait (seconds) typed[#typed + 1] = ("sleep %.1f"):format(seconds * pace) end
  wait(0.6)
  for _, keys in ipairs(lines) do
    wait(0.4)
    typed[#typed + 1] = "printf " .. quote(keys:gsub("%%", "%%%%"))
  end
  wait(0.4)
  typed[#typed + 1] = "printf '\\004'"
  wait(0.4)
  local pipe = io.popen(("(%s) | XDG_STATE_HOME=%s TERM=xterm timeout -k 1 %d "
    .. "script -qec %s /dev/null 2>&1"):format(table.concat(typed, "; "), quote(folder),
    10 + 10 * pace, quote(quote(binary))))
  local out = pipe:read "a"
  local _, _, code = pipe:close()
  if code == 124 or code == 137 then return nil end           -- timeout's own, and of its kill
  return (out:gsub("\r", ""))
end

-- A busy machine may be slower than the keys: a Ctrl-C that comes before the loop it is to stop.
local function terminal (...)
  local lines = {...}
  return play(1, lines) or play(4, lines) or play(12, lines)
end

if has_terminal then
  check.test("a terminal gets a greeting, a prompt and a history", function ()
    local out = terminal("6 * 7\n", "x = 1\n")
    check.is_true(out:find("Perigee", 1, true))
    check.is_true(out:find("> ", 1, true))
    check.is_true(out:find("\n42\n", 1, true))
    check.equal(read(folder .. "/perigee/history"), "6 * 7\nx = 1\n")
  end)

  check.test("tab completes names, methods and what is not loaded yet", function ()
    local out = terminal("peri.nn.initiali\t\n", "x = peri.ones(2)\n", "x:log_soft\t(1):count()\n")
    check.is_true(out:find("xavier_uniform = function", 1, true))
    check.is_true(out:find("\n2\n", 1, true))
  end)

  check.test("Ctrl-C takes a line back and stops a chunk, and the session goes on", function ()
    local out = terminal("1 + \003", "while true do end\n", "\003", "5 * 5\n")
    check.is_true(out:find("interrupted", 1, true))
    check.is_true(out:find("\n25\n", 1, true))
  end)
end

os.execute("rm -rf " .. quote(folder))
check.done()
