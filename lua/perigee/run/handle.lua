-- The handle that an experiment's script holds: what it says of its run, and the saving of it.
-- The layout of files is in store.lua, the steps in loop.lua, the start of a run in init.lua.

local core     = require "perigee.core"
local text     = require "perigee.run.text"
local code     = require "perigee.run.code"
local store    = require "perigee.run.store"
local metrics  = require "perigee.run.metrics"
local states   = require "perigee.run.states"
local claim    = require "perigee.run.claim"
local picture  = require "perigee.run.picture"
local loop     = require "perigee.run.loop"
local evaluate = require "perigee.run.evaluate"
local session  = require "perigee.run.session"
local machine  = require "perigee.run.machine"
local used     = require "perigee.data.used"

---@class perigee.Run
---@field config table the resolved configuration; unknown names are errors
---@field preset string "" for none
---@field rng any the root of all random streams, seeded by config.seed; its clock is the step
---@field id string 64 hexadecimal digits
---@field name string
---@field path string of the HDF5 file
---@field step integer the step under way, or the last one done
local Run = {}
Run.__index = Run

local LOG_SYNC <const> = 5      -- seconds between two fdatasync of the log
local PNG_WIDTH <const> = 720   -- pixels

-- --- saving -------------------------------------------------------------------------------

---Write the run's file.  With `live` the kept things are saved as they are now; otherwise the last
---checkpoint stays what it is on disk.
---@param live boolean
function Run:save (live)
  local _ <close> = core.scope()        -- what is read back or copied lives until it is written
  local record = self.record
  local message
  if live then
    record.checkpoints = { last = { step = self.done, seed = self.config.seed, ends = self.ends,
      groups = states.gather(self.kept) } }
    self.has_checkpoint = true
  elseif self.has_checkpoint then
    local earlier
    earlier, message = store.load(self.path, true)
    if not earlier then session.die(1, "cannot read the checkpoint back: " .. message) end
    record.checkpoints = earlier.checkpoints
  end
  record.checkpoints.best = self.best_checkpoint or record.checkpoints.best
  for _, facts in ipairs(used.list()) do
    local name = facts.name .. "." .. facts.split
    record.data[name] = record.data[name] or facts
  end
  record.code = code.sources()
  record.env = machine.facts(self.env_before, self.begun)
  local ok
  ok, message = store.save(self.path, record)
  record.checkpoints = {}
  if not ok then
    local kept = core.sys.stat(self.path) and "; the file as last saved is whole" or ""
    session.die(1, message .. kept)
  end
  self.saved_at = core.sys.clock()
  self:open_log()
end

-- Everything logged so far is in the file: start an empty log beside it.
function Run:open_log ()
  local path = self.path:gsub("%.h5$", ".log")
  if self.log_file then self.log_file:close() end
  core.sys.remove(path)
  local message
  self.log_file, message = core.io.log_open(path)
  if not self.log_file then session.die(1, message) end
  self.synced_at = core.sys.clock()
end

---Give back the lock and the log.
---@param finished boolean? the log has served its purpose
function Run:release (finished)
  if self.log_file then self.log_file:close() end
  if finished then core.sys.remove((self.path:gsub("%.h5$", ".log"))) end
  if self.lock then self.lock:close() end
  self.log_file, self.lock = nil, nil
end

-- --- what a script says -------------------------------------------------------------------

---Name what checkpoints hold: models, optimizers, anything that answers state() and load(t), and
---tables of parameters.
---@param things table<string, any>
function Run:keep (things)
  if type(things) ~= "table" then error("run:keep{ model = ..., optimizer = ... }", 2) end
  for _, name in ipairs(text.keys(things)) do
    local group, message = states.group(name)
    if not group then error(message, 2) end
    self.kept[name] = things[name]
  end
end

---Iterate over training steps: `for step, x, labels in run:steps(set, {batch =, count =})`.
---What a step makes is freed when the next begins.
---@param set any a data set, or nil
---@param options {batch: integer?, count: integer}
function Run:steps (set, options)
  return loop.steps(self, set, options)
end

---Note which data the run reads; a different content under the same name is an error on resume.
---@param set any
function Run:uses (set)
  if type(set.name) ~= "string" then return end
  local name = set.name .. (set.split and "." .. set.split or "")
  local facts = { split = set.split, source = set.source, sha256 = set.sha256, n = set.n,
    binarize = set.binarize }
  local before = self.record.data[name]
  if before and before.sha256 ~= facts.sha256 then
    error(string.format("data %s is not what this run began with (sha256 %.12s, was %.12s); " ..
      "bring it back, or begin anew with --again", name, tostring(facts.sha256),
      tostring(before.sha256)), 0)
  end
  self.record.data[name] = facts
end

local function number_of (name, v)
  if type(v) == "userdata" and v.ndim == 0 then v = v:item() end
  if type(v) == "number" then return v end
  local what = type(v) == "userdata" and "a tensor (" .. table.concat(v.shape, ", ") .. ")"
    or "a " .. type(v)
  error(string.format("run:log: %s is %s; log numbers or tensors of shape ()", name, what), 3)
end

---Record numbers at the present step: run:log{ loss = x }, or run:log("test", { nll = x }).
---@param split string|table "train" when left out
---@param values table<string, any>? numbers, or tensors of shape ()
function Run:log (split, values)
  if values == nil then split, values = "train", split end
  if type(values) ~= "table" or not metrics.is_name(split) then
    error('run:log{ loss = ... } or run:log("test", { nll = ... })', 2)
  end
  local row, parts = {}, {}
  for name, v in pairs(values) do
    if not metrics.is_name(name) then
      error(string.format("run:log: '%s' cannot name a metric", tostring(name)), 2)
    end
    local number = number_of(name, v)
    row[name] = number
    parts[#parts + 1] = string.format("%s=%a", name, number)
    if split == "train" then
      self.logged[name] = number       -- at this step
      self.latest[name] = number       -- for the progress line
    end
    if number ~= number and not self.warned then
      self.warned = true
      self.progress:print("%s.%s is nan at step %d", split, name, self.step)
    end
  end
  if self.replaying then return end      -- the file has it already
  local wall = core.sys.now()
  self.record.metrics:add(split, self.step, wall, row)
  table.sort(parts)
  local ok, message = self.log_file:append(string.format("%s\t%d\t%.6f\t%s", split, self.step, wall,
    table.concat(parts, "\t")))
  local now = core.sys.clock()
  if ok and now - self.synced_at > LOG_SYNC then
    ok, message = self.log_file:sync()
    self.synced_at = now
  end
  if not ok then
    session.die(1, message .. "; the file as last saved is whole: " .. self.path)
  end
end

---One number for each example of a data set, without gradients.
---@param set any
---@param f fun(x: any, labels: any): any
---@param options {batch: integer?, log: string?}?
---@return perigee.Evaluation
function Run:evaluate (set, f, options)
  return evaluate.run(self, set, f, options)
end

---Keep a grid of images at the present step, and show the latest of a tag as a PNG beside the file.
---@param tag string
---@param x any (n, height, width[, channel]), or (n, ...) with options.shape
---@param options {shape: integer[]?, columns: integer?, range: number[]?}?
function Run:image (tag, x, options)
  if not metrics.is_name(tag) then
    error(string.format("run:image: '%s' cannot name an image", tostring(tag)), 2)
  end
  if type(x) ~= "userdata" then error("run:image(tag, tensor): not a " .. type(x), 2) end
  local _ <close> = core.scope()
  local grid, message = picture.grid(x, options or {})
  if not grid then error("run:image: " .. message, 2) end
  if self.replaying then return end
  local images = self.record.images
  local at = #images + 1
  for i, image in ipairs(images) do
    if image.tag == tag and image.step == self.step then at = i end
  end
  images[at] = { tag = tag, step = self.step, image = grid:keep() }
  local folder = self.path:gsub("%.h5$", "")
  local path = folder .. "/" .. tag .. ".png"
  local ok
  ok, message = core.sys.mkdir(folder)
  if ok then
    ok, message = core.io.png_write(path, picture.enlarge(grid, PNG_WIDTH), {
      Software = "Perigee", Title = tag, run = self.id, name = self.name,
      step = tostring(self.step), seed = tostring(self.config.seed), file = self.path,
    })
  end
  if not ok then session.die(1, message) end
end

---Claim something about the result: { "text", true or false, value =, published =, source = }.
---Without a verdict the claim is not judged, and `why` says why.
---@param given table
function Run:claim (given)
  local c, message = claim.read(given)
  if not c then error(message, 2) end
  if self.replaying then return end
  for i, other in ipairs(self.record.claims) do
    if other.text == c.text then
      self.record.claims[i] = c
      return
    end
  end
  table.insert(self.record.claims, c)
end

---Remember the kept things as the best so far if the value is.
---@param metric string what is compared, "test.nll"
---@param value number
---@param goal "min"|"max"|nil "min" when absent
---@return boolean is_best
function Run:best (metric, value, goal)
  if type(value) ~= "number" or (goal ~= nil and goal ~= "min" and goal ~= "max") then
    error('run:best(metric, number, "min" or "max")', 2)
  end
  if self.replaying then return false end
  local best = self.best_checkpoint
  local before = best and best.facts.value
  local better = value == value
    and (not before or (goal == "max" and value > before) or (goal ~= "max" and value < before))
  if not better then return false end
  local groups = states.gather(self.kept)
  for group, state in pairs(groups) do groups[group] = states.copy(state) end
  self.best_checkpoint = {
    step = self.step, seed = self.config.seed, ends = {}, groups = groups,
    facts = { metric = metric, value = value, goal = goal or "min" },
  }
  return true
end

---End the run now.  Scripts run by `perigee` need not call it: their end is the run's.
function Run:finish ()
  session.finish()
end

return Run
