-- tanh(x * y + z) on a million elements without graph, as in elementwise.py.

local peri = require "perigee"

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local x, y, z = rng:normal(1000, 1000), rng:normal(1000, 1000), rng:normal(1000, 1000)
  return function (n)
    for _ = 1, n do
      local _ <close> = peri.scope()
      local _ = (x * y + z):tanh()
    end
  end
end

return workload
