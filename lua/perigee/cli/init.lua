-- The command line: finds the command and calls it.  Every command is a file of its own with a
-- summary, its usage, and run(argv), which returns the exit code: 0, 1 failure, 2 usage.

local text    = require "perigee.run.text"
local session = require "perigee.run.session"

-- In the order in which help lists them.
local names = {
  "run", "config", "list", "show", "diff", "data", "env", "bench", "test", "help",
}

local is_command = {}
for _, name in ipairs(names) do is_command[name] = true end

local function command (name)
  return require("perigee.cli." .. name)
end

local function wants_help (argv)
  for i = 2, #argv do
    if argv[i] == "--" then return false end
    if argv[i] == "--help" or argv[i] == "-h" then return true end
  end
  return false
end

---Run a command.
---@param argv string[] from index 1: the command, then its arguments
---@return integer exit_code
local function main (argv)
  local name = argv[1] or "help"
  if name:match("%.lua$") then
    return session.execute(name, table.move(argv, 2, #argv, 1, {}), "script")
  end
  if name == "-h" or name == "--help" then name = "help" end
  if not is_command[name] then
    io.stderr:write("perigee: ", text.unknown("command", name, names), "\n")
    return 2
  end
  local found = command(name)
  if wants_help(argv) and name ~= "help" then
    io.write(found.usage)
    return 0
  end
  return found.run(table.move(argv, 2, #argv, 1, {}))
end

return setmetatable({ names = names, command = command }, {
  __call = function (_, argv) return main(argv) end,
})
