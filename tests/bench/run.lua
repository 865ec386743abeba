-- `perigee tests/bench/run.lua [NAME...] [options]` does what `perigee bench` does.

os.exit(require("perigee.cli.bench").run({...}))
