-- A record of the sets this process loaded, for the file of a run.

local used = {}

---@class perigee.DataUse
---@field name string
---@field split string
---@field source string
---@field sha256 string
---@field n integer

---@type perigee.DataUse[]
local list = {}

local fields = {"name", "split", "source", "sha256", "n"}

local function facts (set)
  local use = {}
  for _, field in ipairs(fields) do use[field] = set[field] end
  return use
end

local function equal (a, b)
  for _, field in ipairs(fields) do
    if a[field] ~= b[field] then return false end
  end
  return true
end

---Note sets, each once, in the order they were first loaded.
---@param ... perigee.Set
function used.note (...)
  for _, set in ipairs {...} do
    local new = true
    for _, use in ipairs(list) do new = new and not equal(use, set) end
    if new then list[#list + 1] = facts(set) end
  end
end

---The data sets that were loaded since the process began, and what their contents hash to.
---@return perigee.DataUse[] a copy
function used.list ()
  local copy = {}
  for i, use in ipairs(list) do copy[i] = facts(use) end
  return copy
end

return used
