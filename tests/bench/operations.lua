-- The single operations that are compared with the machine's limits: what each does, the work it
-- has to do (operations or bytes, only those nobody can do without), and which limit bounds it.
-- Run by child.lua like a workload; its form is the operation's name.

local peri = require "perigee"

local elements <const> = 4096 * 4096           -- of a large tensor: 64 MiB

---@class Operation
---@field name string
---@field family "GEMM"|"convolution"|"elementwise"|"reduction"
---@field limit "peak"|"read"|"copy"|"triad"|"update" of shares.lua
---@field work number FLOP, or bytes to read and to write once
---@field prepare fun(): fun() makes its tensors; what it returns does the operation once

---@type Operation[]
local list = {}

---@param family string
---@param name string
---@param limit string
---@param work number
---@param prepare fun(): fun()
local function add (family, name, limit, work, prepare)
  list[#list + 1] = {family = family, name = name, limit = limit, work = work, prepare = prepare}
end

-- GEMM: (m, k) by (k, n); "first" or "second" names the factor that is a transposed view.
local function gemm (m, k, n, transposed)
  local name = ("matmul %dx%dx%d"):format(m, k, n)
  if transposed then name = name .. ", " .. transposed .. " transposed" end
  add("GEMM", name, "peak", 2 * m * k * n, function ()
    local rng = peri.rng(1)
    local a = transposed == "first" and rng:normal(k, m):transpose() or rng:normal(m, k)
    local b = transposed == "second" and rng:normal(n, k):transpose() or rng:normal(k, n)
    return function () return a:matmul(b) end
  end)
end

gemm(512, 512, 512)
gemm(1024, 1024, 1024)
gemm(2048, 2048, 2048)
gemm(256, 128, 128)
gemm(1024, 192, 768)
gemm(1024, 192, 768, "first")
gemm(1024, 192, 768, "second")

-- Convolutions of x (batch, axes.., in) by w (filter.., in, out).  A product with a zero of the
-- padding counts too; places is how many the result has, without batch and channels.
local function convolution (name, what, x, w, window, places)
  local flop = 2 * x[1] * places
  for _, n in ipairs(w) do flop = flop * n end
  add("convolution", name .. ", " .. what, "peak", flop, function ()
    local rng = peri.rng(1)
    local input, filter = rng:normal(x), rng:normal(w)
    if what == "forward" then
      return function () return input:conv(filter, 0, window) end
    end
    local g = input:conv(filter, 0, window)
    if what == "input gradient" then
      return function () return g:conv_transpose(filter, 0, window) end
    end
    local sized = {size = table.move(w, 1, #w - 2, 1, {})}
    for key, value in pairs(window) do sized[key] = value end
    return function () return input:conv_weight(g, sized) end
  end)
end

for _, what in ipairs {"forward", "input gradient", "weight gradient"} do
  convolution("conv 32x32x32x64, 3x3, 64", what, {32, 32, 32, 64}, {3, 3, 64, 64}, {padding = 1},
    32 * 32)
  convolution("conv 32x8x8x256, 3x3, 256", what, {32, 8, 8, 256}, {3, 3, 256, 256}, {padding = 1},
    8 * 8)
  convolution("conv 32x16x16x64, 4x4 stride 2, 128", what, {32, 16, 16, 64}, {4, 4, 64, 128},
    {stride = 2, padding = 1}, 8 * 8)
end
convolution("conv 4x2048x64, 2 dilated by 16, 128", "forward", {4, 2048, 64}, {2, 64, 128},
  {dilation = 16, padding = "causal"}, 2048)

---Large inputs in turn, so that none is in a cache when its turn comes again.
---@param shape integer[]
---@return fun(): Tensor, Tensor two of them, others at each call
local function inputs (shape)
  local first, all, at = peri.rng(1):normal(shape), {}, 0
  for i = 1, 4 do all[i] = first + 0.01 * i end
  return function ()
    at = at % 4 + 1
    return all[at], all[at % 4 + 1]
  end
end

local function elementwise (name, tensors, f)
  add("elementwise", name, tensors == 3 and "triad" or "copy", tensors * 4 * elements, function ()
    local take = inputs {4096, 4096}
    return function () return f(take()) end
  end)
end

elementwise("add", 3, function (x, y) return x + y end)
elementwise("mul", 3, function (x, y) return x * y end)
for _, name in ipairs {"exp", "tanh", "sigmoid", "gelu"} do
  elementwise(name, 2, function (x) return x[name](x) end)
end

-- The moments are updated in place: four tensors are read and three written.  Two sets take turns.
local parameters <const> = 10000000
add("elementwise", "adam step", "update", 7 * 4 * parameters, function ()
  local sets, t = {}, 0
  for i = 1, 2 do
    local p = peri.rng(i):normal(parameters)
    sets[i] = {{p}, {p * 0.01}, {peri.zeros(parameters)}, {peri.zeros(parameters)}}
  end
  local options = {lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, decay = 0, scale = 1}
  return function ()
    t = t + 1
    local p, g, m, v = table.unpack(sets[t % 2 + 1])
    peri.fused.adam(p, g, m, v, nil, nil, options, (t + 1) // 2)
  end
end)

-- Rows of 1024 elements.  A result as large as the input is written too (copy); others are small.
local function reduction (name, limit, f)
  local tensors = limit == "copy" and 2 or 1
  add("reduction", name, limit, tensors * 4 * elements, function ()
    local take = inputs {elements // 1024, 1024}
    local index = peri.rng(2):uniform(elements // 1024):mul(1024):floor():add(1):index()
    return function () return f((take()), index) end
  end)
end

reduction("sum of all", "read", function (x) return x:sum() end)
reduction("sum over the first axis", "read", function (x) return x:sum(1) end)
reduction("sum over the last axis", "read", function (x) return x:sum(2) end)
reduction("max over the last axis", "read", function (x) return x:max(2) end)
reduction("softmax", "copy", function (x) return x:softmax() end)
reduction("log_softmax", "copy", function (x) return x:log_softmax() end)
reduction("layer_norm", "copy", function (x) return x:layer_norm() end)
reduction("cross_entropy", "read", function (x, index) return x:cross_entropy(index) end)

local operations = {list = list}

---@param name string of an operation
---@return fun(n: integer)
function operations.prepare (name)
  for _, operation in ipairs(list) do
    if operation.name == name then
      local run = operation.prepare()
      return function (n)
        for _ = 1, n do
          local _ <close> = peri.scope()
          run()
        end
      end
    end
  end
  error("no operation is called " .. name)
end

return operations
