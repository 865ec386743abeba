-- The normal distribution of vectors along the last axis, which is one event: by a Cholesky factor,
-- or by a covariance of low rank and a diagonal.

local core = require "perigee.core"
local family = require "perigee.dist.family"
local shape = require "perigee.dist.shape"

local log_2pi <const> = math.log(2 * math.pi)

local function column (x) return core.reshape(x, shape.lead(x.shape, {1})) end

local function drop_last (x)
  local sizes = x.shape
  sizes[#sizes] = nil
  return core.reshape(x, sizes)
end

-- x m for vectors x on the last axis and one matrix m.
local function times (x, m)
  if #x.shape > 1 then return core.matmul(x, m) end
  return core.reshape(core.matmul(core.reshape(x, {1, -1}), m), {-1})
end

-- a^-1 x for vectors x on the last axis: one solve with many right sides when a is one matrix.
local function solve (a, x)
  if #a.shape > 2 then return drop_last(core.solve_triangular(a, column(x))) end
  local sizes = x.shape
  local rows = core.reshape(x, {-1, sizes[#sizes]})
  return core.reshape(core.transpose(core.solve_triangular(a, core.transpose(rows))), sizes)
end

-- The common shape of vectors loc (..., n) and matrices x (..., n, k).
local function event_shape (what, loc, name, x, columns)
  shape.check_parameter(what, "loc", loc, true, 4)
  shape.check_parameter(what, name, x, true, 4)
  local a, b = loc.shape, x.shape
  local n = a[#a]
  if #a == 0 or #b < 2 or b[#b - 1] ~= n or (columns and b[#b] ~= n) then
    error(("%s: loc of shape (%s) and %s of shape (%s); give (..., n) and (..., n, %s)"):format(
      what, table.concat(a, ", "), name, table.concat(b, ", "), columns and "n" or "rank"), 3)
  end
  b[#b] = nil
  return shape.broadcast(what, a, b, 4)
end

-- --- by a Cholesky factor -----------------------------------------------------------------------

---@class MultivariateNormal : Distribution
---@field loc userdata (..., n)
---@field scale_tril userdata (..., n, n) lower triangle L of the covariance L L'
local MultivariateNormal = family.class("multivariate_normal", {{"loc", "real"}}, {
  mean = function (self) return core.expand(self.loc, self.shape) end,
  variance = function (self)
    return core.expand(core.sum(core.square(core.tril(self.scale_tril)), -1), self.shape)
  end,
  covariance = function (self)
    local l = core.tril(self.scale_tril)
    return core.matmul(l, core.transpose(l))
  end,
})
MultivariateNormal.event = 1

---loc + L e with e ~ N(0, 1).
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function MultivariateNormal:rsample (rng, lead)
  local e, l = rng:normal(shape.lead(lead, self.shape)), core.tril(self.scale_tril)
  if #l.shape == 2 then return self.loc + times(e, core.transpose(l)) end
  return self.loc + drop_last(core.matmul(l, column(e)))
end

---L with zeros above its diagonal.
---@return userdata (..., n, n)
function MultivariateNormal:lower () return core.tril(self.scale_tril) end

---log |det L|
---@return userdata
function MultivariateNormal:log_det ()
  return core.sum(core.log(core.abs(core.diagonal(self.scale_tril))), -1)
end

----|L^-1 (x - loc)|^2 / 2 - log |det L| - n log(2 pi) / 2, in nats.
---@param x userdata (..., n)
---@return userdata without the last axis
function MultivariateNormal:log_prob (x)
  local z = solve(self.scale_tril, x - self.loc)
  local n = self.shape[#self.shape]
  return core.sum(core.square(z), -1) * -0.5 - (self:log_det() + 0.5 * log_2pi * n)
end

---log |det L| + n (1 + log(2 pi)) / 2.
---@return userdata
function MultivariateNormal:entropy ()
  local batch = table.move(self.shape, 1, #self.shape - 1, 1, {})
  return core.expand(self:log_det() + 0.5 * (1 + log_2pi) * self.shape[#self.shape], batch)
end

---N(loc, L L') of vectors along the last axis, where L is the lower triangle of scale_tril.
---@param loc userdata (..., n)
---@param scale_tril userdata (..., n, n), of which the lower triangle is read; for a covariance
---  give its cholesky
---@return MultivariateNormal
local function multivariate_normal (loc, scale_tril)
  local sizes = event_shape("dist.multivariate_normal", loc, "scale_tril", scale_tril, true)
  return setmetatable({loc = loc, scale_tril = scale_tril, shape = sizes}, MultivariateNormal)
end

-- --- of low rank --------------------------------------------------------------------------------

---@class LowRankNormal : Distribution
---@field loc userdata (..., n)
---@field factor userdata (..., n, rank) W
---@field scale userdata (..., n) standard deviation s of what W leaves
local LowRankNormal = family.class("low_rank_normal", {{"loc", "real"}, {"scale", "positive"}}, {
  mean = function (self) return core.expand(self.loc, self.shape) end,
  variance = function (self)
    return core.expand(core.sum(core.square(self.factor), -1) + core.square(self.scale), self.shape)
  end,
})
LowRankNormal.event = 1

---loc + W e + s e' with e, e' ~ N(0, 1).
---@param rng userdata
---@param lead? integer|integer[]
---@return userdata
function LowRankNormal:rsample (rng, lead)
  local sizes, w = shape.lead(lead, self.shape), self.factor
  local inner = table.move(sizes, 1, #sizes, 1, {})
  inner[#inner] = w.shape[#w.shape]
  local noise = self.loc + self.scale * rng:normal(sizes)
  local e = rng:normal(inner)
  if #w.shape == 2 then return noise + times(e, core.transpose(w)) end
  return noise + drop_last(core.matmul(w, column(e)))
end

-- W / s, and the Cholesky factor of I + (W / s)' (W / s), of the size of the rank.
local function capacitance (self)
  local w = self.factor / column(self.scale)
  local rank = w.shape[#w.shape]
  local eye = core.reshape(core.one_hot(core.arange(rank), rank), {rank, rank})
  return w, core.cholesky(core.matmul(core.transpose(w), w) + eye)
end

---log |det (W W' + s^2)| / 2, by the matrix determinant lemma.
---@return userdata
function LowRankNormal:log_det ()
  local _, c = capacitance(self)
  return core.sum(core.log(core.diagonal(c)), -1) + core.sum(core.log(self.scale), -1)
end

---With z = (x - loc) / s: -(|z|^2 - |C^-1 (W / s)' z|^2) / 2 - log_det() - n log(2 pi) / 2, in
---nats; Woodbury's identity, C the Cholesky factor above.
---@param x userdata (..., n)
---@return userdata without the last axis
function LowRankNormal:log_prob (x)
  local w, c = capacitance(self)
  local z = (x - self.loc) / self.scale
  local inner = #w.shape == 2 and times(z, w)
    or drop_last(core.matmul(core.transpose(w), column(z)))
  local square = core.sum(core.square(z), -1) - core.sum(core.square(solve(c, inner)), -1)
  local log_det = core.sum(core.log(core.diagonal(c)), -1) + core.sum(core.log(self.scale), -1)
  return square * -0.5 - (log_det + 0.5 * log_2pi * self.shape[#self.shape])
end

---@return userdata
function LowRankNormal:entropy ()
  local batch = table.move(self.shape, 1, #self.shape - 1, 1, {})
  return core.expand(self:log_det() + 0.5 * (1 + log_2pi) * self.shape[#self.shape], batch)
end

---N(loc, W W' + diag(scale^2)) of vectors along the last axis, where W is the factor.
---@param loc userdata (..., n)
---@param factor userdata (..., n, rank)
---@param scale userdata (..., n), above 0
---@return LowRankNormal
local function low_rank_normal (loc, factor, scale)
  local sizes = event_shape("dist.low_rank_normal", loc, "factor", factor)
  shape.check_parameter("dist.low_rank_normal", "scale", scale, true)
  if scale.shape[#scale.shape] ~= sizes[#sizes] then
    error(("dist.low_rank_normal: scale of shape (%s) and loc of shape (%s); give (..., %d)")
      :format(table.concat(scale.shape, ", "), table.concat(loc.shape, ", "), sizes[#sizes]), 2)
  end
  sizes = shape.broadcast("dist.low_rank_normal", sizes, scale)
  return setmetatable({loc = loc, factor = factor, scale = scale, shape = sizes}, LowRankNormal)
end

return {new = multivariate_normal, class = MultivariateNormal, low_rank = low_rank_normal,
  low_rank_class = LowRankNormal}
