-- Data sets: what files give, laws of shuffling and binarization, the cache, and rendered digits.
-- Makes its own small files in a temporary folder and needs no network.

local check = require "check"
local core = require "perigee.core"
local data = require "perigee.data"
local fetch = require "perigee.data.fetch"

local folder = os.tmpname()
os.remove(folder)
assert(core.sys.mkdir(folder))

-- What the user would be told.
local said = {}
function fetch.say (format, ...) said[#said + 1] = format:format(...) end

local function write (path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

-- An IDX file of unsigned bytes.
local function idx (shape, bytes)
  local head = string.pack(">BBBB", 0, 0, 8, #shape)
  for _, size in ipairs(shape) do head = head .. string.pack(">I4", size) end
  return head .. bytes
end

local function random_bytes (name, n, low, high)
  local list = core.rng(7):fork(name):integers({n}, low, high):tolist()
  local parts = {}
  for i = 1, n do parts[i] = string.char(list[i]) end
  return table.concat(parts)
end

local WIDTH <const>, TRAIN <const>, TEST <const> = 12, 60, 1234

-- A folder with four files; `change` replaces the text of some of them, or drops them with false.
local function make_folder (name, change)
  local path = folder .. "/" .. name
  assert(core.sys.mkdir(path))
  local files = {
    ["train-images-idx3-ubyte"] = idx({TRAIN, 3, 4}, random_bytes("a", TRAIN * WIDTH, 0, 255)),
    ["train-labels-idx1-ubyte"] = idx({TRAIN}, random_bytes("b", TRAIN, 0, 9)),
    ["t10k-images-idx3-ubyte"] = idx({TEST, 3, 4}, random_bytes("c", TEST * WIDTH, 0, 255)),
    ["t10k-labels-idx1-ubyte"] = idx({TEST}, random_bytes("d", TEST, 0, 9)),
  }
  for file, text in pairs(change or {}) do files[file] = text end
  for file, text in pairs(files) do
    if text then write(path .. "/" .. file, text) end
  end
  return path
end

-- All elements in order, as one string to compare.
local function text_of (x)
  local flat = {}
  local function walk (t)
    if type(t) ~= "table" then
      flat[#flat + 1] = tostring(t)
    else
      for _, v in ipairs(t) do walk(v) end
    end
  end
  walk(x:tolist())
  return table.concat(flat, " ")
end

local function same (a, b)
  check.is_true(text_of(a) == text_of(b))
end

local function one_line (message)
  check.is_true(type(message) == "string" and not message:find "\n")
end

-- f() must return nil, a line with `pattern`, and a code.
local function fails (pattern, ...)
  local value, message, code = ...
  check.equal(value, nil)
  one_line(message)
  check.is_true(message:find(pattern) ~= nil)
  check.equal(type(code), "string")
end

local plain = make_folder "plain"
local rng = core.rng(3):fork "data"

check.test("four IDX files give sets whose labels count from 1", function ()
  local train, test = assert(data.mnist {folder = plain})
  check.equal(train.n, TRAIN)
  check.equal(test.n, TEST)
  check.equal(table.concat(train.shape, "x"), "3x4x1")
  check.equal(train.images.dtype, "byte")
  check.equal(table.concat(train.images.shape, "x"), TRAIN .. "x" .. WIDTH)
  check.equal(train.labels.dtype, "index")
  local bytes, digits = random_bytes("a", TRAIN * WIDTH, 0, 255), random_bytes("b", TRAIN, 0, 9)
  local images, labels = train.images:tolist(), train.labels:tolist()
  for i = 1, TRAIN do
    check.equal(labels[i], digits:byte(i) + 1)
    for j = 1, WIDTH do check.equal(images[i][j], bytes:byte((i - 1) * WIDTH + j)) end
  end
end)

check.test("gzipped and plain files are the same data", function ()
  local path = make_folder "gzipped"
  for _, name in ipairs(core.sys.list(path)) do
    check.equal(core.sys.run({"gzip", "-n", path .. "/" .. name}).code, 0)
  end
  local a, b = assert(data.mnist {folder = plain}), assert(data.mnist {folder = path})
  check.equal(a.sha256, b.sha256)
  same(a.images, b.images)
  local changed = make_folder("changed", {
    ["train-labels-idx1-ubyte"] = idx({TRAIN}, random_bytes("e", TRAIN, 0, 9)),
  })
  check.is_true(assert(data.mnist {folder = changed}).sha256 ~= a.sha256)
end)

check.test("missing, damaged and foreign files are named", function ()
  local images, labels = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
  local cases = {
    {images, false, "holds no train%-images%-idx3%-ubyte"},
    {"t10k-labels-idx1-ubyte", false, "holds no t10k%-labels%-idx1%-ubyte"},
    {images, "", "train%-images"},
    {images, "not an IDX file at all", "train%-images"},
    {images, idx({TRAIN, 3, 4}, "short"), "train%-images"},
    {images, idx({TRAIN, 3, 4}, random_bytes("a", TRAIN * WIDTH + 1, 0, 9)), "train%-images"},
    {images, idx({0xffffffff, 0xffffffff, 0xffffffff}, ""), "train%-images"},
    {images, idx({0, 3, 4}, ""), "train%-images"},
    {images, idx({TRAIN}, random_bytes("a", TRAIN, 0, 9)), "images %(n, height, width%)"},
    {labels, idx({TRAIN, 1, 1}, random_bytes("a", TRAIN, 0, 9)), "labels %(n%)"},
    {labels, idx({TRAIN - 1}, random_bytes("a", TRAIN - 1, 0, 9)), "60 train images but 59 labels"},
    {labels, idx({TRAIN}, random_bytes("a", TRAIN, 10, 12)), "digits, 0 to 9"},
  }
  for i, case in ipairs(cases) do
    fails(case[3], data.mnist {folder = make_folder("bad" .. i, {[case[1]] = case[2]})})
  end
  fails("holds no train", data.mnist {folder = folder .. "/nowhere"})
  fails("nowhere", data.load {data = folder .. "/nowhere"})
end)

check.test("an epoch's batches are a permutation of the set", function ()
  local train = assert(data.mnist {folder = plain, rng = rng})
  local orders = {}
  for _, batch in ipairs {1, 12, 60, 25} do
    local loader = train:batches {batch = batch}
    check.equal(loader.per_epoch, TRAIN // batch)
    for epoch = 1, 3 do
      local seen, order = {}, {}
      for i = 1, loader.per_epoch do
        local step = (epoch - 1) * loader.per_epoch + i
        check.equal(loader:epoch(step), epoch)
        for _, place in ipairs(loader:indices(step):tolist()) do
          check.is_true(place >= 1 and place <= TRAIN and not seen[place])
          seen[place] = true
          order[#order + 1] = place
        end
      end
      check.equal(#order, loader.per_epoch * batch)
      orders[table.concat(order, " ")] = true
    end
  end
  local distinct = 0
  for _ in pairs(orders) do distinct = distinct + 1 end
  check.equal(distinct, 6)     -- three epochs whole, and again cut off after 50
  local ordered = train:batches {batch = 7, shuffle = false}
  check.equal(text_of(ordered:indices(2)), "8 9 10 11 12 13 14")
end)

check.test("a batch is a function of rng and step alone", function ()
  for _, binarize in ipairs {"none", "dynamic", "threshold"} do
    local train = assert(data.mnist {folder = plain, rng = rng, binarize = binarize})
    local loader = train:batches {batch = 9}
    local x, labels = loader:at(13)
    for _, step in ipairs {1, 12, 14, 400, 13} do loader:at(step) end
    rng:tick(99)
    rng:normal(5)
    local again, labels_again = train:batches({batch = 9}):at(13)
    same(x, again)
    same(labels, labels_again)
    check.equal(table.concat(x.shape, "x"), "9x" .. WIDTH)
    local other = train:batches({batch = 9, rng = core.rng(4)}):at(13)
    check.is_true(text_of(other) ~= text_of(x))
    -- labels stay with their images
    local rows = train.labels:index_select(loader:indices(13), 1)
    same(labels, rows)
  end
end)

check.test("binarization has the right values", function ()
  local none = assert(data.mnist {folder = plain})
  local cut = assert(data.mnist {folder = plain, binarize = "threshold"})
  local grey, x, y = none.images:tolist(), none:rows(1, TRAIN):tolist(), cut:rows(1, TRAIN):tolist()
  for i = 1, TRAIN do
    for j = 1, WIDTH do
      check.close(x[i][j], grey[i][j] / 255, 1e-6)
      check.equal(y[i][j], grey[i][j] > 127 and 1.0 or 0.0)
    end
  end
end)

-- Draws of pixels with probabilities p: mean within 5 standard errors, and only 0 and 1.
local function fits (draws, grey)
  local n, expected, variance, found = 0, 0, 0, 0
  for i, row in ipairs(draws) do
    for j, v in ipairs(row) do
      local p = grey[i][j] / 255
      check.is_true(v == 0 or v == 1)
      if p == 0 or p == 1 then check.equal(v + 0.0, p) end
      n, expected, variance, found = n + 1, expected + p, variance + p * (1 - p), found + v
    end
  end
  check.is_true(n > 0 and math.abs(found - expected) < 5 * math.sqrt(variance))
end

check.test("dynamic draws have the pixels' means, and differ from step to step", function ()
  local train = assert(data.mnist {folder = plain, rng = rng, binarize = "dynamic"})
  local loader = train:batches {batch = TRAIN, shuffle = false}
  local grey = train.images:tolist()
  for step = 1, 20 do fits(loader:at(step):tolist(), grey) end
  check.is_true(text_of(loader:at(1)) ~= text_of(loader:at(2)))
end)

check.test("evaluation binarizes once, whatever the batch size and the subset", function ()
  local _, test = assert(data.mnist {folder = plain, rng = rng, binarize = "dynamic"})
  fits(test:rows(1, TEST):tolist(), test.images:tolist())
  local whole = text_of(test:rows(1, TEST))
  for _, batch in ipairs {7, 100, 999, 5000} do
    local parts, n, labels = {}, 0, {}
    for x, y, first in test:each {batch = batch} do
      check.equal(first, n + 1)
      n = n + x.shape[1]
      parts[#parts + 1] = text_of(x)
      labels[#labels + 1] = text_of(y)
    end
    check.equal(n, TEST)
    check.is_true(table.concat(parts, " ") == whole)
    check.is_true(table.concat(labels, " ") == text_of(test.labels))
  end
  same(test:subset(990, 1100):rows(5, 60), test:rows(994, 1049))
  same(test:subset(-20):subset(3, 9):rows(1, 7), test:rows(TEST - 17, TEST - 11))
  local _, other = assert(data.mnist {folder = plain, rng = core.rng(5), binarize = "dynamic"})
  check.is_true(text_of(other:rows(1, 50)) ~= text_of(test:rows(1, 50)))
end)

check.test("a loop over a set leaves no tensors behind, even when broken off", function ()
  local _, test = assert(data.mnist {folder = plain})
  local kept
  pcall(function ()
    for x in test:each {batch = 10} do
      kept = x
      error "broken off"
    end
  end)
  check.raises(function () return kept:tolist() end, "scope")
end)

check.test("the mean image is the mean of the images", function ()
  local _, test = assert(data.mnist {folder = plain})
  local sums = {}
  for _, row in ipairs(test.images:tolist()) do
    for j, v in ipairs(row) do sums[j] = (sums[j] or 0) + v end
  end
  local mean = test:mean():tolist()
  for j = 1, WIDTH do check.close(mean[j], sums[j] / TEST / 255, 1e-6) end
end)

check.test("validation takes the end of the training set", function ()
  local whole = assert(data.mnist {folder = plain})
  local train, _, validation = assert(data.mnist {folder = plain, validation = 10})
  check.equal(train.n, TRAIN - 10)
  check.equal(validation.n, 10)
  check.equal(validation.split, "validation")
  same(validation.images, whole.images:slice(1, TRAIN - 9, TRAIN))
  same(train.labels, whole.labels:slice(1, 1, TRAIN - 10))
  check.raises(function () data.mnist {folder = plain, validation = TRAIN} end, "validation = 60")
end)

check.test("wrong options are named", function ()
  check.raises(function () data.mnist {folder = plain, binarize = "static"} end,
    'binarize = "static" is unknown; it is "none", "dynamic" or "threshold"')
  check.raises(function () data.load {data = plain, binarize = "static"} end, "is unknown")
  check.raises(function () data.strokes {binarize = "static"} end, "is unknown")
  check.raises(function () data.mnist {folder = plain, binarize = "dynamic"} end, "give rng")
  check.raises(function () data.mnist {floder = plain} end, "floder")
  check.raises(function () data.mnist {folder = 5} end, "folder")
  check.raises(function () data.strokes {n = 0} end, "n = 0")
  check.raises(function () data.strokes {n = 1 << 50} end, "is not an integer from 1 to")
  local train = assert(data.mnist {folder = plain})
  check.raises(function () train:batches {batch = 6} end, "give rng")
  check.raises(function () train:batches {batch = TRAIN + 1, rng = rng} end, "from 1 to 60")
  check.raises(function () train:batches {rng = rng} end, "batch")
  check.raises(function () train:subset(0) end, "from = 0")
  check.raises(function () train:subset(5, 4) end, "comes after")
  check.raises(function () train:rows(1, TRAIN + 1) end, "to = 61")
  check.raises(function () train:each {batch = 0} end, "batch = 0")
  check.raises(function () train:batches({batch = 6, rng = rng}):at(0) end, "step = 0")
end)

-- --- the cache ------------------------------------------------------------------------------

-- A package of two files as an archive, its entry, and a way to fetch it that counts its calls.
local function make_entry (name)
  local source = folder .. "/" .. name .. "-source"
  assert(core.sys.mkdir(source .. "/package/data"))
  local entry = {name = name, package = name, version = "1.0.0", inside = "package/data",
                 files = {}, archive = {}}
  for i, file in ipairs {"first", "second"} do
    local path = source .. "/package/data/" .. file
    write(path, random_bytes(file, 1000, 0, 255))
    entry.files[i] = {name = file, path = "package/data/" .. file, bytes = 1000,
                      sha256 = core.io.sha256_file(path)}
  end
  local archive = source .. "/archive.tgz"
  check.equal(core.sys.run({"tar", "-czf", archive, "-C", source, "package"}).code, 0)
  entry.archive.sha256, entry.archive.bytes = core.io.sha256_file(archive), 1
  local calls = {n = 0}
  local way = {name = "copy", get = function (_, temporary)
    calls.n = calls.n + 1
    core.sys.run {"cp", archive, temporary .. "/archive.tgz"}
    return temporary .. "/archive.tgz"
  end}
  return entry, way, calls, archive
end

local root = folder .. "/cache"

check.test("a package is fetched once, and a damaged file again", function ()
  local entry, way, calls = make_entry "parcel"
  local place = assert(fetch.get(entry, {root = root, ways = {way}}))
  check.equal(place, root .. "/parcel")
  assert(fetch.get(entry, {root = root, ways = {way}}))
  check.equal(calls.n, 1)
  write(place .. "/second", random_bytes("third", 1000, 0, 255))
  check.equal(fetch.check(entry, place)[2].state, "damaged")
  said = {}
  assert(fetch.get(entry, {root = root, ways = {way}}))
  check.equal(said[1], place .. "/second is damaged; fetching it again")
  check.equal(calls.n, 2)
  os.remove(place .. "/first")
  check.equal(fetch.check(entry, place)[1].state, "missing")
  assert(fetch.get(entry, {root = root, ways = {way}}))
  check.equal(calls.n, 3)
  check.equal(select(2, fetch.check(entry, place)), true)
  check.equal(core.sys.stat(place .. "/.fetch"), nil)
end)

check.test("an archive or a file other than pinned is refused", function ()
  local entry, way = make_entry "forged"
  local sum = entry.archive.sha256
  entry.archive.sha256 = ("0"):rep(64)
  fails("another sha256 than pinned", fetch.get(entry, {root = root, ways = {way}}))
  entry.archive.sha256, entry.files[2].sha256 = sum, ("0"):rep(64)
  fails("data/second of forged@1.0.0", fetch.get(entry, {root = root, ways = {way}}))
end)

check.test("where nothing can be fetched a line says how to get it by hand", function ()
  local entry, way, calls = make_entry "far"
  local closed = {name = "closed", get = function () return nil, "no network" end}
  fails("no network.*npm pack far@1.0.0.*data=FOLDER",
    fetch.get(entry, {root = root, ways = {closed}}))
  assert(fetch.get(entry, {root = root, ways = {closed, way}}))
  check.equal(calls.n, 1)
end)

check.test("a cache that cannot be written is named", function ()
  local entry, way = make_entry "shut"
  fails("cannot write the data cache .*PERIGEE_DATA",
    fetch.get(entry, {root = plain .. "/train-labels-idx1-ubyte", ways = {way}}))
end)

check.test("of processes that fetch at once one does, and all get the files", function ()
  local entry, _, _, archive = make_entry "shared"
  local log = folder .. "/fetches"
  local code = ([[
    local core, fetch = require "perigee.core", require "perigee.data.fetch"
    local entry = {name = "shared", package = "shared", version = "1", inside = "",
      archive = {bytes = 1, sha256 = "%s"}, files = {
      {name = "first", path = "package/data/first", bytes = 1000, sha256 = "%s"},
      {name = "second", path = "package/data/second", bytes = 1000, sha256 = "%s"}}}
    local way = {name = "slow", get = function ()
      local log = io.open("%s", "a")
      log:write("x")
      log:close()
      core.sys.run {"sleep", "0.3"}
      return "%s"
    end}
    print(fetch.get(entry, {root = "%s", ways = {way}}))]]):format(entry.archive.sha256,
    entry.files[1].sha256, entry.files[2].sha256, log, archive, root)
  local program = core.sys.realpath(arg[-1])
  local children = {}
  for i = 1, 3 do children[i] = io.popen(("'%s' -e '%s' 2>/dev/null"):format(program, code)) end
  for _, child in ipairs(children) do
    check.equal(child:read "l", root .. "/shared")
    child:close()
  end
  local file = assert(io.open(log))
  check.equal(file:read "a", "x")
  file:close()
end)

-- --- strokes --------------------------------------------------------------------------------

check.test("rendered digits depend on the seed and the place alone", function ()
  local few, test = data.strokes {n = 30, test = 30}
  local many = data.strokes {n = 620, test = 1, rng = rng}
  same(few.images, many.images:slice(1, 1, 30))
  same(few.labels, many.labels:slice(1, 1, 30))
  check.is_true(text_of(few.images) ~= text_of(test.images))
  check.is_true(text_of(few.images) ~= text_of((data.strokes {n = 30, test = 1, seed = 2}).images))
  check.equal(few.sha256, (data.strokes {n = 30, test = 1}).sha256)
  check.is_true(few.sha256 ~= many.sha256)
end)

check.test("rendered digits are ten classes a nearest centroid tells apart", function ()
  local train, test = data.strokes {n = 2000, test = 500}
  local one_hot = train.labels:one_hot(10)                          -- (2000, 10)
  local counts = one_hot:sum(1):reshape(10, 1)
  for _, count in ipairs(counts:reshape(10):tolist()) do check.is_true(count > 130) end
  local centroids = one_hot:transpose():matmul(train:rows(1, 2000)) / counts
  local x = test:rows(1, 500)
  -- |x - c|^2 without |x|^2
  local score = centroids:square():sum(2) - x:matmul(centroids:transpose()) * 2
  local right = score:argmin(2):real():eq(test.labels:real()):real():mean():item()
  check.is_true(right > 0.7)
  local mean = x:mean():item()
  check.is_true(mean > 0.05 and mean < 0.3)
  local border = test.images:real():reshape(500, 28, 28):slice(2, 1, 2):mean():item()
  check.is_true(border < 255 * 0.02)
end)

-- --- what an experiment calls -----------------------------------------------------------------

check.test("load tells what may be judged", function ()
  local _, _, info = assert(data.load {data = plain})
  check.equal(info.judged, false)
  check.equal(info.name, "folder")
  check.is_true(info.why:find(plain, 1, true) ~= nil)
  local train
  train, _, info = data.load {data = "strokes", binarize = "dynamic", rng = rng, validation = 1000}
  check.equal(info.judged, false)
  check.equal(info.name, "strokes")
  check.equal(info.sha256, train.sha256)
  check.equal(train.n, 59000)
  check.equal(info.validation.n, 1000)
end)

check.test("where MNIST cannot be had an experiment goes on with strokes and says so", function ()
  local get = fetch.get
  fetch.get = function () return nil, "cannot fetch mnist (no network)", "system" end
  said = {}
  local train, test, info = data.load {}
  fails("no network", data.mnist {})
  fetch.get = get
  check.equal(train.n, 60000)
  check.equal(test.n, 10000)
  check.equal(info.name, "strokes")
  check.equal(info.judged, false)
  check.equal(info.why, "MNIST could not be had")
  check.equal(#said, 1)
  check.is_true(said[1]:find("no network", 1, true) and said[1]:find("data=strokes", 1, true))
end)

check.test("what was loaded is on record, once", function ()
  local before = #data.used()
  local train = assert(data.mnist {folder = plain})
  local found = 0
  for _, use in ipairs(data.used()) do
    if use.sha256 == train.sha256 and use.split == "train" and use.source == plain then
      found = found + 1
      check.equal(use.n, TRAIN)
      check.equal(use.name, "folder")
    end
  end
  check.equal(found, 1)
  check.equal(#data.used(), before)
  data.used()[1].name = "changed"
  check.is_true(data.used()[1].name ~= "changed")
end)

core.sys.run {"rm", "-r", folder}
check.done()
