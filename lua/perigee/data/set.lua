-- A labelled set of images in memory, and the loader that cuts it into batches.
-- Knows nothing of where the bytes come from; a batch is a pure function of (rng, step).

local core = require "perigee.core"
local options = require "perigee.options"

-- Rows converted or binarized at a time; another number would be another fixed binarization.
local BLOCK <const> = 1000

---@alias perigee.Binarize "none"|"dynamic"|"threshold"

---@class perigee.SetFields
---@field images userdata byte (n, features): grey values 0..255, rows of pixels, channels last
---@field labels userdata index (n): class + 1, so digit d has label d + 1
---@field name string
---@field split string "train", "test" or "validation"
---@field source string where it came from
---@field sha256 string of the contents; see the module that made it
---@field shape integer[] {height, width, channels} of one image
---@field binarize perigee.Binarize|nil
---@field rng userdata|nil what shuffles and binarization draw from

---@class perigee.Set: perigee.SetFields
---@field n integer
---@field first integer where this set starts in the one it was cut from
---@field blocks table<integer, userdata> fixed binarization, shared with the set it was cut from
---@field average userdata|nil
local Set = {}
Set.__index = Set

---@class perigee.Loader
---@field set perigee.Set
---@field batch integer
---@field per_epoch integer batches in an epoch
local Loader = {}
Loader.__index = Loader

local ways = {none = true, dynamic = true, threshold = true}

---Check the options binarize and rng, which go together.
---@param who string the function they were given to
---@param given { binarize: perigee.Binarize|nil, rng: userdata|nil }
---@return perigee.Binarize
local function check_drawing (who, given)
  local value = given.binarize or "none"
  if not ways[value] then
    error(("%s: binarize = \"%s\" is unknown; it is \"none\", \"dynamic\" or \"threshold\"")
      :format(who, value), 3)
  end
  if value == "dynamic" and not given.rng then
    error(("%s: binarize = \"dynamic\" draws random numbers: give rng = ..."):format(who), 3)
  end
  return value
end

---@param who string the function the value was given to
---@param name string
---@param value any
---@param low integer
---@param high integer|nil
---@param level integer|nil whom the error blames, the caller's caller when absent
---@return integer
local function check_integer (who, name, value, low, high, level)
  local i = math.type(value) and math.tointeger(value)
  if not i or i < low or i > (high or i) then
    local range = high and ("from %d to %d"):format(low, high) or ("of %d or more"):format(low)
    error(("%s: %s = %s is not an integer %s"):format(who, name, tostring(value), range),
          level or 3)
  end
  return i
end

-- --- sets -------------------------------------------------------------------------------------

---Make a set; its tensors are kept.
---@param fields perigee.SetFields
---@return perigee.Set
local function new (fields)
  local set = setmetatable({}, Set)
  for _, name in ipairs {"images", "labels", "name", "split", "source", "sha256", "shape", "rng"} do
    set[name] = fields[name]
  end
  set.binarize = check_drawing("data.set", fields)
  set.images:keep()
  set.labels:keep()
  set.n = set.images.shape[1]
  set.first = 1
  set.blocks = {}
  return set
end

function Set:__tostring ()
  return ("%s %s: %d images of %dx%dx%d, binarize = %s"):format(self.name, self.split, self.n,
    self.shape[1], self.shape[2], self.shape[3], self.binarize)
end

function Set:__len ()
  return self.n
end

---Mean of every pixel over the set, in [0, 1].  Computed once; do not assign to it.
---@return userdata real (features)
function Set:mean ()
  if not self.average then
    local _ <close> = core.scope()
    local total
    for first = 1, self.n, BLOCK do
      local last = math.min(first + BLOCK - 1, self.n)
      local part = self.images:slice(1, first, last):real():sum(1)
      total = total and total + part or part
    end
    self.average = (total / (255 * self.n)):keep()
  end
  return self.average
end

---The images `from` to `to`, both included, sharing memory.
---@param from integer counts from 1, or from the end when negative
---@param to integer|nil the last when absent
---@return perigee.Set
function Set:subset (from, to)
  local function place (name, value)
    local i = math.type(value) and math.tointeger(value)
    if not i or i == 0 or math.abs(i) > self.n then
      error(("subset: %s = %s is not a place in %d images"):format(name, tostring(value), self.n),
            3)
    end
    return i < 0 and self.n + 1 + i or i
  end
  local first, last = place("from", from), place("to", to or -1)
  if last < first then
    error(("subset: from = %d comes after to = %d"):format(first, last), 2)
  end
  local set = setmetatable({}, Set)
  for key, value in pairs(self) do set[key] = value end
  set.average = nil
  set.images = self.images:slice(1, first, last):keep()
  set.labels = self.labels:slice(1, first, last):keep()
  set.n = last - first + 1
  set.first = self.first + first - 1
  return set
end

-- The fixed binarization of images `from` to `to`.  A pixel of grey value v is 1 when u < v / 255,
-- that is when v > floor(255 u): those bytes are kept.  u belongs to the place of an image in the
-- whole set, so batch sizes and subsets do not change it.
local function fixed_rows (set, from, to)
  local parts = {}
  local first, last = set.first + from - 1, set.first + to - 1
  for b = (first - 1) // BLOCK, (last - 1) // BLOCK do
    local low, high = math.max(first, b * BLOCK + 1), math.min(last, (b + 1) * BLOCK)
    if not set.blocks[b] then
      local _ <close> = core.scope()
      local u = set.rng:fork("fixed"):at(b):uniform(BLOCK, set.images.shape[2])
      set.blocks[b] = (u * 255):floor():byte():keep()
    end
    parts[#parts + 1] = set.blocks[b]:slice(1, low - b * BLOCK, high - b * BLOCK):real()
  end
  local edge = #parts == 1 and parts[1] or core.concat(parts, 1)
  return set.images:slice(1, from, to):real():gt(edge):real()
end

---Images `from` to `to` as numbers in [0, 1], or 0 and 1 when binarized.  A "dynamic" set is drawn
---once here, the same for every call and batch size: this is what evaluation wants.
---@param from integer
---@param to integer
---@return userdata real (to - from + 1, features), borrowed from the current scope
---@return userdata index labels (to - from + 1)
function Set:rows (from, to)
  from = check_integer("rows", "from", from, 1, self.n)
  to = check_integer("rows", "to", to, from, self.n)
  local labels = self.labels:slice(1, from, to)
  if self.binarize == "dynamic" then return fixed_rows(self, from, to), labels end
  local x = self.images:slice(1, from, to):real()
  if self.binarize == "threshold" then return x:gt(127):real(), labels end
  return x / 255, labels
end

---All images in order, the last partial batch included; each batch lives until the next.
---@param given { batch: integer|nil }|nil 100 at a time when absent
---@return fun(): userdata|nil, userdata|nil, integer|nil x, labels, place of the first
function Set:each (given)
  local o = options.check("each", given, {batch = "integer?"})
  local batch = check_integer("each", "batch", o.batch or 100, 1)
  local first, scope = 1, nil
  local guard = setmetatable({}, {__close = function ()
    if scope then scope:close() end
    scope = nil
  end})
  local function step ()
    if scope then scope:close() end
    scope = nil
    if first > self.n then return nil end
    scope = core.scope()
    local from = first
    first = math.min(from + batch, self.n + 1)
    local x, labels = self:rows(from, first - 1)
    return x, labels, from
  end
  return step, nil, nil, guard
end

---A loader of shuffled batches for training.
---@param given { batch: integer, rng: userdata|nil, shuffle: boolean|nil }
---@return perigee.Loader
function Set:batches (given)
  local o = options.check("batches", given, {batch = "integer", rng = "rng?", shuffle = "boolean?"})
  local batch = check_integer("batches", "batch", o.batch, 1, self.n)
  local rng = o.rng or self.rng
  local shuffle = o.shuffle ~= false
  if not rng and (shuffle or self.binarize == "dynamic") then
    error("batches: shuffling draws random numbers: give rng = ..., or shuffle = false", 2)
  end
  return setmetatable({
    set = self, batch = batch, n = self.n, per_epoch = self.n // batch,
    shuffle = shuffle and rng:fork "shuffle" or nil,
    noise = rng and rng:fork "binarize" or nil,
  }, Loader)
end

-- --- loaders ----------------------------------------------------------------------------------

---Which epoch a step belongs to, from 1.
---@param step integer
---@return integer
function Loader:epoch (step)
  return (step - 1) // self.per_epoch + 1
end

-- The order of the images in an epoch.  The last one is remembered; nothing depends on that.
local function order (loader, epoch)
  if not loader.shuffle then return nil end
  if loader.remembered ~= epoch then
    loader.order = loader.shuffle:at(epoch):permutation(loader.n):keep()
    loader.remembered = epoch
  end
  return loader.order
end

---Places in the set of the images of a step's batch.
---@param step integer from 1
---@return userdata index (batch)
function Loader:indices (step)
  step = check_integer("batch", "step", step, 1)
  local first = (step - 1) % self.per_epoch * self.batch + 1
  local last = first + self.batch - 1
  local shuffled = order(self, self:epoch(step))
  if shuffled then return shuffled:slice(1, first, last) end
  return core.arange(self.n):slice(1, first, last)
end

---The batch of a step: depends on the loader's rng and the step only, not on what was asked before.
---In an epoch every image comes at most once; a rest smaller than a batch is left out of it.
---@param step integer from 1
---@return userdata real (batch, features) in [0, 1], borrowed from the current scope
---@return userdata index labels (batch)
function Loader:at (step)
  local set, index = self.set, self:indices(step)
  local x = set.images:index_select(index, 1):real()
  local labels = set.labels:index_select(index, 1)
  if set.binarize == "dynamic" then
    return self.noise:at(step):bernoulli(x / 255), labels
  elseif set.binarize == "threshold" then
    return x:gt(127):real(), labels
  end
  return x / 255, labels
end

return {new = new, check_drawing = check_drawing, check_integer = check_integer}
