-- GRU language model training step: 65-128-256, 64 tokens, as in gru_step.py.

local peri = require "perigee"

local batch, time, embed, hidden, vocabulary = 32, 64, 128, 256, 65

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local tokens = rng:integers({batch, time + 1}, 1, vocabulary)
  local seen, next_one = tokens:slice(2, 1, time):clone(), tokens:slice(2, 2, time + 1):clone()
  local model = {
    embed = peri.nn.embedding {count = vocabulary, size = embed, rng = rng:fork "embed"},
    gru = peri.nn.gru {inputs = embed, hidden = hidden, rng = rng:fork "gru"},
    head = peri.nn.linear {inputs = hidden, outputs = vocabulary, rng = rng:fork "head"},
  }
  local optimizer = peri.optim.adam(model, {lr = 1e-3})
  return function (n)
    for _ = 1, n do
      local _ <close> = peri.scope()
      local loss = model.head((model.gru(model.embed(seen)))):cross_entropy(next_one):mean()
      optimizer:step(peri.grad(loss, model))
    end
  end
end

return workload
