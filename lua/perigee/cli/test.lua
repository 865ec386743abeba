-- perigee test: the test suites of the build this program belongs to.

local core = require "perigee.core"
local code = require "perigee.run.code"

local test = {
  summary = "run the tests",
  usage = [[
usage: perigee test [CTEST ARGUMENT...]

Runs `ctest --output-on-failure` in the build folder: PERIGEE_BUILD, or build below the program's
home.  Arguments are passed on: `-R lua` for the suites whose names match, `-N` to list them.
]],
}

-- A word as a shell reads it back.
local function quote (word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

---@param argv string[]
---@return integer exit_code
function test.run (argv)
  local build = os.getenv("PERIGEE_BUILD")
  if (build or "") == "" then build = code.home() .. "/build" end
  if not core.sys.stat(build .. "/CTestTestfile.cmake") then
    io.stderr:write("perigee: no tests in ", build, "; build there, or set PERIGEE_BUILD\n")
    return 1
  end
  local words = { "cd", quote(build), "&& exec ctest --output-on-failure" }
  for _, word in ipairs(argv) do words[#words + 1] = quote(word) end
  -- Through a shell, so that results appear while the suites run.
  local _, how, status = os.execute(table.concat(words, " "))
  if how == "signal" then return 128 + status end
  return status == 0 and 0 or 1
end

return test
