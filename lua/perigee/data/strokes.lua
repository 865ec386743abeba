-- Rendered digits of 28x28, made from a seed where no data can be fetched: pen strokes along
-- splines, bent, slanted, scaled and inked at random.  Not MNIST: no claim about that is judged on
-- them.

local core = require "perigee.core"
local glyphs = require "perigee.data.glyphs"
local options = require "perigee.options"
local set = require "perigee.data.set"
local used = require "perigee.data.used"

local strokes = {}

local SIZE <const> = 28
local PIECES <const> = 48       -- dots of ink in a digit, at most a pixel apart
local KNOTS <const> = 16        -- most knots a glyph may have
local BLOCK <const> = 500       -- images rendered at a time; image i depends on seed and i alone

local MOST <const> = 1000000    -- images: a slip of the finger must not fill the memory

-- Knots (20, KNOTS, 2) and bases (20, 2 PIECES, KNOTS) of the glyphs; digit d has 2d + 1, 2d + 2.
local function tables ()
  local knots, bases = {}, {}
  for _, ways in ipairs(glyphs.digits) do
    for _, glyph in ipairs(ways) do
      local padded = {}
      for k = 1, KNOTS do padded[k] = glyph.knots[k] or {0, 0} end
      knots[#knots + 1] = padded
      bases[#bases + 1] = glyphs.basis(glyph, PIECES, KNOTS)
    end
  end
  return core.tensor(knots), core.tensor(bases)
end

-- Middles x, y and lengths of a block's pieces of ink, in pixels from the centre of mass, each of
-- shape (BLOCK, PIECES).
local function place_ink (rng, labels, knots, bases)
  local n = BLOCK
  local function vary (middle, spread) return rng:normal(n, 1) * spread + middle end
  local way = ((labels:real() - 1) * 2 + rng:integers({n}, 1, 2):real()):index()
  local bent = knots:index_select(way, 1) + rng:normal(n, KNOTS, 2) * 0.06
  local points = bases:index_select(way, 1):matmul(bent)
  local x = points:slice(3, 1, 1):reshape(n, 2 * PIECES)
  local y = points:slice(3, 2, 2):reshape(n, 2 * PIECES)

  x, y = x * vary(9.2, 1.0), y * vary(9.3, 0.6)
  x = x - y * vary(0.15, 0.17)                        -- slant
  local angle = vary(0, 0.1)
  local c, s = angle:cos(), angle:sin()
  x, y = x * c - y * s, x * s + y * c

  local dx, dy = x:slice(2, PIECES + 1, -1), y:slice(2, PIECES + 1, -1)
  local length = (dx:square() + dy:square()):sqrt()
  local total = length:sum(2, true)
  x, y = x:slice(2, 1, PIECES), y:slice(2, 1, PIECES)
  x = x - (x * length):sum(2, true) / total + vary(0, 0.5)
  y = y - (y * length):sum(2, true) / total + vary(0, 0.5)
  return x, y, length
end

-- One block of images, byte (BLOCK, SIZE * SIZE), for given labels.  A pen of width w leaves at p
--   sum over pieces of length / (sqrt(2 pi) w) exp(-|p - middle|^2 / (2 w^2)),
-- which is 1 in the middle of a long stroke; the exponential is a product over x and y, so the sum
-- is a matrix product.
local function render (rng, labels, knots, bases)
  local x, y, length = place_ink(rng, labels, knots, bases)
  local width = rng:uniform(BLOCK, 1) * 0.5 + 0.8
  local grid = core.arange(SIZE):real() - (SIZE + 1) / 2
  local sharp = (-0.5 / width:square()):reshape(BLOCK, 1, 1)
  local function spread (place)
    local away = grid:reshape(1, SIZE, 1) - place:reshape(BLOCK, 1, PIECES)
    -- e^-30 is no ink at all, and unlike e^-300 no denormal number, which would make matmul crawl
    return (away:square() * sharp):clamp(-30, 0):exp()
  end
  local weight = (length / (width * math.sqrt(2 * math.pi))):reshape(BLOCK, 1, PIECES)
  local ink = spread(y):matmul((spread(x) * weight):transpose())
  -- from a quarter to three quarters of full ink is the grey edge of a stroke, about a pixel wide
  local grey = (ink * 2 - 0.5):clamp(0, 1) * 255
  return grey:round():byte():reshape(BLOCK, SIZE * SIZE)
end

-- n images and labels of the stream rng.
local function make (n, rng, knots, bases)
  local one = core.zeros(1, SIZE * SIZE):byte()
  local images = one:index_select(core.ones(n):index(), 1)   -- never held as reals: n is large
  local labels = {}
  for first = 1, n, BLOCK do
    local _ <close> = core.scope()
    local stream = rng:at((first - 1) // BLOCK)
    local drawn = stream:integers({BLOCK}, 1, 10)
    local rows = math.min(BLOCK, n - first + 1)
    local block = render(stream, drawn, knots, bases)
    images:slice(1, first, first + rows - 1):assign(block:slice(1, 1, rows))
    table.move(drawn:tolist(), 1, rows, #labels + 1, labels)
  end
  return images, core.tensor(labels, "index")
end

local known = {n = "integer?", test = "integer?", seed = "integer?", validation = "integer?",
               binarize = "string?", rng = "rng?"}

---@class perigee.StrokesOptions
---@field n integer|nil training images, 60000 when absent
---@field test integer|nil test images, 10000 when absent
---@field seed integer|nil of the images, 1 when absent; not rng's, so that runs share their data
---@field binarize perigee.Binarize|nil "none" when absent
---@field rng userdata|nil shuffles batches and draws "dynamic" pixels
---@field validation integer|nil this many of the last training images become a third set

---Sets like those of data.mnist: byte (n, 784), label d + 1 for digit d.
---@param given perigee.StrokesOptions|nil
---@return perigee.Set train
---@return perigee.Set test
---@return perigee.Set|nil validation
function strokes.load (given)
  local o = options.check("data.strokes", given, known)
  local binarize = set.check_drawing("data.strokes", o)
  local function integer (name, default, low, high)
    return set.check_integer("data.strokes", name, o[name] or default, low, high, 4)
  end
  local counts = {train = integer("n", 60000, 1, MOST), test = integer("test", 10000, 1, MOST)}
  local held = integer("validation", 0, 0, counts.train - 1)
  local seed = integer("seed", 1, 0)

  local _ <close> = core.scope()
  local knots, bases = tables()
  local made = {}
  for i, split in ipairs {"train", "test"} do
    local stream = core.rng(seed):fork("strokes"):fork(split)
    local images, labels = make(counts[split], stream, knots, bases)
    local digest = core.io.digest(core.io.digest(0, images), labels)
    made[i] = set.new {
      images = images, labels = labels, shape = {SIZE, SIZE, 1},
      name = "strokes", split = split, source = ("rendered from seed %d"):format(seed),
      sha256 = core.io.sha256(("%016x"):format(digest)),
      binarize = binarize, rng = o.rng and o.rng:fork(split),
    }
  end
  local train, test = made[1], made[2]
  used.note(train, test)
  if held == 0 then return train, test end
  local validation = train:subset(-held)
  validation.split = "validation"
  return train:subset(1, train.n - held), test, validation
end

return strokes
