-- perigee config: what a run would be told, without running it.

local session = require "perigee.run.session"

local config = {
  summary = "the settings of an experiment, and the run id they give",
  usage = [[
usage: perigee config FILE [preset=NAME] [key=value...]

Prints every setting of the experiment in FILE with its value, its default where that differs, and
its meaning; the presets; and the id of the run that these settings give.  Writes nothing.
]],
}

---@param argv string[]
---@return integer exit_code
function config.run (argv)
  local file = argv[1]
  if not file or file:match("^%-") then
    io.stderr:write("perigee: config wants a file: perigee config FILE [key=value...]\n")
    return 2
  end
  return session.execute(file, table.move(argv, 2, #argv, 1, {}), "config")
end

return config
