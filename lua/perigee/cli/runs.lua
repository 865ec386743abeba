-- Finding runs on disk: by path, by the first digits of their id, or all of them.

local core  = require "perigee.core"
local store = require "perigee.run.store"

local runs = {}

---Paths of the run files below a folder, sorted.
---@param results string
---@return string[]? paths
---@return string? message
function runs.paths (results)
  local names, message = core.sys.list(results)
  if not names then return nil, message end
  local paths = {}
  for _, name in ipairs(names) do
    local folder = results .. "/" .. name
    local about = core.sys.stat(folder)
    for _, file in ipairs(about and about.kind == "dir" and core.sys.list(folder) or {}) do
      if file:match("%.h5$") then paths[#paths + 1] = folder .. "/" .. file end
    end
  end
  return paths
end

---The run that a word on the command line means.
---@param word string a path, or the first digits of an id
---@param results string
---@return string? path
---@return string? message
function runs.find (word, results)
  local about = core.sys.stat(word)
  if about and about.kind == "file" then return word end
  if not word:match("^%x+$") then
    return nil, word .. ": no such file; a run is a path or the first digits of its id"
  end
  local paths, message = runs.paths(results)
  if not paths then return nil, message end
  local found = {}
  for _, path in ipairs(paths) do
    if path:match("[^/]*$"):sub(1, #word) == word:lower() then found[#found + 1] = path end
  end
  if #found == 1 then return found[1] end
  if #found == 0 then
    return nil, string.format("no run in %s has an id that begins with %s; see `perigee list`",
      results, word)
  end
  return nil, string.format("%d runs in %s begin with %s: %s", #found, results, word,
    table.concat(found, ", "))
end

---The status of a run as it is now: a process that was killed leaves "running" behind.
---@param path string
---@param status string as stored
---@return string
function runs.status (path, status)
  local lock_path = path:gsub("%.h5$", ".lock")
  if not core.sys.stat(lock_path) then
    return status == "running" and "interrupted" or status
  end
  local lock, _, word = core.sys.lock(lock_path)
  if lock then
    lock:close()
    return status == "running" and "interrupted" or status
  end
  return word == "held" and "running" or status
end

---What a list shows of a run.
---@param path string
---@return table? head
---@return string? message
function runs.head (path)
  local head, message = store.head(path)
  if head then head.status = runs.status(path, head.status) end
  return head, message
end

return runs
