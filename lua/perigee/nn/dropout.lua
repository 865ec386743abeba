-- Noise while training.  The stream comes last in every call: a stream trains, false evaluates and
-- gives x itself; to forget it is an error.  Nothing here has parameters.

local core = require "perigee.core"
local options = require "perigee.options"

local dropout = {}

local function check (what, x, rng, rate, limit)
  if not options.is_tensor(x) then
    error(("%s: x is a %s; give a tensor"):format(what, options.kind(x)), 3)
  end
  if rng ~= false and options.kind(rng) ~= "rng" then
    error(("%s: give a random stream to train or false to evaluate, not a %s"):format(what,
      options.kind(rng)), 3)
  end
  if type(rate) ~= "number" or rate ~= rate or rate < 0 or rate >= limit then
    error(("%s: %s; give a number in [0, %g)"):format(what, tostring(rate), limit), 3)
  end
end

-- x times masks of `shape` that are 1 / (1 - rate) with probability 1 - rate, else 0.
local function mask (x, rate, rng, shape)
  if not rng or rate == 0 then return x end
  return x * (rng:bernoulli(core.full(shape, 1 - rate)) * (1 / (1 - rate)))
end

---Elements to 0 with probability `rate`, the others divided by 1 - rate.  Srivastava et al. 2014,
---sec. 10.
---@param x userdata
---@param rate number in [0, 1)
---@param rng userdata|false a stream to train, false to evaluate
---@return userdata
function dropout.dropout (x, rate, rng)
  check("nn.dropout", x, rng, rate, 1)
  return mask(x, rate, rng, x.shape)
end

-- Sizes 1 between the first `lead` axes and the last `trail`.
local function outer_shape (x, lead, trail)
  local shape = x.shape
  for i = lead + 1, #shape - trail do shape[i] = 1 end
  return shape
end

---Whole channels of each sample to 0.  Tompson et al. 2015, sec. 3.2.
---@param x userdata (batch, ..., channels)
---@param rate number in [0, 1)
---@param rng userdata|false
---@return userdata
function dropout.drop_channels (x, rate, rng)
  check("nn.drop_channels", x, rng, rate, 1)
  return mask(x, rate, rng, outer_shape(x, 1, 1))
end

---Whole samples to 0: the branch of a residual block, stochastic depth (Huang et al. 2016, eq. 2,
---here divided by 1 - rate in training, so that evaluation needs no factor).
---@param x userdata (batch, ...)
---@param rate number in [0, 1)
---@param rng userdata|false
---@return userdata
function dropout.drop_path (x, rate, rng)
  check("nn.drop_path", x, rng, rate, 1)
  return mask(x, rate, rng, outer_shape(x, 1, 0))
end

---x + std e, e ~ N(0, 1).
---@param x userdata
---@param std number at least 0
---@param rng userdata|false
---@return userdata
function dropout.add_noise (x, std, rng)
  check("nn.add_noise", x, rng, std, math.huge)
  if not rng or std == 0 then return x end
  return x + rng:normal(x.shape) * std
end

return dropout
