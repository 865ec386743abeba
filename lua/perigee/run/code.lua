-- Which Lua sources ran, with their hashes; what git says of them; and the run id made from them.
-- Sources are text only (no bytecode), and what is recorded is the very text that was compiled.

local core = require "perigee.core"
local text = require "perigee.run.text"

local code = {}

-- Raised by hand whenever the runtime's results may change in their last bits.
code.numeric_version = 2

---@class perigee.Source
---@field name string path below the installation or below the script's folder
---@field path string where it was read
---@field text string
---@field sha256 string
---@field late boolean loaded after the run id was settled

local sources, by_path = {}, {}
local settled = false

-- The installation: this file is HOME/lua/perigee/run/code.lua.
local here = core.sys.realpath(debug.getinfo(1, "S").source:sub(2))
local home = here and here:match("^(.*)/lua/perigee/run/code%.lua$") or "."
local script_folder

local function below (folder, path)
  if folder and path:sub(1, #folder + 1) == folder .. "/" then return path:sub(#folder + 2) end
end

local function name_of (path)
  return below(home, path) or below(script_folder, path) or (path:gsub("^/", ""))
end

local function read (path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local content = file:read("a")
  file:close()
  if not content then return nil, path .. ": cannot be read" end
  return content
end

local function record (path, content)
  path = core.sys.realpath(path) or path
  if by_path[path] then return end
  local source = { path = path, text = content, sha256 = core.io.sha256(content), late = settled }
  sources[#sources + 1] = source
  by_path[path] = source
end

---The installation's folder.
---@return string
function code.home ()
  return home
end

---Compile a source file and record it.
---@param path string
---@param env table?
---@return function?
---@return string? message
function code.load_file (path, env)
  local content, message = read(path)
  if not content then return nil, message end
  local body = content:gsub("^#[^\n]*", "")            -- a #! line
  local chunk
  if env then
    chunk, message = load(body, "@" .. path, "t", env)
  else
    chunk, message = load(body, "@" .. path, "t")
  end
  if chunk then record(path, content) end
  return chunk, message
end

-- Stands in for package.searchers[2].
local function search (module)
  local path, message = package.searchpath(module, package.path)
  if not path then return message end
  local chunk, problem = code.load_file(path)
  if not chunk then
    error(string.format("error loading module '%s' from '%s':\n\t%s", module, path, problem), 0)
  end
  return chunk, path
end

local standard = {}
for name in ("_G package coroutine table io os string math utf8 debug"):gmatch("%S+") do
  standard[name] = true
end

---Record every source loaded from now on, and those of the modules that already are.
function code.install ()
  if package.searchers[2] == search then return end
  package.searchers[2] = search
  for _, module in ipairs(text.keys(package.loaded)) do
    local path = not standard[module] and package.searchpath(module, package.path)
    local content = path and read(path)
    if content then record(path, content) end
  end
  rawset(_G, "loadfile", function (path, _, env) return code.load_file(path, env) end)
  rawset(_G, "dofile", function (path) return assert(code.load_file(path))() end)
end

---Where the script is; names of sources below its folder are relative to it.
---@param path string
function code.set_script (path)
  local content = read(path)
  if not content then return end
  record(path, content)
  script_folder = core.sys.realpath(path):match("^(.*)/[^/]*$")
end

---The script is a line of code.
---@param content string
function code.set_inline (content)
  record("/command line", content)
end

---The sources so far, sorted by name; not the command line's, which compute nothing.
---@return perigee.Source[]
function code.sources ()
  local list = {}
  for _, s in ipairs(sources) do
    s.name = name_of(s.path)
    if not s.name:match("^lua/perigee/cli/") then list[#list + 1] = s end
  end
  table.sort(list, function (a, b) return a.name < b.name end)
  return list
end

---What was loaded so far is what the run id covers; anything later is marked late.  The rooms of
---the library that are loaded at their first mention are loaded now, so that they are covered.
---@return string canonical one line a source: name and sha256
function code.settle ()
  local rooms = getmetatable(require "perigee").rooms
  for _, room in ipairs(text.keys(rooms)) do require("perigee." .. room) end
  local lines = {}
  for _, s in ipairs(code.sources()) do
    if not s.late then lines[#lines + 1] = s.name .. "\t" .. s.sha256 end
  end
  settled = true
  return table.concat(lines, "\n")
end

---The name of a late source of an earlier run that is not what it was, or nil.
---@param earlier {name: string, sha256: string, late: boolean}[]
---@return string?
function code.changed (earlier)
  for _, s in ipairs(earlier) do
    if s.late then
      local content
      for _, folder in ipairs { home, script_folder or home, "" } do
        content = content or read(folder .. "/" .. s.name)
      end
      if not content or core.io.sha256(content) ~= s.sha256 then return s.name end
    end
  end
end

---"float32" or "float64": how this program was built.
code.precision = core.tensor({ 0.1 }):sum():item() == 0.1 and "float64" or "float32"

---The run id: 64 hexadecimal digits.  Threads, folders and the machine are not part of it.
---@param name string
---@param canonical_config string
---@param canonical_code string
---@return string
function code.run_id (name, canonical_config, canonical_code)
  return core.io.sha256(table.concat({
    "perigee-run 1", name, "numeric " .. code.numeric_version .. " " .. code.precision,
    "config", canonical_config, "code", canonical_code,
  }, "\n"))
end

---What git says of the folder of the script: commit, whether files differ from it, and how.
---@param folder string
---@return {commit: string, dirty: boolean, diff: string}? nil outside a repository
function code.git (folder)
  local function git (...)
    local result = core.sys.run({ "git", "-C", folder, ... }, {})
    if result and result.code == 0 then return result.out end
  end
  local commit = git("rev-parse", "--verify", "HEAD")
  if not commit then return nil end
  local status = git("status", "--porcelain", "--untracked-files=no") or ""
  local diff = status ~= "" and git("diff", "HEAD") or ""
  if #diff > 1 << 20 then diff = diff:sub(1, 1 << 20) .. "\n(cut off at 1 MiB)\n" end
  return { commit = commit:match("%x+"), dirty = status ~= "", diff = diff }
end

---The folder of the script, or the current one.
---@return string
function code.script_folder ()
  return script_folder or core.sys.cwd()
end

return code
