-- peri.data: the data sets by name, and what an experiment on MNIST loads.
-- Sets and loaders are in set.lua; nothing here touches a pixel.

local catalogue = require "perigee.data.catalogue"
local fetch = require "perigee.data.fetch"
local mnist = require "perigee.data.mnist"
local options = require "perigee.options"
local pool = require "perigee.data.pool"
local set = require "perigee.data.set"
local strokes = require "perigee.data.strokes"
local used = require "perigee.data.used"

local data = {
  catalogue = catalogue,
  mnist = mnist.load,
  pool = pool.pool,
  replay = pool.replay,
  strokes = strokes.load,
  used = used.list,
}

---@class perigee.LoadOptions
---@field data string|nil "mnist" (when absent), "strokes", or the path of a folder
---@field binarize perigee.Binarize|nil
---@field rng userdata|nil
---@field validation integer|nil

---@class perigee.LoadInfo
---@field name string "mnist", "strokes" or "folder"
---@field source string
---@field sha256 string of the training set
---@field judged boolean whether a claim about MNIST may be judged on this data
---@field why string|nil why not
---@field validation perigee.Set|nil when asked for

local known = {data = "string?", binarize = "string?", rng = "rng?", validation = "integer?"}

---What an experiment on MNIST calls.  Where MNIST cannot be fetched it says so in a line and goes
---on with strokes; a folder the user named is never replaced.
---@param given perigee.LoadOptions|nil
---@return perigee.Set|nil train nil, a message and a code when the folder cannot be read
---@return perigee.Set|string test
---@return perigee.LoadInfo|string info
function data.load (given)
  local o = options.check("data.load", given, known)
  set.check_drawing("data.load", o)
  local function rest (folder)
    return {binarize = o.binarize, rng = o.rng, validation = o.validation, folder = folder}
  end
  local wanted = o.data or "mnist"
  local train, test, validation, why
  if wanted == "strokes" then
    why = "data=strokes is not MNIST"
  else
    local folder = wanted ~= "mnist" and wanted or nil
    train, test, validation = mnist.load(rest(folder))
    if not train then
      local message, code = test, validation
      if folder then
        return nil, ("data=%s: %s; data is mnist, strokes or a folder with the four IDX files")
          :format(folder, message), code
      end
      why = "MNIST could not be had"
      fetch.say("%s; going on with the rendered digits of data=strokes", message)
    elseif train.name ~= "mnist" then
      why = ("the files in %s are not MNIST's (their sha256 differs)"):format(folder)
    end
  end
  if not train then train, test, validation = strokes.load(rest()) end
  return train, test, {
    name = train.name, source = train.source, sha256 = train.sha256,
    judged = why == nil, why = why, validation = validation,
  }
end

return data
