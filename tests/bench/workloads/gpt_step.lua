-- GPT training step: 4 layers, 192 wide, 6 heads, context 128, AdamW, as in gpt_step.py.

local peri = require "perigee"

local batch, time, width, heads, layers, vocabulary = 8, 128, 192, 6, 4, 65

---@return table model
local function make_gpt (rng)
  local model = {
    token = peri.nn.embedding {count = vocabulary, size = width, rng = rng:fork "token"},
    position = peri.nn.parameter(rng:fork("position"):normal(time, width)),
    norm = peri.nn.layer_norm {channels = width},
    head = peri.nn.linear {inputs = width, outputs = vocabulary, rng = rng:fork "head"},
    blocks = {},
  }
  for i = 1, layers do
    model.blocks[i] = peri.nn.transformer_block {
      inputs = width, heads = heads, causal = true, rng = rng:fork("block." .. i),
    }
  end
  return model
end

local workload = {}

---@return fun(n: integer)
function workload.prepare ()
  local rng = peri.rng(1)
  local tokens = rng:integers({batch, time + 1}, 1, vocabulary)
  local seen, next_one = tokens:slice(2, 1, time):clone(), tokens:slice(2, 2, time + 1):clone()
  local model = make_gpt(rng)
  local optimizer = peri.optim.adamw(model, {lr = 1e-3})

  local function step ()
    local _ <close> = peri.scope()
    local x = model.token(seen) + model.position
    for _, block in ipairs(model.blocks) do x = block(x) end
    local loss = model.head(model.norm(x)):cross_entropy(next_one):mean()
    optimizer:step(peri.grad(loss, model))
  end

  return function (n)
    for _ = 1, n do step() end
  end
end

return workload
