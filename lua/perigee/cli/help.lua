-- perigee help: the commands, or one of them.

local text = require "perigee.run.text"

local help = {
  summary = "this list, or the help of one command",
  usage = "usage: perigee help [COMMAND]\n\nLists the commands, or explains one.\n",
}

---@param argv string[]
---@return integer exit_code
function help.run (argv)
  local cli = require "perigee.cli"
  if argv[1] then
    for _, name in ipairs(cli.names) do
      if name == argv[1] then
        io.write(cli.command(name).usage)
        return 0
      end
    end
    io.stderr:write("perigee: ", text.unknown("command", argv[1], cli.names), "\n")
    return 2
  end
  print("usage: perigee COMMAND [ARGUMENT...]\n")
  local rows = {}
  for i, name in ipairs(cli.names) do rows[i] = { "  " .. name, cli.command(name).summary } end
  for _, line in ipairs(text.columns(rows)) do print(line) end
  print("\n`perigee COMMAND --help` explains one.  Besides: `perigee FILE.lua [ARGUMENT...]` runs")
  print("any script, `perigee -e CODE` a line of code, and `perigee` alone starts the prompt.")
  return 0
end

return help
