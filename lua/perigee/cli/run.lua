-- perigee run: an experiment, from its start or from where it was stopped.

local session = require "perigee.run.session"

local run = {
  summary = "run an experiment, or go on with one that was stopped",
  usage = [[
usage: perigee run FILE [preset=NAME] [key=value...] [options]

Runs the experiment in FILE, or goes on with it where it was stopped.  Settings are typed by their
defaults, which `perigee config FILE` lists:
  lr=3e-4 model.latent=32 name=text flag=false widths=[200,200]

  --threads N             work with N threads; results do not depend on it
  --results DIR           where runs are stored; `results` when left out
  --again                 repeat a run that is done, or begin an unfinished one anew
  --checkpoint-every S    seconds between checkpoints

A run is one file, DIR/NAME/ID.h5.  ID is made from the settings, the code and the numeric version,
so the same command goes on with a run that was stopped and does not repeat one that is done.
Exit codes: 0 the run is complete, whatever its claims came to (they are printed and in the file);
1 it failed; 2 wrong arguments; 130 stopped by Ctrl-C; 75 stopped by SIGTERM or SIGUSR1.
]],
}

---@param argv string[]
---@return integer exit_code
function run.run (argv)
  local file = argv[1]
  if not file or file:match("^%-") then
    io.stderr:write("perigee: run wants a file: perigee run FILE [key=value...]\n")
    return 2
  end
  return session.execute(file, table.move(argv, 2, #argv, 1, {}), "run")
end

return run
