-- The list of workloads: what each does, which forms of it each side runs, what Perigee promises.
-- The work itself is in workloads/NAME.lua and workloads/NAME.py, the same on both sides.

---@class Workload
---@field name string
---@field text string one line
---@field perigee string[] Perigee's forms: the first, at the default number of threads, is compared
---@field pytorch string[] PyTorch's forms: the fastest, over numbers of threads too, is compared
---@field step? boolean a training step of a model family: counts in the geometric mean
---@field goals? Goal[] what is promised of it
---@field whole_process? boolean measured as a process from start to end, not as repeats in a child

---@class Goal
---@field text string
---@field value "time"|"ratio"|"memory_ratio" which figure must not exceed the limit
---@field limit number seconds for a time
---@field form? string of Perigee's, when not the one compared

-- What a training step promises; `fast`: its tensors are small, so calls count more than numbers.
local function step_goals (fast)
  return {
    {text = fast and "at least five times as fast as PyTorch" or "no slower than PyTorch",
      value = "ratio", limit = fast and 1 / 5 or 1},
    {text = "peak memory at most half of PyTorch's", value = "memory_ratio", limit = 1 / 2},
  }
end

-- A training step.  PyTorch's `nhwc` forms keep images in its channels-last memory format.
local function step (name, text, images, fast)
  return {
    name = name, text = text, step = true, perigee = {"fused"},
    pytorch = images and {"fused", "fused-nhwc"} or {"fused", "foreach"}, goals = step_goals(fast),
  }
end

---@type Workload[]
return {
  step("vae_step", "VAE: 784-500-500-20, batch 100, tanh, Bernoulli decoder"),
  step("made_step", "MADE: masked 784-500-784, batch 100, relu"),
  step("realnvp_step", "RealNVP on 2-D data: 8 couplings of 1-64-64-2, batch 256", false, true),
  step("pixelcnn_step", "PixelCNN: 28x28, 64 channels, 5 residual blocks, batch 16", true),
  step("dcgan_step", "DCGAN: 32x32x3, batch normalisation, critic and generator, batch 32", true),
  step("ddpm_step", "DDPM: U-Net of 32 channels on 32x32x3, attention at 16x16, batch 8", true),
  step("gpt_step", "GPT: 4 layers, 192 wide, 6 heads, context 128, batch 8"),
  step("wavenet_step", "WaveNet: 8 dilated layers of 32 channels, 2048 samples, batch 2"),
  {
    name = "rbm_cd10", text = "RBM update by CD-10: 784-500, batch 100", step = true,
    perigee = {"plain"}, pytorch = {"plain", "inference"}, goals = step_goals(),
  },
  step("wgan_gp_small", "WGAN-GP critic with double backward: 2-128-128-1, batch 256", false, true),
  step("gru_step", "GRU language model: 65-128-256, 64 tokens, batch 32"),
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
