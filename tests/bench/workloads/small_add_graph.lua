-- Add of two 4x4 tensors that records a graph, as in small_add_graph.py.  Form "plain" leaves
-- the results to the collector; "scope" frees them a hundred at a time, as the scope of a training
-- step does.

local peri = require "perigee"

local workload = {}

---@param form "plain"|"scope"
---@return fun(n: integer)
function workload.prepare (form)
  local rng = peri.rng(1)
  local x, y = rng:normal(4, 4):requires_grad(true), rng:normal(4, 4)
  if form == "plain" then
    return function (n)
      for _ = 1, n do
        local _ = x + y
      end
    end
  end
  return function (n)
    for first = 1, n, 100 do
      local _ <close> = peri.scope()
      for _ = first, math.min(first + 99, n) do
        local _ = x + y
      end
    end
  end
end

return workload
