-- Einstein summation: a product of tensors written as indices, worked out as permutations,
-- reshapes, matrix products and sums, from left to right.  Holds no loops over elements.

local options = require "perigee.options"

local function shape_text (x)
  return "(" .. table.concat(x.shape, ", ") .. ")"
end

local function fail (spec, tensors, text, ...)
  local shapes = {}
  for i, x in ipairs(tensors) do shapes[i] = shape_text(x) end
  error(("einsum: '%s' on %s: %s"):format(spec, table.concat(shapes, ", "), text:format(...)), 0)
end

local function has (letters, letter) return letters:find(letter, 1, true) ~= nil end

-- The letters of `from` that do (or else do not) occur in `others`.
local function pick (from, others, wanted)
  return (from:gsub(".", function (c) return has(others, c) == wanted and c or "" end))
end

-- Indices that occur once, in the order of the alphabet: the result when none is written.
local function free_indices (operands)
  local all, free = table.concat(operands), {}
  for c in all:gmatch "." do
    if select(2, all:gsub(c, c)) == 1 then free[#free + 1] = c end
  end
  table.sort(free)
  return table.concat(free)
end

-- "ij,jk->ik" as {"ij", "jk"}, "ik"
local function parse (spec, tensors)
  local text = spec:gsub("%s", "")
  local left, right = text:match "^([%a,]*)%->(%a*)$"
  left = left or text:match "^[%a,]*$"
  if not left then
    fail(spec, tensors, "write indices as letters, operands set apart by ',' and the result "
      .. "behind '->', as in 'ij,jk->ik'")
  end
  local operands = {}
  for letters in (left .. ","):gmatch "(%a*)," do operands[#operands + 1] = letters end
  if #operands ~= #tensors then
    fail(spec, tensors, "%d operands are written and %d tensors given", #operands, #tensors)
  end
  right = right or free_indices(operands)
  for i = 1, #right do
    local c = right:sub(i, i)
    if not has(left, c) then fail(spec, tensors, "index '%s' of the result is in no operand", c) end
    if has(right:sub(i + 1), c) then fail(spec, tensors, "the result has index '%s' twice", c) end
  end
  return operands, right
end

-- The size of every index, which all operands must agree on.
local function index_sizes (spec, tensors, operands)
  local sizes, owner = {}, {}
  for k, letters in ipairs(operands) do
    local shape = tensors[k].shape
    if #letters ~= #shape then
      fail(spec, tensors, "operand %d has %d indices and its tensor %d axes", k, #letters, #shape)
    end
    for i = 1, #letters do
      local c = letters:sub(i, i)
      if sizes[c] and sizes[c] ~= shape[i] then
        fail(spec, tensors, "index '%s' is %d in operand %d and %d in operand %d", c, sizes[c],
          owner[c], shape[i], k)
      end
      sizes[c], owner[c] = shape[i], owner[c] or k
    end
  end
  return sizes
end

-- x with its axes in the order of `to`, a permutation of `letters`; untouched when they are.
local function arrange (x, letters, to)
  if letters == to then return x end
  local axes = {}
  for i = 1, #to do axes[i] = letters:find(to:sub(i, i), 1, true) end
  return x:permute(axes)
end

local function reshape (x, shape)
  local old = x.shape
  local same = #old == #shape
  for i = 1, #shape do same = same and old[i] == shape[i] end
  return same and x or x:reshape(shape)
end

-- An index that stands twice in one operand is its diagonal.
local function take_diagonals (x, letters)
  for i = 1, #letters do
    local c = letters:sub(i, i)
    if has(letters:sub(i + 1), c) then
      local j = letters:find(c, i + 1, true)
      local rest = letters:sub(1, i - 1) .. letters:sub(i + 1, j - 1) .. letters:sub(j + 1)
      local axes = {}
      for k = 1, #letters do if k ~= i and k ~= j then axes[#axes + 1] = k end end
      axes[#axes + 1], axes[#axes + 2] = i, j
      return take_diagonals(x:permute(axes):diagonal(), rest .. c)
    end
  end
  return x, letters
end

-- Sum over every index that is not in `keep`.
local function sum_out (x, letters, keep)
  local axes = {}
  for i = 1, #letters do
    if not has(keep, letters:sub(i, i)) then axes[#axes + 1] = i end
  end
  if #axes == 0 then return x, letters end
  return x:sum(axes), pick(letters, keep, true)
end

local function sizes_of (letters, sizes)
  local shape = {}
  for i = 1, #letters do shape[i] = sizes[letters:sub(i, i)] end
  return shape
end

local function count (letters, sizes)
  local n = 1
  for _, size in ipairs(sizes_of(letters, sizes)) do n = n * size end
  return n
end

-- The product of two tensors, summed over what both have and nothing else needs: a matrix product
-- with the other shared indices as a batch, or elementwise when nothing is summed.
local function contract (x, a, y, b, keep, sizes)
  x, a = sum_out(x, a, keep .. b)
  y, b = sum_out(y, b, keep .. a)
  local shared = pick(a, b, true)
  local batch, summed = pick(shared, keep, true), pick(shared, keep, false)
  local left, right = pick(a, b, false), pick(b, a, false)
  local letters = batch .. left .. right
  if summed == "" then
    local shape = sizes_of(batch .. left, sizes)
    for _ = 1, #right do shape[#shape + 1] = 1 end
    x = reshape(arrange(x, a, batch .. left), shape)
    for i = #batch + 1, #batch + #left do shape[i] = 1 end
    for i = 1, #right do shape[#batch + #left + i] = sizes[right:sub(i, i)] end
    return x * reshape(arrange(y, b, batch .. right), shape), letters
  end
  local m, k, n = count(left, sizes), count(summed, sizes), count(right, sizes)
  local p, q = {m, k}, {k, n}
  if batch ~= "" then
    table.insert(p, 1, count(batch, sizes))
    table.insert(q, 1, count(batch, sizes))
  end
  x = reshape(arrange(x, a, batch .. left .. summed), p)
  y = reshape(arrange(y, b, batch .. summed .. right), q)
  return reshape(x:matmul(y), sizes_of(letters, sizes)), letters
end

---The sum of products that `spec` writes in indices: 'ij,jk->ik' is a matrix product, 'bij->bji' a
---transposition, 'ii->' a trace, 'i,j->ij' an outer product.  An index that is not in the result
---is summed over; without '->' the result has the indices that occur once, in alphabetical order.
---Pairs are taken from left to right, so write first what makes the smallest products.
---@param spec string
---@param ... userdata tensors, one for each operand
---@return userdata
local function einsum (spec, ...)
  local tensors = table.pack(...)
  if type(spec) ~= "string" then
    error("einsum: the first argument is the indices, as 'ij,jk->ik', not a "
      .. options.kind(spec), 2)
  end
  if tensors.n == 0 then error(("einsum: '%s': give a tensor for each operand"):format(spec), 2) end
  for i = 1, tensors.n do
    if not options.is_tensor(tensors[i]) then
      error(("einsum: '%s': operand %d is a %s, not a tensor"):format(spec, i,
        options.kind(tensors[i])), 2)
    end
  end
  local operands, result = parse(spec, tensors)
  local sizes = index_sizes(spec, tensors, operands)
  local x, letters = take_diagonals(tensors[1], operands[1])
  for i = 2, #operands do
    local y, more = take_diagonals(tensors[i], operands[i])
    x, letters = contract(x, letters, y, more, result .. table.concat(operands, "", i + 1), sizes)
  end
  x, letters = sum_out(x, letters, result)
  return arrange(x, letters, result)
end

return einsum
