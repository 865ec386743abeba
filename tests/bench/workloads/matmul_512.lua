-- Product of two 512x512 matrices without graph, as in matmul_512.py.

local peri = require "perigee"

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local x, y = rng:normal(512, 512), rng:normal(512, 512)
  return function (n)
    for _ = 1, n do
      local _ <close> = peri.scope()
      local _ = x:matmul(y)
    end
  end
end

return workload
