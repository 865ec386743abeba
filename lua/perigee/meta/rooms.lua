---@meta _
-- What require "perigee" gives, for editors: the core, what is said with it, and the rooms that are
-- loaded when they are first mentioned.  Never loaded.

---@class perigee: perigee.core
local peri = {}

peri.nn = require "perigee.nn"
peri.optim = require "perigee.optim"
peri.dist = require "perigee.dist"
peri.flow = require "perigee.flow"
peri.data = require "perigee.data"
peri.linalg = require "perigee.linalg"
peri.einsum = require "perigee.einsum"
peri.help = require "perigee.help"
peri.run = require "perigee.run".start
peri.split = require "perigee.movement".split
peri.pad_image = require "perigee.movement".pad_image

return peri
