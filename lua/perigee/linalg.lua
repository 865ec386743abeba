-- Decompositions with several results, taken apart from the packed ones of the core, and what is
-- said in a line with them.  Everything works on the matrices in the last two axes, (.., rows,
-- columns), and is differentiable; where two eigenvalues or singular values are equal, vectors are
-- not, and asking for their gradient is an error.

local core = require "perigee.core"
local options = require "perigee.options"

local linalg = {}

local function check (what, x)
  if not options.is_tensor(x) or #x.shape < 2 then
    error(("linalg.%s: give a tensor of matrices (.., rows, columns), not %s"):format(what,
      options.is_tensor(x) and "one of shape (" .. table.concat(x.shape, ", ") .. ")"
        or "a " .. options.kind(x)), 3)
  end
  return x.shape[#x.shape - 1], x.shape[#x.shape]
end

-- Row `at` of each matrix, as a vector.
local function row (x, at)
  local shape = x.shape
  table.remove(shape, #shape - 1)
  return x:slice(-2, at, at):reshape(shape)
end

-- Rows from..to of each matrix.
local function rows (x, from, to)
  return x:slice(-2, from, to)
end

---Q with orthonormal columns and R upper triangular with a diagonal >= 0, x = Q R.
---@param x userdata (.., m, n)
---@return userdata q (.., m, min(m, n))
---@return userdata r (.., min(m, n), n)
function linalg.qr (x)
  local _, n = check("qr", x)
  local q = core.qr_q(x)
  local k = q.shape[#q.shape]
  local below = core.arange(k):real():reshape(k, 1):gt(core.arange(n):real())
  return q, core.where(below, 0, q:transpose():matmul(x))
end

---Eigenvalues of (x + x') / 2, ascending, and its orthonormal eigenvectors; of the largest entries
---of a vector the first is positive.  Values alone: core's eigvalsh.
---@param x userdata (.., n, n)
---@return userdata values (.., n)
---@return userdata vectors (.., n, n), one in each column
function linalg.eigh (x)
  local n = check("eigh", x)
  local packed = core.eigh_packed(x)
  return row(packed, 1), rows(packed, 2, n + 1)
end

---x = U diag(s) V', reduced, k = min(m, n); of the largest entries of a column of U the first is
---positive.  Values alone: core's svdvals.
---@param x userdata (.., m, n)
---@return userdata u (.., m, k)
---@return userdata s (.., k), descending
---@return userdata v (.., n, k)
function linalg.svd (x)
  local m, n = check("svd", x)
  local packed = core.svd_packed(x)
  return rows(packed, 1, m), row(packed, m + 1), rows(packed, m + 2, m + n + 1)
end

---Sign and logarithm of the absolute value of the determinant; 0 and -inf when x is singular.
---@param x userdata (.., n, n)
---@return userdata sign (..)
---@return userdata log_abs (..), in nats
function linalg.slogdet (x)
  check("slogdet", x)
  return core.det_sign(x), core.logdet(x)
end

-- Each takes x and gives its norm.
local norms = {
  frobenius = function (x) return x:square():sum {-2, -1}:sqrt() end,
  nuclear = function (x) return x:svdvals():sum(-1) end,
  spectral = function (x) return x:svdvals():max(-1) end,
}

---A norm of matrices: "frobenius" (the default), "nuclear" (the sum of the singular values) or
---"spectral" (the largest).
---@param x userdata (.., m, n)
---@param kind? "frobenius"|"nuclear"|"spectral"
---@return userdata (..)
function linalg.norm (x, kind)
  check("norm", x)
  local norm = norms[kind or "frobenius"]
  if not norm then
    error(("linalg.norm: kind '%s' is none of frobenius, nuclear, spectral"):format(tostring(kind)),
      2)
  end
  return norm(x)
end

return linalg
