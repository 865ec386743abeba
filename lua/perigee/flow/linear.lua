-- Linear bijectors of the last axis: permutations, a scale and shift of every feature, and a full
-- matrix held as the product P L U (Kingma & Dhariwal 2018, sec. 3).

local check = require "perigee.flow.check"
local core = require "perigee.core"
local options = require "perigee.options"
local orthogonal = require "perigee.nn.initialiser".orthogonal
local parameter = require "perigee.nn.linear".parameter

local linear = {}

-- A number for each row of x (..., features).
local function for_rows (v, x)
  local shape = x.shape
  shape[#shape] = nil
  return v:reshape({}):expand(shape)
end

---@class Permutation
---@field order userdata (features)
---@field back userdata (features)
local Permutation = {}
Permutation.__index = Permutation

---The features in the order of the permutation.
---@param x userdata (..., features)
---@return userdata y
---@return userdata logdet (...), zeros
function Permutation:forward (x)
  check.features("permutation", x, self.features)
  return core.index_select(x, self.order, -1), for_rows(core.zeros(1), x)
end

---The features back in their order.
---@param y userdata (..., features)
---@return userdata x
---@return userdata logdet (...), zeros
function Permutation:inverse (y)
  check.features("permutation", y, self.features)
  return core.index_select(y, self.back, -1), for_rows(core.zeros(1), y)
end

---y_i = x_order[i]; order is a list, or drawn when rng is given, else it reverses.
---@param given {features: integer, order?: integer[], rng?: userdata}
---@return Permutation
function linear.permutation (given)
  local o = options.check("flow.permutation", given,
    {features = "integer", order = "table?", rng = "rng?"})
  check.sizes("flow.permutation", {features = o.features})
  local order, back = o.order, {}
  if not order then
    order = o.rng and o.rng:permutation(o.features):tolist() or {}
    for i = #order + 1, o.features do order[i] = o.features + 1 - i end
  end
  for i = 1, math.max(o.features, #order) do
    local k = order[i]
    if math.type(k) ~= "integer" or k < 1 or k > o.features or back[k] then
      error(("flow.permutation: order is no permutation of 1..%d: entry %d is %s"):format(
        o.features, i, tostring(k)), 2)
    end
    back[k] = i
  end
  return setmetatable({
    features = o.features, order = core.tensor(order, "index"):keep(),
    back = core.tensor(back, "index"):keep(),
  }, Permutation)
end

---@class ScaleShift
---@field log_scale userdata (features)
---@field shift userdata (features)
local ScaleShift = {}
ScaleShift.__index = ScaleShift

---y = x e^log_scale + shift.
---@param x userdata (..., features)
---@return userdata y
---@return userdata logdet (...)
function ScaleShift:forward (x)
  check.features("scale_shift", x, self.features)
  return x * core.exp(self.log_scale) + self.shift, for_rows(self.log_scale:sum(), x)
end

---x = (y - shift) e^-log_scale.
---@param y userdata (..., features)
---@return userdata x
---@return userdata logdet (...)
function ScaleShift:inverse (y)
  check.features("scale_shift", y, self.features)
  return (y - self.shift) * core.exp(-self.log_scale), for_rows(-self.log_scale:sum(), y)
end

---Make the outputs on a first batch have mean 0 and deviation 1: activation normalisation.  Kingma
---& Dhariwal 2018, sec. 3.1.
---@param x userdata (..., features), what forward will see
function ScaleShift:fit (x)
  check.features("scale_shift", x, self.features)
  core.no_grad(function ()
    local _ <close> = core.scope()
    local flat = x:reshape(-1, self.features)
    local mean = flat:mean(1)
    local scale = core.rsqrt((flat - mean):square():mean(1) + 1e-12)
    self.log_scale:assign(core.log(scale))
    self.shift:assign(-mean * scale)
  end)
end

---y = x e^log_scale + shift for every feature, the identity until `fit` or training.
---@param given {features: integer}
---@return ScaleShift
function linear.scale_shift (given)
  local o = options.check("flow.scale_shift", given, {features = "integer"})
  check.sizes("flow.scale_shift", {features = o.features})
  return setmetatable({
    features = o.features, log_scale = parameter(core.zeros(o.features)),
    shift = parameter(core.zeros(o.features)),
  }, ScaleShift)
end

---@class Lu
---@field lower userdata (features, features), read below the diagonal
---@field upper userdata (features, features), read above the diagonal
---@field log_scale userdata (features), log |diagonal of U|
---@field sign userdata (features), -1 or 1, fixed
---@field order Permutation
local Lu = {}
Lu.__index = Lu

local function eye (n) return core.one_hot(core.arange(n), n) end

local function factors (self)
  local n = self.features
  local lower = self.lower * self.below + eye(n)
  local upper = self.upper * self.below:transpose()
  return lower, upper + eye(n) * (self.sign * core.exp(self.log_scale)):reshape(n, 1)
end

-- The inverse of a lower triangular matrix by halves: exact up to rounding, whatever the size.
local function invert_lower (a)
  local n = a.shape[1]
  if n == 1 then return 1 / a end
  local k = n // 2
  local first = invert_lower(a:slice(1, 1, k):slice(2, 1, k))
  local last = invert_lower(a:slice(1, k + 1, n):slice(2, k + 1, n))
  local corner = -last:matmul(a:slice(1, k + 1, n):slice(2, 1, k)):matmul(first)
  return core.concat({core.concat({first, core.zeros(k, n - k)}, 2),
    core.concat({corner, last}, 2)}, 1)
end

---y = x P L U.
---@param x userdata (..., features)
---@return userdata y
---@return userdata logdet (...)
function Lu:forward (x)
  check.features("lu", x, self.features)
  local lower, upper = factors(self)
  return self.order:forward(x):matmul(lower:matmul(upper)), for_rows(self.log_scale:sum(), x)
end

---x from y = x P L U.
---@param y userdata (..., features)
---@return userdata x
---@return userdata logdet (...)
function Lu:inverse (y)
  check.features("lu", y, self.features)
  local lower, upper = factors(self)
  local w = invert_lower(upper:transpose()):transpose():matmul(invert_lower(lower))
  return (self.order:inverse(y:matmul(w))), for_rows(-self.log_scale:sum(), y)
end

-- Rows of `a` in pivot order and its factors below and above the diagonal, in place (Gauss).
local function decompose (a)
  local n, order = #a, {}
  for i = 1, n do order[i] = i end
  for k = 1, n do
    local pivot = k
    for i = k + 1, n do
      if math.abs(a[i][k]) > math.abs(a[pivot][k]) then pivot = i end
    end
    a[k], a[pivot] = a[pivot], a[k]
    order[k], order[pivot] = order[pivot], order[k]
    for i = k + 1, n do
      local row, factor = a[i], a[i][k] / a[k][k]
      row[k] = factor
      for j = k + 1, n do row[j] = row[j] - factor * a[k][j] end
    end
  end
  return order
end

---A full invertible matrix whose logdet is a sum: on images the invertible 1 x 1 convolution.  It
---starts as a random rotation.
---@param given {features: integer, rng: userdata}
---@return Lu
function linear.lu (given)
  local o = options.check("flow.lu", given, {features = "integer", rng = "rng"})
  check.sizes("flow.lu", {features = o.features})
  local n = o.features
  local _ <close> = core.scope()
  local a = orthogonal()(o.rng, {n, n}):tolist()
  local order = decompose(a)              -- row i of L U is row order[i] of the matrix
  local scale, sign, below = {}, {}, {}
  for i = 1, n do
    scale[i], sign[i] = math.log(math.abs(a[i][i])), a[i][i] < 0 and -1 or 1
    below[i] = {}
    for j = 1, n do below[i][j] = j < i and 1 or 0 end
  end
  local both, mask = core.tensor(a), core.tensor(below)
  return setmetatable({
    features = n, order = linear.permutation {features = n, order = order},
    lower = parameter(both * mask), upper = parameter(both * mask:transpose()),
    log_scale = parameter(core.tensor(scale)), sign = core.tensor(sign):keep(),
    below = mask:keep(),
  }, Lu)
end

return linear
