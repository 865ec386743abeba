-- perigee help: the commands, one of them, or a function of the library.

local text = require "perigee.run.text"

local help = {
  summary = "this list, or the help of a command or a function",
  usage = [[
usage: perigee help [COMMAND | FUNCTION]
       perigee help --annotations

Lists the commands, or explains one, or a function of the library: conv, nn.linear, rng:normal; a
room such as optim gives the list of its functions.
--annotations prints lua/perigee/meta/operations.lua, which tells editors of the operations.
]],
}

local function explain (name, commands)
  local explanation, message = require "perigee.help"(name)
  if explanation then
    print(explanation)
    return 0
  end
  local near = text.nearest(name, commands)
  io.stderr:write("perigee: ", near and text.unknown("command", name, commands) or message, "\n")
  return 2
end

---@param argv string[]
---@return integer exit_code
function help.run (argv)
  local cli = require "perigee.cli"
  if argv[1] == "--annotations" then
    io.write(require "perigee.help.annotations"())
    return 0
  end
  if argv[1] then
    for _, name in ipairs(cli.names) do
      if name == argv[1] then
        io.write(cli.command(name).usage)
        return 0
      end
    end
    return explain(argv[1], cli.names)
  end
  print("usage: perigee COMMAND [ARGUMENT...]\n")
  local rows = {}
  for i, name in ipairs(cli.names) do rows[i] = { "  " .. name, cli.command(name).summary } end
  for _, line in ipairs(text.columns(rows)) do print(line) end
  print("\n`perigee COMMAND --help` explains one, `perigee help FUNCTION` a function of Perigee's.")
  print("Besides: `perigee FILE.lua [ARGUMENT...]` runs any script, `perigee -e CODE` a line of")
  print("code, and `perigee` alone starts the prompt.")
  return 0
end

return help
