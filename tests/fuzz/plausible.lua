-- Arguments that suit a function, or nearly: tensors whose shapes go together, words that it knows,
-- windows that fit now and then.  Rows of ops.def that are not named here are served by what their
-- parameters are called.

local core = require "perigee.core"

---@param rng any  a stream of tensors
---@param random fun(n: integer): integer  1..n
---@return fun(name: string): table?, integer?  arguments for an operation, "rng:NAME" or
---"fused.NAME", and their number where it is known; nil for another name
return function (rng, random)

local function pick (list) return list[random(#list)] end
local function maybe (v) if random(2) == 1 then return v end end
local function flag () return random(2) == 1 end

---A leaf, a constant, or every other entry of a larger tensor.
local function real (...)
  local shape = { ... }
  local kind = random(6)
  if kind == 1 and #shape > 0 then
    shape[#shape] = 2 * shape[#shape]
    return rng:normal(shape):slice(-1, 1, -1, 2)
  end
  return rng:normal(shape):requires_grad(kind <= 4)
end
local function positive (...) return rng:uniform({ ... }):requires_grad(flag()) end
---Index numbers, mostly of 1..high.
local function index (high, ...)
  return rng:integers({ ... }, random(20) == 1 and -1 or 1, random(20) == 1 and high + 1 or high)
end

local function sizes (n)
  local t = {}
  for k = 1, n do t[k] = random(9) == 1 and random(7) or random(3) end
  return t
end
local function number_or_list (n, high, low)
  if flag() then return random(high) - 1 + low end
  local t = {}
  for k = 1, n do t[k] = random(high) - 1 + low end
  return t
end
---Options of a convolution or a pooling over n axes; one entry in ten is bad.
local function window (n, size)
  local w = { size = size }
  if flag() then w.stride = number_or_list(n, 3, 1) end
  if flag() then w.dilation = number_or_list(n, 2, 1) end
  if flag() then
    w.padding = pick { 0, 1, 2, "same", "causal", number_or_list(n, 2, 0), { { 1, 0 } } }
  end
  if random(10) == 1 then
    local bad = pick { "size", "stride", "dilation", "padding", "output_padding", "groups", "word" }
    w[bad] = pick { -1, 0, 0.5, 1 << 24, 1 << 40, "none", {}, { 1, -1 }, { 1, 1, 1, 1 }, { {} } }
  end
  return w
end

---An image: batch, 1 to 3 spatial axes (here n), channels.
local function image (n, channels)
  local shape = { random(3) - (random(8) == 1 and 1 or 0) }
  for _ = 1, n do shape[#shape + 1] = 2 + random(4) end
  shape[#shape + 1] = channels
  return real(table.unpack(shape))
end
local function filter (n, inner, outer)
  local shape = {}
  for k = 1, n do shape[k] = random(3) end
  shape[n + 1], shape[n + 2] = inner, outer
  return real(table.unpack(shape))
end

local function square (n) return real(pick { 1, 2, 3 }, n, n) end
local recipes = {}

function recipes.conv ()
  local n, groups, each, out = random(3), random(2), random(2), random(3)
  local w = window(n)
  w.groups = maybe(groups)
  if not w.groups then groups = 1 end
  return { image(n, each * groups), filter(n, each, out * groups),
    maybe(real(out * groups)) or 0, random(4) > 1 and w or nil }
end
function recipes.conv_transpose ()
  local n, groups, each, out = random(3), random(2), random(2), random(3)
  local w = window(n)
  w.groups = groups
  if random(3) == 1 then w.output_padding = number_or_list(n, 2, 0) end
  return { image(n, each * groups), filter(n, out, each * groups), maybe(real(out * groups)) or 0,
    w }
end
function recipes.conv_weight ()
  local n = random(3)
  local x = image(n, random(3))
  local w = { size = random(2), padding = random(2) - 1 }
  local ok, y = pcall(core.conv, x, rng:normal(n == 1 and { w.size, x.shape[3], 2 }
    or n == 2 and { w.size, w.size, x.shape[4], 2 }
    or { w.size, w.size, w.size, x.shape[5], 2 }), 0, { padding = w.padding })
  return { x, ok and y or image(n, 2), w }
end
local function pool ()
  local n = random(3)
  return { image(n, random(3)), window(n, number_or_list(n, 3, 1)) }
end
recipes.max_pool, recipes.argmax_pool, recipes.avg_pool = pool, pool, pool
function recipes.avg_unpool ()
  return { real(2, 2, 2, 3), { 4, 4 }, { size = random(4) > 1 and 2 or random(3) } }
end
local function resized ()
  local n = random(3)
  return { image(n, random(3)), sizes(n), maybe(pick { "nearest", "bilinear", "bicubic", "area" }) }
end
recipes.resize, recipes.unresize = resized, resized
recipes.adaptive_max_pool, recipes.adaptive_argmax_pool = resized, resized
recipes.adaptive_avg_pool = resized
function recipes.grid_sample ()
  return { image(2, 2), real(random(3), 3, 2, 2), maybe(pick { "zero", "border" }) }
end
function recipes.grid_spread ()
  local b = random(2)
  return { real(b, 3, 2, 2), real(b, 3, 2, 2), sizes(2), maybe(pick { "zero", "border" }) }
end
local function blocks () return { real(random(3) - 1, 4, 4, 4), pick { 1, 2, 2, 4, 3 } } end
recipes.space_to_depth, recipes.depth_to_space = blocks, blocks
local function padding ()
  return { real(random(3), random(4), 2), pick { 1, 2, 3, -1 }, random(3) - 1, random(3) - 1,
    maybe(pick { "zero", "reflect", "replicate", "circular" }) }
end
recipes.pad, recipes.unpad = padding, padding

function recipes.matmul ()
  local n = random(4) - 1
  return { real(random(2), random(40), n), real(n, random(40)) }
end
recipes.linear = function ()
  local n, out = random(4) - 1, random(4)
  return { real(random(4), n), real(n, out), maybe(real(out)) }
end
function recipes.dense ()
  local a = recipes.linear()
  a[3] = a[3] or 0
  a[4] = maybe(pick { "relu", "leaky_relu", "tanh", "sigmoid" })
  return a
end
local function system ()
  local n = random(4)
  return { real(2, n, n), real(2, n, random(3)), maybe(flag()), maybe(flag()) }
end
recipes.solve, recipes.solve_triangular = system, system
function recipes.lyapunov ()
  local n = random(4)
  local x = real(n, n)
  return { x:matmul(x:transpose()), real(n, n) }
end
local function matrix ()
  return { random(3) == 1 and real(random(4), random(4)) or square(random(5) - 1) }
end
local function gram ()
  local n = random(4)
  local x = real(2, n, n + 1)
  return { x:matmul(x:transpose()) }
end
for _, name in ipairs { "inverse", "logdet", "det_sign", "eigvalsh", "eigh_packed", "svdvals",
  "svd_packed", "qr_q", "diagonal", "diag_embed", "trace" } do recipes[name] = matrix end
recipes.cholesky, recipes.sqrtm = gram, gram
local function triangle () return { square(random(4)), maybe(random(7) - 4) } end
recipes.tril, recipes.triu = triangle, triangle

local function norm ()
  local c = random(4)
  return { real(random(4), random(3), c), maybe(real(c)) or 1, maybe(real(c)) or 0, maybe(1e-3) }
end
recipes.layer_norm, recipes.batch_norm = norm, norm
function recipes.rms_norm ()
  local a = norm()
  return { a[1], a[2], a[4] }
end
function recipes.group_norm ()
  return { real(random(3), random(3), 4), maybe(real(4)) or 1, maybe(real(4)) or 0,
    pick { 1, 2, 4, 4, 3 } }
end
function recipes.norm_grad ()
  local b, c = random(3), random(4)
  return { real(b, 2, c), real(b, 2, c), real(c), maybe(pick { "layer", "rms", "group", "batch" }),
    maybe(pick { 1, c }) }
end
function recipes.attention ()
  local b, h, t, s, d, e = random(2), random(2), random(4), random(4), random(4), random(3)
  local mask = pick { 0, real(t, s), rng:bernoulli(core.full({ t, s }, 0.5)):byte(),
    real(b, h, t, s) }
  return { real(b, h, t, d), real(b, h, s, d), real(b, h, s, e), mask, maybe(flag()), maybe(0.5) }
end
function recipes.attention_grad ()
  local t, s, d, e = random(4), random(4), random(4), random(3)
  return { real(2, t, d), real(2, s, d), real(2, s, e), pick { 0, real(t, s) }, real(2, t, e),
    maybe(flag()), maybe(0.5) }
end
function recipes.lstm ()
  local b, t, n, m = random(3), random(4) - 1, random(3), random(3)
  return { real(b, t, n), real(b, m), real(b, m), real(n, 4 * m), real(m, 4 * m), real(4 * m) }
end
function recipes.gru ()
  local b, t, n, m = random(3), random(4) - 1, random(3), random(3)
  return { real(b, t, n), real(b, m), real(n, 3 * m), real(m, 3 * m), real(3 * m), real(3 * m) }
end
local function nade ()
  local b, v, h = random(3), random(4), random(4)
  return { positive(b, v), real(v, h), real(v), real(v, h), real(h) }
end
recipes.nade, recipes.nade_sample = nade, nade
function recipes.nade_grad ()
  local b, v, h = random(3), random(4), random(4)
  return { real(b, v), positive(b, v), real(v, h), real(v, h), real(h), maybe(flag()) }
end
function recipes.gibbs ()
  local b, v, h = random(3), random(4), random(4)
  return { positive(b, v), real(v, h), real(h), positive(b, h) }
end

function recipes.cross_entropy ()
  return { real(3, 4), index(4, 3), maybe(-1), maybe(0.1) }
end
function recipes.cross_entropy_grad ()
  return { real(3, 4), index(4, 3), real(3), maybe(-1), maybe(0.1) }
end
function recipes.index_select () return { real(3, 4), index(3, random(6) - 1), maybe(1) } end
function recipes.index_add () return { real(3, 2), index(5, 3), 1, 5 } end
function recipes.gather () return { real(3, 4), index(3, random(5), 4), maybe(1) } end
function recipes.scatter_add () return { real(3, 2), index(5, 3, 2), 1, 5 } end
function recipes.one_hot () return { index(4, random(3), 2), random(5) } end
function recipes.searchsorted ()
  return { real(random(5)), real(random(4)) }
end
function recipes.reshape ()
  return { real(2, random(3), 6),
    pick { { -1 }, { 6, -1 }, { 2, -1, 3 }, { 12 }, { 3, 2, -1, 2 } } }
end
function recipes.expand () return { real(random(2), 3), { random(3), 2, 3 } } end
function recipes.permute ()
  return { real(2, 3, random(3) - 1), pick { { 3, 1, 2 }, { 2, 1, -1 }, { 1, 1, 2 } } }
end
function recipes.transpose ()
  return { real(2, 3, 4), maybe(pick { 1, 2, -1 }), maybe(pick { 3, -2 }) }
end
function recipes.slice ()
  return { real(3, 6), pick { 1, 2, -1 }, pick { 1, 2, -2 }, maybe(pick { 3, -1, 0 }),
    maybe(random(3)) }
end
function recipes.unslice ()
  return { real(2, 3), pick { 1, 2 }, random(3), random(3), 6 + random(5) }
end
local function list ()
  return { { real(2, 3), real(2, 3), real(2, 3) }, maybe(pick { 1, 2, -1 }) }
end
recipes.concat, recipes.stack = list, list
function recipes.tile () return { real(2, random(3)), sizes(random(3)) } end
local function along ()
  local n = random(4)
  return { real(3, n), real(3, n), maybe(pick { 1, -1 }) }
end
recipes.softmax_grad, recipes.log_softmax_grad = along, along
function recipes.linear_scan ()
  local a = along()
  a[4] = maybe(flag())
  return a
end
function recipes.topk () return { real(3, 4), random(4), maybe(pick { 2, -1 }), maybe(flag()) } end
recipes.argtopk = recipes.topk

-- Streams and updates in place.
for _, name in ipairs { "uniform", "normal", "exponential", "gumbel" } do
  recipes["rng:" .. name] = function () return { rng, sizes(random(4) - 1) } end
end
for _, name in ipairs { "bernoulli", "gamma", "log_gamma", "poisson", "von_mises",
  "categorical" } do
  recipes["rng:" .. name] = function ()
    return { rng, positive(random(4), 1 + random(4)) * random(3) }
  end
end
recipes["rng:binomial"] = function ()
  return { rng, pick { 3, 100, 0, positive(4) * 9 }, positive(4) }
end
recipes["rng:integers"] = function () return { rng, sizes(2), random(5) - 3, random(5) + 2 } end
recipes["rng:permutation"] = function () return { rng, random(9) - 1 } end

local rates = { lr = 0.1, beta1 = 0.9, beta2 = 0.99, eps = 1e-8, decay = 0.01, scale = 1, rho = 0.9,
  momentum = 0.9, nesterov = true }
local function tensors () return { rng:uniform(3, 2), rng:uniform(4) } end
local function update (n, last)
  return function ()
    local a = {}
    for k = 1, n do a[k] = tensors() end
    a[n + 1], a[n + 2] = rates, last
    return a
  end
end
recipes["fused.adam"], recipes["fused.sgd"] = update(6, 3), update(3)
recipes["fused.rmsprop"], recipes["fused.adagrad"] = update(5), update(3)
recipes["fused.adadelta"], recipes["fused.adamax"] = update(4), update(4, 3)
recipes["fused.lion"] = update(3)
recipes["fused.accumulate"] = function () return { tensors(), tensors(), 0.5 } end
recipes["fused.ema"] = recipes["fused.accumulate"]
recipes["fused.swap"] = function () return { tensors(), tensors() } end
recipes["fused.norm"] = function () return { tensors() } end

-- What a parameter is called tells what suits it.
local function for_parameter (name, shape)
  if name == "axis" or name == "other" then return pick { 1, 2, -1, -2 } end
  if name == "axes" then return pick { 1, -1, { 1 }, { 1, 2 }, { -1, 1 }, {} } end
  if name == "keep" or name == "descending" or name == "reverse" then return flag() end
  if name == "condition" then return rng:bernoulli(core.full(shape, 0.5)):byte() end
  if name == "shift" or name == "order" then return random(4) - 1 end
  if name == "slope" or name == "scale" or name == "low" or name == "correction" then
    return 0.25
  end
  if name == "high" then return 0.75 end
  return random(3) == 1 and real(table.unpack(shape)) or positive(table.unpack(shape))
end

return function (name)
  if recipes[name] then return recipes[name]() end
  local signature = core.operation(name)
  if not signature then return nil end
  local shape, args = pick { { 2, 3 }, { 3 }, { 2, 1, 3 }, { 0, 2 }, { 2, 2 } }, {}
  local n = 0
  for parameter in signature:gmatch "([%a_][%w_]*):" do
    n = n + 1
    args[n] = for_parameter(parameter, shape)
  end
  return args, n
end

end
