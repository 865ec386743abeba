-- The list of workloads: what each does, which forms of it each side runs, what Perigee promises.
-- The work itself is in workloads/NAME.lua and workloads/NAME.py, the same on both sides.

---@class Workload
---@field name string
---@field text string one line
---@field perigee string[] Perigee's forms: the first, at the default number of threads, is compared
---@field pytorch string[] PyTorch's forms: the fastest, over numbers of threads too, is compared
---@field goals? Goal[] what is promised of it
---@field whole_process? boolean measured as a process from start to end, not as repeats in a child

---@class Goal
---@field text string
---@field value "time"|"ratio"|"memory_ratio" which figure must not exceed the limit
---@field limit number seconds for a time
---@field form? string of Perigee's, when not the one compared

---@type Workload[]
return {
  {
    name = "vae_step",
    text = "VAE training step with Adam: 784-500-500-20, batch 100, tanh, Bernoulli decoder",
    perigee = {"fused"},
    pytorch = {"fused", "foreach", "single"},
    goals = {
      {text = "takes no longer than the faster PyTorch", value = "ratio", limit = 1},
      {text = "peak memory at most a third of PyTorch's", value = "memory_ratio", limit = 1 / 3},
    },
  },
  {
    name = "wgan_gp_small",
    text = "WGAN-GP critic step with double backward and Adam: 2-128-128-1, batch 256",
    perigee = {"fused"},
    pytorch = {"fused", "foreach", "single"},
  },
  {
    name = "mlp_forward",
    text = "MLP 784-500-500-10, relu, batch 100: forward without graph",
    perigee = {"no_grad"},
    pytorch = {"no_grad", "inference"},
  },
  {
    name = "matmul_512",
    text = "product of two 512x512 matrices without graph",
    perigee = {"plain"},
    pytorch = {"plain", "inference"},
  },
  {
    name = "elementwise",
    text = "tanh(x * y + z) on a million elements without graph",
    perigee = {"plain"},
    pytorch = {"plain", "inference"},
  },
  {
    name = "small_add",
    text = "x + y of two 4x4 tensors from the script, without graph",
    perigee = {"plain", "scope"},
    pytorch = {"plain", "inference"},
    goals = {
      {text = "under 500 ns", value = "time", limit = 500e-9},
      {text = "under 500 ns in a scope", value = "time", limit = 500e-9, form = "scope"},
    },
  },
  {
    name = "small_add_graph",
    text = "x + y of two 4x4 tensors from the script, x requires grad",
    perigee = {"plain", "scope"},
    pytorch = {"plain"},
    goals = {
      {text = "under 800 ns", value = "time", limit = 800e-9},
      {text = "under 800 ns in a scope", value = "time", limit = 800e-9, form = "scope"},
    },
  },
  {
    name = "startup",
    text = 'the whole process: perigee -e "" and python -c "import torch"',
    perigee = {"launcher", "binary", "library"},
    pytorch = {"import"},
    goals = {{text = "under 20 ms", value = "time", limit = 20e-3}},
    whole_process = true,
  },
}
