-- A toy experiment for the tests of the engine: a linear autoencoder on random pixels, with every
-- thing a run can record.  Claims nothing about the world.

local peri = require "perigee"
local Set  = require "perigee.data.set"

local run = peri.run {
  name  = "toy",
  about = "a linear autoencoder on noise",
  seed  = { 1, "seed of every random stream" },
  lr    = { 1e-2, "Adam step size" },
  steps = { 40, "optimizer steps" },
  model = { latent = { 3, "width of the code" }, init = { "normal", "how weights begin" } },
  widths = { { 4, 5 }, "unused, a list" },
  verbose = { false, "unused, a switch" },
  pause = { 0.0, "seconds that a step takes at least" },
  fail_at = { 0, "step that raises an error; 0 for none" },
  second = { 0, "steps of a second loop; 0 for none" },
  stop_at = { 0, "step at which the loop is left early; 0 for never" },
  content = { 1, "seed of the data" },
  presets = { tiny = { steps = 4 }, wide = { model = { latent = 6 }, widths = { 7 } } },
  metrics = { ["train.loss"] = { goal = "min", unit = "nats", kind = "exact" } },
  digest_every = 7,
}
local cfg, rng = run.config, run.rng

local pixels = peri.rng(cfg.content):integers({ 60, 16 }, 0, 255):byte()
local set = Set.new { images = pixels, labels = peri.rng(2):integers({ 60 }, 1, 10), name = "noise",
  split = "train", source = "made here", shape = { 4, 4, 1 }, binarize = "dynamic",
  sha256 = peri.io.sha256(table.concat(pixels:reshape(960):tolist(), ",")), rng = rng:fork "data" }

local init = rng:fork "init"
local model = setmetatable({
  down = peri.nn.parameter(init:normal(16, cfg.model.latent) * 0.3),
  up = peri.nn.parameter(init:normal(cfg.model.latent, 16) * 0.3),
}, {})
local opt = peri.optim.adam(model, { lr = cfg.lr })
run:keep { model = model, optimizer = opt }
local noise = rng:fork "noise"

local function loss_of (x)
  local z = x:matmul(model.down)
  z = z + noise:normal(z.shape) * 0.1
  return (z:matmul(model.up) - x):square():sum(2)
end

local function train (count)
  for step, x in run:steps(set, { batch = 10, count = count }) do
    local begin = peri.sys.clock()
    if step == cfg.fail_at then error("asked to fail") end
    local loss = loss_of(x):mean()
    opt:step(peri.grad(loss, model))
    run:log { loss = loss, code = model.down:square():mean() }
    if step % 10 == 0 then
      run:log("test", { loss = run:evaluate(set, loss_of, { batch = 25 }).mean })
      run:image("weights", model.up:detach(), { shape = { 4, 4 }, range = { -1, 1 } })
      run:best("test.loss", loss:item())
    end
    if step == cfg.stop_at then break end
    while peri.sys.clock() - begin < cfg.pause do end
  end
end

run:log("test", { before = run:evaluate(set, loss_of).mean })
train(cfg.steps)
run:claim { "the first loop ended", true, value = loss_of(set:rows(1, 60)):mean():item() }
if cfg.second > 0 then
  opt = peri.optim.sgd(model, { lr = cfg.lr })
  run:keep { optimizer = opt }
  train(cfg.second)
end

local final = run:evaluate(set, loss_of, { log = "final" })
run:claim { "loss below 100", final.mean < 100, value = final, published = 1, source = "nowhere" }
run:claim { "noise can be compressed", nil, why = "this is a toy" }
