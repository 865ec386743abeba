-- The HDF5 layout of a run: a record written as one whole file, and read back.
-- A foreign file is data: nothing in it is executed, and what does not fit is a message.

local core    = require "perigee.core"
local text    = require "perigee.run.text"
local column  = require "perigee.run.column"
local metrics = require "perigee.run.metrics"

local store = {}

store.format, store.version = "perigee-run", 1

---@class perigee.Checkpoint
---@field step integer
---@field seed integer
---@field ends integer[] the last step of every loop that is over
---@field groups table<string, table<string, any>> kept thing -> name -> tensor or number
---@field facts table<string, any>? of the best one: metric, value, goal

---@class perigee.Record
---@field head table<string, any> attributes of the root: run_id, name, status, seed, ...
---@field config table<string, any> dotted key -> value
---@field resolved string JSON
---@field overrides string what was asked, one key=value a line
---@field code {name: string, text: string, sha256: string, late: boolean}[]
---@field git {commit: string, dirty: boolean, diff: string}?
---@field env table<string, any>
---@field data table<string, table<string, any>>
---@field metrics perigee.Metrics
---@field claims table[]
---@field images {tag: string, step: integer, image: any}[]
---@field digest {step: integer[], value: integer[]}
---@field checkpoints table<string, perigee.Checkpoint> last, best

-- --- writing ------------------------------------------------------------------------------

-- Calls until the first failure, which it keeps.
local Writer = {}
Writer.__index = Writer

function Writer:call (method, ...)
  if self.message then return end
  local ok, message = self.file[method](self.file, ...)
  if not ok then self.message = message or "cannot be written" end
end

function Writer:attrs (object, values)
  for _, k in ipairs(text.keys(values)) do self:call("attr", object, k, values[k]) end
end

local function is_number_like (v)
  local t = type(v)
  return t == "number" or t == "boolean" or t == "string"
end

function Writer:group (path, values)
  for _, name in ipairs(text.keys(values)) do
    local v = values[name]
    if is_number_like(v) then
      self:call("attr", path, name, v)
    else
      self:call("write", path .. "/" .. name, v)
    end
  end
end

function Writer:checkpoint (path, c)
  self:attrs(path, { step = c.step })
  self:attrs(path, c.facts or {})
  self:attrs(path .. "/random", { seed = c.seed, step = c.step })
  self:attrs(path .. "/loader", { step = c.step, loops = #c.ends })
  if #c.ends > 0 then self:call("write_i64", path .. "/loader/ends", c.ends) end
  for _, name in ipairs(text.keys(c.groups)) do
    self:group(path .. "/" .. name, c.groups[name])
  end
end

function Writer:code (record)
  for _, s in ipairs(record.code) do
    local path = "/code/" .. s.name
    self:call("write", path, s.text)
    self:attrs(path, { sha256 = s.sha256, late = s.late })
  end
  local git = record.git
  if git then
    self:attrs("/code", { commit = git.commit, dirty = git.dirty })
    if git.diff ~= "" then self:call("write", "/env/git_diff", git.diff) end
  end
end

function Writer:metrics (m)
  for _, split in ipairs(m:names()) do
    local s, path = m.splits[split], "/metrics/" .. split
    self:call("write_i64", path .. "/step", s.step:list())
    self:call("write_f64", path .. "/wall", s.wall:list())
    self:attrs(path .. "/wall", { unit = "s since 1970-01-01 UTC" })
    for _, name in ipairs(text.keys(s.columns)) do
      local dataset = path .. "/" .. name
      self:call("write_f64", dataset, s.columns[name]:list())
      self:attrs(dataset, m.about[split .. "." .. name] or {})
      self:attrs(dataset, { first_step = s.first[name] })
      self:call("scale", dataset, path .. "/step", "step")
    end
    self:call("scale", path .. "/wall", path .. "/step", "step")
  end
  self:attrs("/summary", m:summary())
end

---Write the whole run.  The earlier file stays as it was until the new one is on disk.
---@param path string
---@param record perigee.Record
---@return true?
---@return string? message
---@return string? code
function store.save (path, record)
  local file, message, word = core.h5.create(path)
  if not file then return nil, message, word end
  local w = setmetatable({ file = file }, Writer)
  w:attrs("/", { format = store.format, format_version = store.version })
  w:attrs("/", record.head)
  w:call("write", "/config/resolved", record.resolved)
  w:call("write", "/config/overrides", record.overrides)
  for _, key in ipairs(text.keys(record.config)) do
    local v = record.config[key]
    w:call("attr", "/config", key, type(v) == "table" and text.json(v) or v)
  end
  w:attrs("/env", record.env)
  w:code(record)
  for _, name in ipairs(text.keys(record.data)) do w:attrs("/data/" .. name, record.data[name]) end
  w:metrics(record.metrics)
  for i, claim in ipairs(record.claims) do w:attrs("/claims/" .. i, claim) end
  for _, image in ipairs(record.images) do
    w:call("image", string.format("/images/%s/step_%08d", image.tag, image.step), image.image)
  end
  if #record.digest.step > 0 then
    w:call("write_i64", "/digest/step", record.digest.step)
    w:call("write_u64", "/digest/value", record.digest.value)
    w:call("scale", "/digest/value", "/digest/step", "step")
  end
  for _, which in ipairs(text.keys(record.checkpoints)) do
    w:checkpoint("/checkpoints/" .. which, record.checkpoints[which])
  end
  if w.message then
    file:close()
    return nil, w.message
  end
  return file:commit()
end

-- --- reading ------------------------------------------------------------------------------

-- Reads that raise a plain string, caught in store.load: a damaged file has many places to say so.
local Reader = {}
Reader.__index = Reader

local function give_up (...)
  error({ damaged = string.format(...) }, 0)
end

function Reader:read (name, wanted)
  local v, message = self.file:read(name)
  if v == nil then give_up("%s", message or name .. " cannot be read") end
  if wanted and type(v) ~= wanted then give_up("%s is not the %s it should be", name, wanted) end
  return v
end

function Reader:attrs (object)
  if not self.file:has(object) then return {} end
  local t, message = self.file:attrs(object)
  if t == nil then give_up("%s", message or object .. " has unreadable attributes") end
  return t
end

function Reader:list (group)
  if not self.file:has(group) then return {} end
  local t, message = self.file:list(group)
  if t == nil then give_up("%s", message or group .. " cannot be listed") end
  return t
end

function Reader:numbers (name)
  local t = self:read(name, "table")
  for _, v in ipairs(t) do
    if type(v) ~= "number" then give_up("%s holds something that is not a number", name) end
  end
  return t
end

function Reader:checkpoint (path)
  local facts = self:attrs(path)
  local random = self:attrs(path .. "/random")
  local c = { step = facts.step, seed = random.seed, ends = {}, groups = {}, facts = facts }
  facts.step = nil
  if math.type(c.step) ~= "integer" then give_up("%s has no step", path) end
  if self.file:has(path .. "/loader/ends") then c.ends = self:numbers(path .. "/loader/ends") end
  for _, entry in ipairs(self:list(path)) do
    local name = entry.name
    if entry.kind == "group" and name ~= "random" and name ~= "loader" then
      local values = self:attrs(path .. "/" .. name)
      for _, item in ipairs(self:list(path .. "/" .. name)) do
        if item.kind == "dataset" then
          local v = self:read(path .. "/" .. name .. "/" .. item.name)
          -- A vector of float64, real in the double build, is read as a list of numbers.
          values[item.name] = type(v) == "table" and core.tensor(v) or v
        end
      end
      c.groups[name] = values
    end
  end
  return c
end

function Reader:metrics ()
  local m = metrics.new()
  for _, split in ipairs(self:list("/metrics")) do
    local path = "/metrics/" .. split.name
    local steps = self:numbers(path .. "/step")
    for _, v in ipairs(steps) do
      if math.type(v) ~= "integer" then give_up("%s/step is not a list of integers", path) end
    end
    local s = { step = column.new("j", steps), columns = {}, first = {} }
    s.wall = column.new("d", self:numbers(path .. "/wall"))
    for _, entry in ipairs(self:list(path)) do
      local name, dataset = entry.name, path .. "/" .. entry.name
      if name ~= "step" and name ~= "wall" then
        local about = self:attrs(dataset)
        local values = self:numbers(dataset)
        s.columns[name] = column.new("d", values)
        s.first[name] = math.tointeger(about.first_step) or steps[1]
        if #values ~= #steps then give_up("%s and step differ in length", dataset) end
        for k, v in pairs(about) do
          local is_ours = k == "goal" or k == "unit" or k == "kind"
          if is_ours and type(v) == "string" then
            local key = split.name .. "." .. name
            m.about[key] = m.about[key] or {}
            m.about[key][k] = v
          end
        end
      end
    end
    m.splits[split.name] = s
  end
  return m
end

function Reader:code (group, found)
  for _, entry in ipairs(self:list(group)) do
    local path = group .. "/" .. entry.name
    if entry.kind == "group" then
      self:code(path, found)
    else
      local about = self:attrs(path)
      found[#found + 1] = { name = path:sub(7), sha256 = tostring(about.sha256),
        late = about.late == true, text = self:read(path, "string") }
    end
  end
  return found
end

function Reader:head ()
  local head = self:attrs("/")
  if head.format ~= store.format then give_up("not a file that perigee run wrote") end
  if head.format_version ~= store.version then
    give_up("its layout has version %s and this program knows %d: use a newer Perigee",
      tostring(head.format_version), store.version)
  end
  for _, k in ipairs { "run_id", "name", "status" } do
    if type(head[k]) ~= "string" then give_up("it has no %s", k) end
  end
  head.format, head.format_version = nil, nil
  return head
end

function Reader:overview ()
  local head = self:head()
  head.summary, head.verdicts = self:attrs("/summary"), {}
  head.seconds = tonumber(self:attrs("/env").seconds) or 0
  for i = 1, #self:list("/claims") do
    head.verdicts[i] = self:attrs("/claims/" .. i).verdict
  end
  return head
end

function Reader:record (checkpoints)
  local head = self:head()
  local record = { head = head, config = self:attrs("/config"), env = self:attrs("/env"),
    resolved = self:read("/config/resolved", "string"),
    overrides = self:read("/config/overrides", "string"),
    code = self:code("/code", {}), data = {}, claims = {}, images = {}, checkpoints = {},
    metrics = self:metrics(), digest = { step = {}, value = {} } }
  local git = self:attrs("/code")
  if git.commit then
    record.git = { commit = tostring(git.commit), dirty = git.dirty == true, diff = "" }
    if self.file:has("/env/git_diff") then
      record.git.diff = self:read("/env/git_diff", "string")
    end
  end
  for _, e in ipairs(self:list("/data")) do record.data[e.name] = self:attrs("/data/" .. e.name) end
  for i = 1, #self:list("/claims") do record.claims[i] = self:attrs("/claims/" .. i) end
  for _, tag in ipairs(self:list("/images")) do
    for _, e in ipairs(self:list("/images/" .. tag.name)) do
      local step = math.tointeger(tonumber(e.name:match("^step_(%d+)$")))
      if step then
        local path = "/images/" .. tag.name .. "/" .. e.name
        local image = self:read(path, "userdata")
        if image.dtype ~= "byte" or image.ndim ~= 3 or image.shape[3] ~= 3 then
          give_up("%s is not a colour image", path)
        end
        record.images[#record.images + 1] = { tag = tag.name, step = step, image = image }
      end
    end
  end
  if self.file:has("/digest/step") then
    record.digest = { step = self:numbers("/digest/step"), value = self:numbers("/digest/value") }
  end
  for _, e in ipairs(checkpoints and self:list("/checkpoints") or {}) do
    record.checkpoints[e.name] = self:checkpoint("/checkpoints/" .. e.name)
  end
  return record
end

-- Call f; what it gave up on becomes nil and a message that names the file.
local function with_messages (path, f, ...)
  local ok, result = pcall(f, ...)
  if ok then return result end
  if type(result) ~= "table" or not result.damaged then error(result, 0) end
  local message = result.damaged
  return nil, message:find(path, 1, true) and message or path .. ": " .. message
end

---Read a run; the parameters of its checkpoints only when asked for.
---@param path string
---@param checkpoints boolean?
---@return perigee.Record?
---@return string? message names the file
function store.load (path, checkpoints)
  local file, message = core.h5.open(path)
  if not file then return nil, message end
  local reader = setmetatable({ file = file }, Reader)
  local record
  record, message = with_messages(path, reader.record, reader, checkpoints)
  file:close()
  return record, message
end

---What a list of runs needs: the attributes of the root, with summary, verdicts and seconds.
---@param path string
---@return table<string, any>? head
---@return string? message
function store.head (path)
  local file, message = core.h5.open(path)
  if not file then return nil, message end
  local reader = setmetatable({ file = file }, Reader)
  local head
  head, message = with_messages(path, reader.overview, reader)
  file:close()
  return head, message
end

return store
