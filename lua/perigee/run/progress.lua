-- The progress line: one live line on a terminal, a plain line now and then elsewhere.
-- Only shows; keeps no record.

local core = require "perigee.core"
local text = require "perigee.run.text"

---@class perigee.Progress
local Progress = {}
Progress.__index = Progress

local LIVE, PLAIN = 0.1, 10      -- seconds between lines on a terminal, and elsewhere

---@param out file*? standard output when absent
---@return perigee.Progress
local function new (out)
  local live = core.sys.isatty(1) and os.getenv("TERM") ~= "dumb"
  return setmetatable({ out = out or io.stdout, live = live, shown = false, due = 0 }, Progress)
end

---Start counting a loop.
---@param label string "step"
---@param first integer steps that were done before this process
---@param last integer
function Progress:start (label, first, last)
  local now = core.sys.clock()
  self.label, self.last = label, last
  self.begin, self.first = now, first
  self.mark, self.mark_at, self.rate = first, now, nil
  self.due = now + (self.live and LIVE or PLAIN)
end

-- Loss first, the other values by name.
local function values_text (values)
  local names = text.keys(values)
  table.sort(names, function (a, b)
    if (a == "loss") ~= (b == "loss") then return a == "loss" end
    return a < b
  end)
  for i, name in ipairs(names) do names[i] = name .. " " .. text.short(values[name]) end
  return table.concat(names, "  ")
end

---The line for a step, without colours or control characters.
---@param done integer
---@param values table<string, number>
---@param now number seconds of core.sys.clock
---@return string
function Progress:line (done, values, now)
  -- The rate follows the last second or so, the estimate of what is left too.
  if now - self.mark_at >= 1 or not self.rate then
    local recent = (done - self.mark) / math.max(now - self.mark_at, 1e-9)
    self.rate = self.rate and 0.5 * (self.rate + recent) or recent
    if now - self.mark_at >= 1 then self.mark, self.mark_at = done, now end
  end
  local last = tostring(self.last)
  local parts = { string.format("%s %" .. #last .. "d/%s", self.label, done, last) }
  local shown = values_text(values)
  if shown ~= "" then parts[#parts + 1] = shown end
  if done > self.first then
    parts[#parts + 1] = text.short(tonumber(string.format("%.3g", self.rate))) .. " it/s"
    if done < self.last then
      parts[#parts + 1] = "eta " .. text.duration((self.last - done) / self.rate)
    else
      parts[#parts + 1] = "in " .. text.duration(now - self.begin)
    end
  end
  return table.concat(parts, "  ")
end

local function emit (self, line)
  if self.live then
    local width = core.sys.columns() - 1
    if (utf8.len(line) or #line) > width then line = line:sub(1, width) end
    self.out:write("\r", line, "\27[K")
    self.shown = true
  else
    self.out:write(line, "\n")
  end
  self.out:flush()
end

---Called after every step; writes when a line is due.
---@param done integer
---@param values table<string, number>
function Progress:step (done, values)
  local now = core.sys.clock()
  if now < self.due then return end
  self.due = now + (self.live and LIVE or PLAIN)
  emit(self, self:line(done, values, now))
end

---The loop is over: its last line stays.
---@param done integer
---@param values table<string, number>
function Progress:finish (done, values)
  if done == self.first then return self:clear() end
  emit(self, self:line(done, values, core.sys.clock()))
  if self.live then self.out:write("\n") end
  self.shown = false
end

---Make room for another line.
function Progress:clear ()
  if self.shown then
    self.out:write("\r\27[K")
    self.out:flush()
    self.shown = false
  end
end

---Write a line of its own.
---@param format string
function Progress:print (format, ...)
  self:clear()
  self.out:write(string.format(format, ...), "\n")
  self.out:flush()
end

return { new = new }
