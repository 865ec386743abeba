-- Samples kept from earlier steps: the image pool of adversarial training and the replay buffer.
-- What is drawn at a call depends on the stream and the number of calls so far, which the state of
-- a checkpoint carries.

local core = require "perigee.core"
local options = require "perigee.options"
local walk = require "perigee.nn.walk"

-- Room for n samples shaped as the rows of x.
local function make_room (x, n)
  local shape = x.shape
  shape[1] = n
  return core.zeros(shape):keep()
end

-- Whether x has rows as those of the room, if there is one already.
local function check_rows (what, name, x, room)
  local s = options.is_tensor(x) and x.dtype == "real" and x.shape or {}
  local fits = #s > 0 and (not room or #s == #room.shape)
  for i = 2, fits and room and #s or 0 do fits = fits and s[i] == room.shape[i] end
  if not fits then
    local rows = room and ", " .. table.concat(room.shape, ", ", 2) or ", ..."
    error(("%s: %s is %s; want real (batch%s)"):format(what, name,
      options.is_tensor(x) and x.dtype .. " (" .. table.concat(x.shape, ", ") .. ")"
      or "a " .. options.kind(x), rows), 3)
  end
end

local function integer_of (what, state, name, low, high)
  local i = math.tointeger(state[name])
  if not i or i < low or i > high then
    error(("%s: the state has %s = %s; want an integer from %d to %d"):format(what, name,
      tostring(state[name]), low, high), 3)
  end
  return i
end

local function check_size (what, size)
  if size < 1 then error(("%s: size = %d; it is at least 1"):format(what, size), 3) end
end

-- The tensors of a state into rooms of the same names, made where there are none.  Returns the
-- rooms: none when the state is from before the first row.
local function put_rooms (what, rooms, state, size)
  local tensors = {}
  for name, v in pairs(state) do
    local field = name:match "^row%.(.+)$"
    if field then
      if not options.is_tensor(v) or v.dtype ~= "real" or v.shape[1] ~= size then
        error(("%s: '%s' is no real tensor with %d rows"):format(what, name, size), 3)
      end
      tensors[field] = v
    end
  end
  if not next(tensors) then
    if state.filled ~= 0 then error(what .. ": the state has no rows", 3) end
    return {}
  end
  if not next(rooms) then
    rooms = {}
    for field, v in pairs(tensors) do rooms[field] = make_room(v, size) end
  end
  walk.assign(what, rooms, tensors, 4)
  return rooms
end

local function state_of (self)
  local state = {calls = self.calls, filled = self.filled}
  for field, room in pairs(self.rooms) do state["row." .. field] = room end
  return state
end

-- --- image pool ----------------------------------------------------------------------------------

---@class perigee.Pool
---@field size integer
---@field filled integer samples held
---@field calls integer
---@field rooms table<string, userdata>
local Pool = {}
Pool.__index = Pool

---Give the newest samples, get as many to show the discriminator.  Until the pool is full each is
---kept and given back; then, with probability 1/2, one that was held comes out for it and it takes
---its place.  Without gradient.
---@param x userdata real (batch, ...), rows of the same shape at every call
---@return userdata of x's shape
function Pool:exchange (x)
  check_rows("pool:exchange", "x", x, self.rooms.images)
  if not self.rooms.images then self.rooms.images = make_room(x, self.size) end
  local room, rng, n, rows = self.rooms.images, self.rng, x.shape[1], {}
  x = x:detach()
  local coins = n > 0 and rng:fork("coin"):at(self.calls):uniform(n):tolist() or {}
  local places = n > 0 and rng:fork("place"):at(self.calls):integers({n}, 1, self.size):tolist()
  for i = 1, n do
    local row = x:slice(1, i, i)
    if self.filled < self.size then
      self.filled = self.filled + 1
      room:slice(1, self.filled, self.filled):assign(row)
    elseif coins[i] < 0.5 then
      local held = room:slice(1, places[i], places[i])
      rows[i] = held:clone()
      held:assign(row)
    end
    rows[i] = rows[i] or row
  end
  self.calls = self.calls + 1
  return n > 0 and core.concat(rows, 1) or x
end

---A flat table for a checkpoint; its tensor is the pool's own, not a copy.
---@return table<string, userdata|number>
function Pool:state () return state_of(self) end

---Put a state back: what the pool gives from then on is what it would have given.
---@param state table<string, userdata|number>
function Pool:load (state)
  local filled = integer_of("pool:load", state, "filled", 0, self.size)
  local calls = integer_of("pool:load", state, "calls", 0, math.maxinteger)
  self.rooms = put_rooms("pool:load", self.rooms, state, self.size)
  self.filled, self.calls = filled, calls
end

local data = {}

---data.pool { rng = rng:fork "pool" }: a pool of `size` samples, 50 when absent.  Shrivastava et
---al. 2017, sec. 2.3; Zhu et al. 2017 (CycleGAN), sec. 4.
---@param given {rng: userdata, size?: integer}
---@return perigee.Pool
function data.pool (given)
  local o = options.check("data.pool", given, {size = "integer?", rng = "rng"})
  local size = o.size or 50
  check_size("data.pool", size)
  return setmetatable({size = size, filled = 0, calls = 0, rooms = {}, rng = o.rng}, Pool)
end

-- --- replay buffer -------------------------------------------------------------------------------

---@class perigee.Replay
---@field size integer
---@field filled integer rows held
---@field calls integer draws so far
---@field last integer the row written last
---@field rooms table<string, userdata>
local Replay = {}
Replay.__index = Replay

-- All fields have as many rows, and are the fields held.
local function check_fields (what, self, fields)
  local n, names = nil, {}
  if type(fields) ~= "table" or not next(fields) then
    error(what .. ": give a table of named tensors", 3)
  end
  for name in pairs(self.rooms) do
    if fields[name] == nil then error(("%s: field '%s' is missing"):format(what, name), 3) end
  end
  for name in pairs(fields) do
    if type(name) ~= "string" or (next(self.rooms) and not self.rooms[name]) then
      error(("%s: field '%s' is unknown here"):format(what, tostring(name)), 3)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local x = fields[name]
    check_rows(what, name, x, self.rooms[name])
    if n and x.shape[1] ~= n then
      error(("%s: field '%s' has %d rows and another %d"):format(what, name, x.shape[1], n), 3)
    end
    n = x.shape[1]
  end
  return n
end

-- Rows i of the fields to places[i].
local function write (self, fields, places)
  for name, x in pairs(fields) do
    local room = self.rooms[name]
    for i, place in ipairs(places) do
      room:slice(1, place, place):assign(x:detach():slice(1, i, i))
    end
  end
end

---Add rows; when there is no room left they replace the oldest.
---@param fields table<string, userdata> real (batch, ...) each, the same fields at every call
function Replay:add (fields)
  local n, places = check_fields("replay:add", self, fields), {}
  if not next(self.rooms) then
    for name, x in pairs(fields) do self.rooms[name] = make_room(x, self.size) end
  end
  for i = 1, n do places[i] = (self.last + i - 1) % self.size + 1 end
  write(self, fields, places)
  self.last = n > 0 and places[n] or self.last
  self.filled = math.min(self.size, self.filled + n)
end

---n rows, drawn uniformly with replacement, as copies.
---@param n integer
---@return table<string, userdata> fields
---@return userdata places index (n), for `put`
function Replay:sample (n)
  if math.type(n) ~= "integer" or n < 1 or self.filled == 0 then
    error(("replay:sample: n = %s of %d rows; want an integer of at least 1, and rows"):format(
      tostring(n), self.filled), 2)
  end
  local rng, fields = self.rng:fork("place"):at(self.calls), {}
  local places = rng:integers({n}, 1, self.filled)
  for name, room in pairs(self.rooms) do fields[name] = room:index_select(places, 1) end
  self.calls = self.calls + 1
  return fields, places
end

---Put rows back where they were drawn, such as the states that a chain of samples has reached.
---@param places userdata index (batch)
---@param fields table<string, userdata>
function Replay:put (places, fields)
  local n = check_fields("replay:put", self, fields)
  local list = options.is_tensor(places) and places.dtype == "index" and places:tolist() or {}
  if type(list) ~= "table" or #list ~= n or not next(self.rooms) then
    error(("replay:put: places are %d for %d rows"):format(type(list) == "table" and #list or 0, n),
      2)
  end
  for _, place in ipairs(list) do
    if place < 1 or place > self.filled then
      error(("replay:put: place %d is not one of the %d rows"):format(place, self.filled), 2)
    end
  end
  write(self, fields, list)
end

---A flat table for a checkpoint; its tensors are the buffer's own, not copies.
---@return table<string, userdata|number>
function Replay:state ()
  local state = state_of(self)
  state.last = self.last
  return state
end

---Put a state back: what is drawn from then on is what would have been.
---@param state table<string, userdata|number>
function Replay:load (state)
  local filled = integer_of("replay:load", state, "filled", 0, self.size)
  local calls = integer_of("replay:load", state, "calls", 0, math.maxinteger)
  local last = integer_of("replay:load", state, "last", 0, self.size)
  self.rooms = put_rooms("replay:load", self.rooms, state, self.size)
  self.filled, self.calls, self.last = filled, calls, last
end

---data.replay { size = 10000, rng = rng:fork "replay" }: the last `size` rows that were added, to
---draw from: persistent chains of an energy (Du & Mordatch 2019, sec. 3.2), or old samples.
---@param given {size: integer, rng: userdata}
---@return perigee.Replay
function data.replay (given)
  local o = options.check("data.replay", given, {size = "integer", rng = "rng"})
  check_size("data.replay", o.size)
  return setmetatable({
    size = o.size, filled = 0, calls = 0, last = 0, rooms = {}, rng = o.rng,
  }, Replay)
end

return data
