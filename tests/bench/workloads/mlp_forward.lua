-- Forward pass of an MLP without graph, as in mlp_forward.py.

local peri = require "perigee"

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local x = rng:normal(100, 784)
  local model = peri.nn.mlp {
    sizes = {784, 500, 500, 10}, activation = "relu", rng = rng:fork "init",
  }
  return function (n)
    peri.no_grad(function ()
      for _ = 1, n do
        local _ <close> = peri.scope()
        model(x)
      end
    end)
  end
end

return workload
