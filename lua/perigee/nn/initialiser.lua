-- Initial values of weights.  Each entry takes its options and returns a function (rng, shape) ->
-- tensor. The last two sizes of a weight are (in, out); what stands before them is a filter's
-- extent.

local core = require "perigee.core"
local options = require "perigee.options"

local initialiser = {}

-- Inputs that one output sums over, and outputs that one input reaches.
local function fans (shape)
  local n = #shape
  if n < 2 then
    error(("initialiser: a weight has at least two sizes, (in, out); this one has %d"):format(n), 0)
  end
  local field = 1
  for i = 1, n - 2 do field = field * shape[i] end
  return field * shape[n - 1], field * shape[n]
end

local function draw_normal (std)
  return function (rng, shape) return rng:normal(shape) * std end
end

local function draw_uniform (low, high)
  return function (rng, shape) return rng:uniform(shape) * (high - low) + low end
end

-- An entry whose variance is gain^2 / d(fan_in, fan_out).
local function by_fans (name, default_gain, draw, divisor)
  initialiser[name] = function (given)
    given = options.check("initialiser." .. name, given, {gain = "number?"})
    local gain = given.gain or default_gain
    return function (rng, shape)
      return draw(gain / math.sqrt(divisor(fans(shape))))(rng, shape)
    end
  end
end

local function uniform_of_std (std)
  local limit = std * math.sqrt(3)
  return draw_uniform(-limit, limit)
end

local function mean_fan (fan_in, fan_out) return (fan_in + fan_out) / 2 end
local function first_fan (fan_in) return fan_in end

---All 0.
---@return fun(rng: userdata, shape: integer[]): userdata
function initialiser.zeros ()
  return function (_, shape) return core.zeros(shape) end
end

---All of one value.
---@param value number
function initialiser.constant (value)
  if type(value) ~= "number" then
    error("initialiser.constant: give a number, not a " .. options.kind(value), 2)
  end
  return function (_, shape) return core.full(shape, value) end
end

---Ones on the diagonal of the last two sizes and zeros elsewhere; a filter's are at its centre, so
---that a convolution of stride 1 begins as the identity on the channels there are.
---@param given? {gain?: number}
function initialiser.identity (given)
  local gain = options.check("initialiser.identity", given, {gain = "number?"}).gain or 1
  return function (_, shape)
    fans(shape)
    local inputs, outputs = shape[#shape - 1], shape[#shape]
    local x = core.one_hot(core.arange(inputs), math.max(inputs, outputs)):slice(2, 1, outputs)
    x = x:reshape(inputs * outputs) * gain
    local field, centre = 1, 0
    for i = 1, #shape - 2 do
      field, centre = field * shape[i], centre * shape[i] + (shape[i] - 1) // 2
    end
    local at = core.one_hot(core.tensor({centre + 1}, "index"), field):reshape(field, 1)
    return (at * x):reshape(shape)
  end
end

---Uniform on [low, high); default [-1, 1).
---@param given? {low?: number, high?: number}
function initialiser.uniform (given)
  given = options.check("initialiser.uniform", given, {low = "number?", high = "number?"})
  return draw_uniform(given.low or -1, given.high or 1)
end

---N(mean, std^2); default N(0, 1).
---@param given? {mean?: number, std?: number}
function initialiser.normal (given)
  given = options.check("initialiser.normal", given, {mean = "number?", std = "number?"})
  local mean, draw = given.mean or 0, draw_normal(given.std or 1)
  return function (rng, shape) return draw(rng, shape) + mean end
end

---N(mean, std^2) on [mean - cut std, mean + cut std]; default mean 0, std 1, cut 2.  std is that of
---the normal before it is cut.
---@param given? {mean?: number, std?: number, cut?: number}
function initialiser.truncated_normal (given)
  given = options.check("initialiser.truncated_normal", given,
    {mean = "number?", std = "number?", cut = "number?"})
  local mean, std, cut = given.mean or 0, given.std or 1, given.cut or 2
  if cut ~= cut or cut < 0.01 then
    error(("initialiser.truncated_normal: cut is %g; it is at least 0.01"):format(cut), 2)
  end
  return function (rng, shape)
    local x = rng:normal(shape)
    for _ = 1, 2000 do                        -- draw again what lies outside; then only clamp
      local outside = x:abs():gt(cut):real()
      if x:count() == 0 or outside:max():item() == 0 then break end
      x = core.where(outside, rng:normal(shape), x)
    end
    return core.clamp(x, -cut, cut) * std + mean
  end
end

---Uniform of variance 2 gain^2 / (fan_in + fan_out); gain 1 when absent.  Glorot & Bengio 2010,
---eq. 16.
---@type fun(given?: {gain?: number}): fun(rng: userdata, shape: integer[]): userdata
by_fans("xavier_uniform", 1, uniform_of_std, mean_fan)
---Normal of variance 2 gain^2 / (fan_in + fan_out); gain 1 when absent.  Glorot & Bengio 2010,
---eq. 16.
---@type fun(given?: {gain?: number}): fun(rng: userdata, shape: integer[]): userdata
by_fans("xavier_normal", 1, draw_normal, mean_fan)
---Uniform of variance gain^2 / fan_in; gain sqrt(2), for rectifiers, when absent.  He et al. 2015,
---eq. 10.
---@type fun(given?: {gain?: number}): fun(rng: userdata, shape: integer[]): userdata
by_fans("he_uniform", math.sqrt(2), uniform_of_std, first_fan)
---Normal of variance gain^2 / fan_in; gain sqrt(2), for rectifiers, when absent.  He et al. 2015,
---eq. 10.
---@type fun(given?: {gain?: number}): fun(rng: userdata, shape: integer[]): userdata
by_fans("he_normal", math.sqrt(2), draw_normal, first_fan)
---Uniform of variance gain^2 / fan_in; gain 1 when absent.  LeCun et al. 1998, "Efficient
---BackProp", eq. 16.
---@type fun(given?: {gain?: number}): fun(rng: userdata, shape: integer[]): userdata
by_fans("lecun_uniform", 1, uniform_of_std, first_fan)
---Normal of variance gain^2 / fan_in; gain 1 when absent.  LeCun et al. 1998, "Efficient
---BackProp", eq. 16.
---@type fun(given?: {gain?: number}): fun(rng: userdata, shape: integer[]): userdata
by_fans("lecun_normal", 1, draw_normal, first_fan)

---A random orthogonal matrix (rows or columns, whichever are fewer, are orthonormal) times gain,
---uniform in Haar's measure: the Q of a Gaussian matrix, with a positive diagonal of R.  Saxe et
---al. 2014; Mezzadri 2007, "How to generate random matrices from the classical compact groups".
---@param given? {gain?: number}
function initialiser.orthogonal (given)
  local gain = options.check("initialiser.orthogonal", given, {gain = "number?"}).gain or 1
  return function (rng, shape)
    local columns = shape[#shape]
    local rows = select(1, fans(shape))
    if rows < columns then
      return (core.qr_q(rng:normal(columns, rows)):transpose() * gain):reshape(shape)
    end
    return (core.qr_q(rng:normal(rows, columns)) * gain):reshape(shape)
  end
end

---Set weight and bias of an affine layer so that its outputs on `x` have mean 0 and deviation `std`
---(default 1), each over all but the last axis; call it layer by layer on the first batch.
---Salimans & Kingma 2016, eq. 5 and 6.
---@param layer {weight: userdata, bias: userdata} any module with both, bias of one size
---@param x userdata its input
---@param std? number
---@return userdata y the layer's output now
function initialiser.by_data (layer, x, std)
  local tensors = type(layer) == "table" and options.is_tensor(layer.weight)
  if not tensors or not options.is_tensor(layer.bias) then
    error("initialiser.by_data: give a module with weight and bias", 2)
  end
  return core.no_grad(function ()
    layer.bias:assign(core.zeros(layer.bias.shape))
    local y = layer(x)
    local flat = y:reshape(-1, y.shape[#y.shape])
    local mean = flat:mean(1)
    local scale = (std or 1) / ((flat - mean):square():mean(1) + 1e-12):sqrt()
    layer.weight:assign(layer.weight * scale)
    layer.bias:assign(-mean * scale)
    return layer(x)
  end)
end

return initialiser
