-- Densities in the plane: each integrates to one, and counts of its draws in the cells of its box
-- follow the integral over each cell.

local check = require "check"
local density = require "density"
local peri = require "perigee"

local toy = peri.dist.toy
local N <const> = 20000
local CELLS <const> = 20                  -- along an axis
local FINE <const> = 12                   -- points along an axis of a cell

-- name, the distribution, does the second axis widen with e^(x / 2)?
local cases = {
  {"eight_gaussians", toy.eight_gaussians()}, {"grid", toy.grid()}, {"ring", toy.ring()},
  {"moons", toy.moons()}, {"moons(0.05)", toy.moons {noise = 0.05}}, {"circles", toy.circles()},
  {"swiss_roll", toy.swiss_roll()}, {"spirals", toy.spirals()}, {"pinwheel", toy.pinwheel()},
  {"pinwheel(3)", toy.pinwheel {arms = 3, rate = 0.1}}, {"checkerboard", toy.checkerboard()},
  {"banana", toy.banana()}, {"funnel", toy.funnel(), true},
  {"funnel(1)", toy.funnel {scale = 1}, true},
  {"U1", toy.energy(1)}, {"U2", toy.energy(2)}, {"U3", toy.energy(3)}, {"U4", toy.energy(4)},
}

-- The box of a case, with its second axis as it is or divided by e^(x / 2).
local function frame (d, wide)
  local x0, x1 = table.unpack(d.box[1])
  if wide then return x0, x1, -6, 6 end
  return x0, x1, table.unpack(d.box[2])
end

-- The integral over each cell of the box by the midpoint rule, as a list of rows.
local function integrate (d, wide)
  local x0, x1, y0, y1 = frame(d, wide)
  local n = CELLS * FINE
  local hx, hy = (x1 - x0) / n, (y1 - y0) / n
  local rows = {}
  local ys = (peri.arange(n):real() - 0.5) * hy + y0
  for i = 1, CELLS do
    local xs = (peri.arange((i - 1) * FINE + 1, i * FINE):real() - 0.5) * hx + x0
    local x = peri.expand(xs:reshape(FINE, 1), FINE, n)
    local stretch = wide and peri.exp(x * 0.5) or peri.ones(FINE, n)
    local p = peri.exp(d:log_prob(peri.stack({x, stretch * ys}, -1))) * stretch
    rows[i] = (p * (hx * hy)):reshape(FINE, CELLS, FINE):sum({1, 3}):tolist()
  end
  return rows
end

for _, case in ipairs(cases) do
  local name, d, wide = table.unpack(case)
  check.test(name .. " integrates to one and is what its draws follow", function ()
    check.equal({d.shape, d.event}, {{2}, 1})
    local mass, total = integrate(d, wide), 0
    for _, row in ipairs(mass) do
      for _, m in ipairs(row) do total = total + m end
    end
    check.close(total, 1, 2e-4)
    local x0, x1, y0, y1 = frame(d, wide)
    local counts, expected = {}, {}
    for i = 1, CELLS * CELLS do
      counts[i] = 0
      expected[i] = mass[(i - 1) // CELLS + 1][(i - 1) % CELLS + 1] * N
    end
    local x = d:sample(peri.rng(11), N)
    check.equal(x.shape, {N, 2})
    for _, z in ipairs(x:tolist()) do
      local y = wide and z[2] / math.exp(z[1] / 2) or z[2]
      local i = math.floor((z[1] - x0) / (x1 - x0) * CELLS)
      local k = math.floor((y - y0) / (y1 - y0) * CELLS)
      if i >= 0 and i < CELLS and k >= 0 and k < CELLS then
        counts[i * CELLS + k + 1] = counts[i * CELLS + k + 1] + 1
      end
    end
    local ok, found = density.chi_square(counts, expected)
    if not ok then error(found) end
    check.equal(d:sample(peri.rng(1)).shape, {2})
    check.equal(d:sample(peri.rng(1), {3, 4}).shape, {3, 4, 2})
    check.equal(d:log_prob(d:sample(peri.rng(1), {3, 4})).shape, {3, 4})
    check.equal(d:sample(peri.rng(1), 5):tolist(), d:sample(peri.rng(1), 5):tolist())
    check.is_true(d:log_prob(x):is_finite():real():min():item() == 1)
  end)
end

check.test("log-densities have the gradient of their difference quotient", function ()
  for _, case in ipairs(cases) do
    local name, d = table.unpack(case)
    if name ~= "checkerboard" then
      local at = d:sample(peri.rng(3), 50)
      local x = at:clone():requires_grad(true)
      local g = peri.grad(d:log_prob(x):sum(), {x})[1]
      local h = 1e-2 * 0.5
      local step = peri.tensor {h, 0}
      local function slope (s) return (d:log_prob(at + s) - d:log_prob(at - s)) / (2 * h) end
      local want = (slope(step) * 4 - (d:log_prob(at + step * 2) - d:log_prob(at - step * 2))
        / (4 * h)) / 3
      local error_at = ((g:slice(2, 1, 1):reshape(50) - want):abs() / (want:abs() + 3))
      if not name:find("^U[234]") and error_at:max():item() > 0.05 then
        error(name .. ": " .. error_at:max():item())
      end
    end
  end
end)

check.test("an energy is minus log p up to its constant", function ()
  for k = 1, 4 do
    local d = toy.energy(k)
    local z = d:sample(peri.rng(2), 100)
    check.is_true((d:energy(z) + d.log_normalizer + d:log_prob(z)):abs():max():item() < 1e-5)
  end
  check.equal(toy.energy(3):log_prob(peri.tensor {4.1, 0}):item(), -math.huge)
end)

check.test("wrong options are named", function ()
  check.raises(function () toy.moons {noise = 0} end, "dist.toy.moons: noise is 0")
  check.raises(function () toy.moons {radius = 1} end, "unknown option 'radius'")
  check.raises(function () toy.pinwheel {arms = 0} end, "arms is 0")
  check.raises(function () toy.funnel {scale = -1} end, "scale is %-1")
  check.raises(function () toy.energy(5) end, "energy 5; give 1 to 4")
end)

check.done()
