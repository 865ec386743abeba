-- Order statistics of a few measured blocks.  Nothing here knows what was measured.

local stats = {}

---The q-quantile of some numbers, by linear interpolation between order statistics (R's type 7).
---@param numbers number[] at least one; not changed
---@param q number in [0, 1]
---@return number
function stats.quantile (numbers, q)
  local sorted = table.move(numbers, 1, #numbers, 1, {})
  table.sort(sorted)
  local at = 1 + q * (#sorted - 1)
  local below = math.floor(at)
  local above = math.min(below + 1, #sorted)
  return sorted[below] + (at - below) * (sorted[above] - sorted[below])
end

---@class Summary
---@field n integer
---@field median number
---@field low number smallest
---@field high number largest
---@field q1 number lower quartile
---@field q3 number upper quartile

---@param numbers number[] at least one
---@return Summary
function stats.summary (numbers)
  return {
    n = #numbers,
    median = stats.quantile(numbers, 0.5),
    low = stats.quantile(numbers, 0),
    high = stats.quantile(numbers, 1),
    q1 = stats.quantile(numbers, 0.25),
    q3 = stats.quantile(numbers, 0.75),
  }
end

---Ratios of two series measured in the same rounds: what slowed the machine in one round slowed
---both, so the spread of the paired ratio is the spread of the comparison.
---@param a number[] one per round
---@param b number[] one per round, as many
---@return number[]
function stats.ratios (a, b)
  assert(#a == #b, "series of different lengths")
  local r = {}
  for i = 1, #a do r[i] = a[i] / b[i] end
  return r
end

return stats
