-- Sums over indices against loops, and the laws of decompositions as scripts see them.

local check = require "check"
local peri = require "perigee"

local einsum, linalg = peri.einsum, peri.linalg

-- --- einsum --------------------------------------------------------------------------------------

-- The sum by the letter of its definition: over every value of every index.
local function by_loops (operands, result, tensors)
  local sizes, order = {}, {}
  for k, letters in ipairs(operands) do
    for i = 1, #letters do
      local c = letters:sub(i, i)
      if not sizes[c] then order[#order + 1] = c end
      sizes[c] = tensors[k].shape[i]
    end
  end
  local lists, values, out = {}, {}, {}
  for k, x in ipairs(tensors) do lists[k] = x:tolist() end
  local function entry (list, letters)
    for c in letters:gmatch "." do list = list[values[c]] end
    return list
  end
  local function visit (depth)
    if depth <= #order then
      for v = 1, sizes[order[depth]] do
        values[order[depth]] = v
        visit(depth + 1)
      end
      return
    end
    local product, key = 1, {}
    for k, letters in ipairs(operands) do product = product * entry(lists[k], letters) end
    for c in result:gmatch "." do key[#key + 1] = values[c] end
    key = table.concat(key, ",")
    out[key] = (out[key] or 0) + product
  end
  visit(1)
  return out, sizes
end

local function check_spec (operands, result, tensors)
  local y = einsum(table.concat(operands, ", ") .. " -> " .. result, table.unpack(tensors))
  local want, sizes = by_loops(operands, result, tensors)
  check.equal(#y.shape, #result)
  for i = 1, #result do check.equal(y.shape[i], sizes[result:sub(i, i)]) end
  local function visit (list, key)
    if type(list) ~= "table" then check.close(list, want[table.concat(key, ",")] or 0, 1e-4)
    else
      for i, v in ipairs(list) do
        key[#key + 1] = i
        visit(v, key)
        key[#key] = nil
      end
    end
  end
  visit(#result == 0 and y:item() or y:tolist(), {})
end

check.test("random sums agree with loops", function ()
  math.randomseed(7)
  local rng = peri.rng(7)
  local alphabet = {"i", "j", "k", "l", "m"}
  local extent = {i = 2, j = 3, k = 1, l = 4, m = 2}
  for _ = 1, 300 do
    local operands, tensors, present = {}, {}, {}
    for k = 1, math.random(1, 4) do
      local letters, shape = "", {}
      for _ = 1, math.random(0, 4) do
        local c = alphabet[math.random(#alphabet)]
        letters, shape[#shape + 1], present[c] = letters .. c, extent[c], true
      end
      operands[k], tensors[k] = letters, rng:normal(shape)
    end
    local result = ""
    for _, c in ipairs(alphabet) do
      if present[c] and math.random() < 0.5 then
        result = math.random() < 0.5 and result .. c or c .. result
      end
    end
    check_spec(operands, result, tensors)
  end
end)

check.test("strided and empty operands, and what every text says of einsum", function ()
  local x, y = peri.rng(1):normal(3, 4), peri.rng(2):normal(5, 4, 3)
  check_spec({"ij", "bij"}, "bj", {x:transpose(), y})
  check.equal(einsum("ij,jk->ik", peri.zeros(2, 0), peri.zeros(0, 3)):tolist(),
    peri.zeros(2, 3):tolist())
  check.equal(einsum("ij,jk->ik", peri.zeros(0, 2), peri.zeros(2, 3)).shape, {0, 3})
  check.equal(einsum("ii", peri.tensor {{1, 2}, {3, 4}}):item(), 5)
  check.equal(einsum("ba", x).shape, {4, 3})              -- no result: alphabetical
  check.equal(einsum("ij,jk", x, peri.ones(4, 2)):tolist(), x:matmul(peri.ones(4, 2)):tolist())
  check.equal(einsum("i,j->ij", peri.tensor {1, 2}, peri.tensor {3, 4}):tolist(), {{3, 4}, {6, 8}})
end)

check.test("a sum has the gradient of its definition", function ()
  local x, y = peri.rng(3):normal(3, 4), peri.rng(4):normal(4, 5)
  x:requires_grad(true)
  local g = peri.grad(einsum("ij,jk->", x, y), {x})[1]
  check.close(g:tolist(), (peri.zeros(3, 4) + y:sum(2)):tolist(), 1e-5)
end)

check.test("sums that make no sense are named", function ()
  local x, y = peri.zeros(2, 3), peri.zeros(4, 5)
  local function fails (pattern, ...)
    local given = table.pack(...)
    check.raises(function () einsum(table.unpack(given, 1, given.n)) end, pattern)
  end
  fails("^einsum: 'ij,jk%->ik' on %(2, 3%), %(4, 5%): index 'j' is 3 in operand 1 and 4 "
    .. "in operand 2",
    "ij,jk->ik", x, y)
  fails("'ijk%->i' on %(2, 3%): operand 1 has 3 indices and its tensor 2 axes", "ijk->i", x)
  fails("index 'z' of the result is in no operand", "ij->iz", x)
  fails("the result has index 'i' twice", "ij->ii", x)
  fails("2 operands are written and 1 tensors given", "ij,jk->ik", x)
  fails("write indices as letters", "...ij->ij", x)
  fails("write indices as letters", "ij->i->j", x)
  fails("operand 2 is a number", "ij,jk->ik", x, 3)
  fails("operand 2 is a nil", "ij,jk->ik", x, nil)
  fails("give a tensor", "ij->ij")
  fails("not a tensor", x, y)
end)

-- --- decompositions ------------------------------------------------------------------------------

local function distance (x, y) return (x - y):abs():max():item() end

local function eye (n) return peri.ones(n):diag_embed() end

check.test("qr, svd and eigh put together what they took apart", function ()
  for _, shape in ipairs {{5, 3}, {3, 5}, {4, 4}, {2, 3, 6, 4}, {1, 1}} do
    local x = peri.rng(5):normal(shape)
    local k = math.min(shape[#shape], shape[#shape - 1])
    local q, r = linalg.qr(x)
    check.is_true(distance(q:matmul(r), x) < 1e-5)
    check.is_true(distance(q:transpose():matmul(q), eye(k)) < 1e-5)
    check.is_true(r:diagonal():min():item() >= 0)
    local u, s, v = linalg.svd(x)
    check.is_true(distance(u:matmul(s:diag_embed()):matmul(v:transpose()), x) < 1e-5)
    check.is_true(distance(s, x:svdvals()) < 1e-5)
    local a = x:matmul(x:transpose())
    local w, e = linalg.eigh(a)
    check.is_true(distance(e:matmul(w:diag_embed()):matmul(e:transpose()), a) < 1e-4)
    check.is_true(distance(w, a:eigvalsh()) < 1e-4)
  end
end)

check.test("R is exactly 0 below its diagonal", function ()
  local _, r = linalg.qr(peri.rng(6):normal(4, 4))
  for i, row in ipairs(r:tolist()) do
    for j = 1, i - 1 do check.equal(row[j], 0) end
  end
end)

check.test("slogdet and norms", function ()
  local x = peri.tensor {{0, 2}, {3, 0}}
  local sign, log_abs = linalg.slogdet(x)
  check.equal(sign:item(), -1)
  check.close(log_abs:item(), math.log(6), 1e-6)
  sign, log_abs = linalg.slogdet(peri.zeros(2, 2))
  check.equal(sign:item(), 0)
  check.equal(log_abs:item(), -math.huge)
  check.close(linalg.norm(x):item(), math.sqrt(13), 1e-6)
  check.close(linalg.norm(x, "nuclear"):item(), 5, 1e-6)
  check.close(linalg.norm(x, "spectral"):item(), 3, 1e-6)
  check.raises(function () linalg.norm(x, "max") end, "none of frobenius, nuclear, spectral")
  check.raises(function () linalg.norm(peri.zeros(3)) end, "not one of shape %(3%)")
  check.raises(function () linalg.svd "x" end, "linalg.svd: .*not a string")
end)

check.test("matrices of no rows", function ()
  local w, e = linalg.eigh(peri.zeros(0, 0))
  check.equal(w.shape, {0})
  check.equal(e.shape, {0, 0})
  local u, s, v = linalg.svd(peri.zeros(3, 0))
  check.equal({u.shape, s.shape, v.shape}, {{3, 0}, {0}, {0, 0}})
  local q, r = linalg.qr(peri.zeros(0, 3))
  check.equal({q.shape, r.shape}, {{0, 0}, {0, 3}})
end)

check.test("qr's gradient goes through both factors", function ()
  local x = peri.rng(8):normal(3, 3)
  x:requires_grad(true)
  local q, r = linalg.qr(x)                                -- q r = x, so this is x's own weight
  local weight = peri.rng(9):normal(3, 3)
  local g = peri.grad((q:matmul(r) * weight):sum(), {x})[1]
  check.is_true(distance(g, weight) < 1e-4)
end)

check.test("a bias may be left out", function ()
  local x, w = peri.rng(1):normal(2, 3), peri.rng(2):normal(3, 4)
  check.close(peri.linear(x, w):tolist(), x:matmul(w):tolist(), 1e-6)
  check.close(peri.linear(x, w, 2):tolist(), (x:matmul(w) + 2):tolist(), 1e-5)
end)

check.done()
