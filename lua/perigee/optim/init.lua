-- Training: optimizers over the fused updates, schedules of the step size, clipping, moving
-- averages, and what wraps an optimizer.

local adagrad = require "perigee.optim.adagrad"
local adam = require "perigee.optim.adam"
local ema = require "perigee.optim.ema"

return {
  accumulate = require "perigee.optim.accumulate",
  adadelta = adagrad.adadelta,
  adagrad = adagrad.adagrad,
  adam = adam.adam,
  adamax = require "perigee.optim.adamax",
  adamw = adam.adamw,
  anneal = require "perigee.optim.anneal",
  clip = require "perigee.optim.clip",
  ema = ema.ema,
  extragradient = require "perigee.optim.extragradient",
  finder = require "perigee.optim.finder",
  guard = require "perigee.optim.guard",
  lion = require "perigee.optim.lion",
  lookahead = require "perigee.optim.lookahead",
  plateau = require "perigee.optim.plateau",
  rmsprop = require "perigee.optim.rmsprop",
  schedule = require "perigee.optim.schedule",
  sgd = require "perigee.optim.sgd",
  stopping = require "perigee.optim.stopping",
  swa = ema.swa,
}
