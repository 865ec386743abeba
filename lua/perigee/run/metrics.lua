-- The tables of a run's numbers: per split one row a step, one float64 column a metric, NaN where a
-- metric was not logged.  Knows no files.

local column = require "perigee.run.column"
local text   = require "perigee.run.text"

---@class perigee.Split
---@field step perigee.Column integers
---@field wall perigee.Column unix seconds
---@field columns table<string, perigee.Column>
---@field first table<string, integer> the step at which a column was first logged

---@class perigee.Metrics
---@field splits table<string, perigee.Split>
---@field about table<string, table<string, string>> "test.nll" -> goal, unit, kind
local Metrics = {}
Metrics.__index = Metrics

local nan = 0 / 0

---@param about table<string, table<string, string>>? declared by peri.run{ metrics = ... }
---@return perigee.Metrics
local function new (about)
  return setmetatable({ splits = {}, about = about or {} }, Metrics)
end

---Is this a name that a column, a group of the file and a command line can carry?
---@param name any
---@return boolean
local function is_name (name)
  return type(name) == "string" and name:match("^[%a_][%w_.-]*$") ~= nil
    and name ~= "step" and name ~= "wall"
end

---Add values to the row of a step.  Steps never go back, so only the last row can grow.
---@param split string
---@param step integer
---@param wall number unix seconds
---@param values table<string, number>
function Metrics:add (split, step, wall, values)
  local s = self.splits[split]
  if not s then
    s = { step = column.new "j", wall = column.new "d", columns = {}, first = {} }
    self.splits[split] = s
  end
  if s.step:last() ~= step then
    s.step:push(step)
    s.wall:push(wall)
    for _, c in pairs(s.columns) do c:push(nan) end
  end
  for name, value in pairs(values) do
    local c = s.columns[name]
    if not c then
      c = column.new "d"
      for _ = 1, s.step:count() do c:push(nan) end
      s.columns[name], s.first[name] = c, step
    end
    c:amend(value + 0.0)
  end
end

---Does the split have a row of this step or a later one?
---@param split string
---@param step integer
---@return boolean
function Metrics:reaches (split, step)
  local s = self.splits[split]
  return s ~= nil and s.step:count() > 0 and s.step:last() >= step
end

---Forget the rows after a step, and columns that only they had.
---@param step integer
function Metrics:cut (step)
  for name, s in pairs(self.splits) do
    local steps = s.step:list()
    local n = #steps
    while n > 0 and steps[n] > step do n = n - 1 end
    for key, first in pairs(s.first) do
      if first > step then s.columns[key], s.first[key] = nil, nil end
    end
    s.step, s.wall = s.step:cut(n), s.wall:cut(n)
    for key, c in pairs(s.columns) do s.columns[key] = c:cut(n) end
    if n == 0 then self.splits[name] = nil end
  end
end

---The names of splits, sorted.
---@return string[]
function Metrics:names ()
  return text.keys(self.splits)
end

---Final and best value of every metric under "split.metric"; best only where a goal is declared.
---@return table<string, number>
function Metrics:summary ()
  local summary = {}
  for _, split in ipairs(self:names()) do
    local s = self.splits[split]
    local steps = s.step:list()
    for _, name in ipairs(text.keys(s.columns)) do
      local key = split .. "." .. name
      local goal = (self.about[key] or {}).goal
      local final, best, at
      for i, v in ipairs(s.columns[name]:list()) do
        if v == v then
          final = v
          if best == nil or (goal == "max" and v > best) or (goal ~= "max" and v < best) then
            best, at = v, steps[i]
          end
        end
      end
      summary[key] = final
      if goal and best then
        summary[key .. ".best"], summary[key .. ".best_step"] = best, at
      end
    end
  end
  return summary
end

return { new = new, is_name = is_name, Metrics = Metrics }
