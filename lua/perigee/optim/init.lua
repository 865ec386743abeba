-- Training: optimizers over the fused updates, schedules of the step size, clipping, moving
-- averages.

local adam = require "perigee.optim.adam"

return {
  sgd = require "perigee.optim.sgd",
  rmsprop = require "perigee.optim.rmsprop",
  adam = adam.adam,
  adamw = adam.adamw,
  schedule = require "perigee.optim.schedule",
  clip = require "perigee.optim.clip",
  ema = require "perigee.optim.ema",
}
