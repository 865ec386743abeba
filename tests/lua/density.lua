-- What the suites of distributions share: densities of one number by quadrature, and tests that
-- draws follow them.  Holds no family.

local peri = require "perigee"

local density = {}

local POINTS <const> = 3000

-- Changes of variable that bring a support to the line, where the trapezoid rule is exact to
-- rounding: x(t) and log dx/dt as tensors, and t(x) as a number.
local maps = {
  real = function (c, s)
    return {-14, 14, function (t) return peri.sinh(t) * s + c, peri.log(peri.cosh(t) * s) end,
      function (x) return math.log((x - c) / s + math.sqrt(((x - c) / s) ^ 2 + 1)) end}
  end,
  positive = function (c)
    return {-45, 12, function (t) return peri.exp(t) * c, t + math.log(c) end,
      function (x) return math.log(x / c) end}
  end,
  interval = function (_, _, low, high)
    local wide = high - low
    return {-17, 17, function (t)
      return peri.sigmoid(t) * wide + low,
        peri.log_sigmoid(t) + peri.log_sigmoid(-t) + math.log(wide)
    end, function (x) return math.log((x - low) / (high - x)) end}
  end,
}
maps.nonnegative = maps.positive
maps.unit = function () return maps.interval(0, 1, 0, 1) end
maps.angle = function () return maps.interval(0, 1, -math.pi, math.pi) end

---The draws as a sorted list of numbers.
---@param x userdata
---@return number[]
function density.sorted (x)
  local list = x:tolist()
  table.sort(list)
  return list
end

---The density of a distribution of one number along its support: x, the weight of each x, p(x) and
---the cumulative probability as a function of x.
---@param d table
---@param draws number[] sorted; their quartiles say where the density lies
---@param low? number of an interval
---@param high? number
---@return table
function density.of (d, draws, low, high)
  local n = #draws
  local c, s = draws[n // 2], math.max((draws[n * 3 // 4] - draws[n // 4]) / 2, 1e-30)
  local from, to, map, back = table.unpack(maps[d.support](c, s, low, high))
  local h = (to - from) / POINTS
  local t = (peri.arange(0, POINTS):real()) * h + from
  local x, slope = map(t)
  local mass = peri.exp(d:log_prob(x) + slope) * h
  mass = peri.where(peri.is_finite(mass), mass, 0)      -- an infinite end weighs nothing
  local m, sum, before = mass:tolist(), {}, 0
  for i = 1, #m do                                      -- Euler & Maclaurin's first correction
    sum[i] = before + m[i] / 2 - ((m[i + 1] or 0) - (m[i - 1] or 0)) / 24
    before = before + m[i]
  end
  local function cdf (v)
    local at = (back(v) - from) / h + 1
    if at ~= at or at <= 1 then return 0 end
    if at >= #sum then return before end
    local i = math.floor(at)
    local u = at - i                                    -- Hermite's cubic
    return sum[i] + u * u * (3 - 2 * u) * (sum[i + 1] - sum[i])
      + u * (1 - u) * ((1 - u) * m[i] - u * m[i + 1])
  end
  return {x = x, mass = mass, total = before, cdf = cdf}
end

---The integral of f(x) p(x).
---@param p table from density.of
---@param f fun(x: userdata): userdata
---@return number
function density.expect (p, f)
  return peri.sum(peri.where(peri.gt(p.mass, 0), f(p.x), 0) * p.mass):item()
end

---Kolmogorov and Smirnov's statistic times sqrt(n): above 2.3 once in 20,000 samples of the
---distribution.
---@param draws number[] sorted
---@param cdf fun(x: number): number
---@return number
function density.kolmogorov (draws, cdf)
  local n, worst = #draws, 0
  for i, x in ipairs(draws) do
    local f = cdf(x)
    worst = math.max(worst, f - (i - 1) / n, i / n - f)
  end
  return worst * math.sqrt(n)
end

---Is the chi-square statistic of counts against expected numbers below the bound that it passes
---once in 10,000?  Cells that expect fewer than 10 are taken together.  Wilson & Hilferty 1931.
---@param counts number[]
---@param expected number[]
---@return boolean
---@return string what was found
function density.chi_square (counts, expected)
  local sum, cells, rest, rest_expected = 0, 0, 0, 0
  for i, e in ipairs(expected) do
    if e < 10 then
      rest, rest_expected = rest + counts[i], rest_expected + e
    else
      sum, cells = sum + (counts[i] - e) ^ 2 / e, cells + 1
    end
  end
  if rest_expected > 5 then
    sum, cells = sum + (rest - rest_expected) ^ 2 / rest_expected, cells + 1
  elseif rest > 30 then
    return false, rest .. " draws where hardly one is expected"
  end
  local df = math.max(cells - 1, 1)
  local v = 2 / (9 * df)
  local bound = df * (1 - v + 3.72 * math.sqrt(v)) ^ 3
  return sum < bound, ("chi-square %g for %d degrees of freedom, bound %g"):format(sum, df, bound)
end

---Raise unless the mean of x lies within `errors` (5 when absent) standard errors of `want`, and
---`slack`.
---@param x userdata
---@param want number
---@param slack? number
---@param errors? number
function density.check_mean (x, want, slack, errors)
  local mean = x:mean():item()
  local std = (x - mean):square():mean():sqrt():item()
  local se = std / math.sqrt(x:count())
  local near = math.abs(mean - want) <= (errors or 5) * se + (slack or 1e-6)    -- NaN is not
  if not near then
    error(("mean %g, standard error %g, want %g"):format(mean, se, want), 2)
  end
end

return density
