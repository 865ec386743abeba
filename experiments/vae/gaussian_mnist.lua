-- The VAE with one stochastic layer of Burda, Grosse & Salakhutdinov 2016 (table 1, k = 1) on
-- dynamically binarized MNIST: 784-200-200-50, tanh; test likelihood by importance sampling.
-- preset=quick trains for about two minutes; preset=paper follows their schedule for 364 of its
-- 3280 epochs and estimates with their 5000 samples.

local peri = require "perigee"
local Vae = require "perigee.models.vae.gaussian"

local run = peri.run {
  name = "vae_gaussian_mnist",
  about = "VAE 784-200-200-50, Bernoulli decoder, dynamically binarized MNIST",
  preset = "quick",
  presets = {
    quick = {},
    paper = {
      batch = 20, steps = 1092000, stages = 6, lr = 1e-3, eps = 1e-4, samples = 5000, gate = 88.5,
    },
  },
  metrics = {
    ["train.loss"] = {goal = "min", unit = "nats", kind = "bound"},
    ["test.nll"] = {goal = "min", unit = "nats", kind = "estimate"},
    ["test.bound"] = {goal = "min", unit = "nats", kind = "bound"},
  },
  data = {"mnist", "mnist, strokes, or a folder with the four IDX files"},
  latent = {50, "size of z"},
  hidden = {{200, 200}, "widths of the encoder; the decoder's are the same in reverse"},
  batch = {100, "images in a step"},
  steps = {45000, "optimizer steps"},
  lr = {2.5e-3, "Adam's step size at its largest"},
  warmup = {500, "steps over which it rises to that, when there is no ladder"},
  eps = {1e-8, "Adam's epsilon"},
  stages = {0, "rungs of the ladder lr 10^(-i/7) for 3^i epochs; 0: a line down to 0"},
  samples = {500, "importance samples for the test likelihood"},
  gate = {91.0, "nats that the claim allows"},
}
local cfg, rng = run.config, run.rng

local train, test, info = assert(peri.data.load {
  data = cfg.data, binarize = "dynamic", rng = rng:fork "data",
})
local model = Vae {
  features = 784, latent = cfg.latent, hidden = cfg.hidden, data_mean = train:mean(),
  rng = rng:fork "init",
}
local opt = peri.optim.adam(model, {eps = cfg.eps})
run:keep {model = model, optimizer = opt}

local schedule = peri.optim.schedule
local lr = cfg.stages > 0
  and schedule.ladder {lr = cfg.lr, stages = cfg.stages, epoch = math.max(1, train.n // cfg.batch)}
  or schedule.linear {lr = cfg.lr, steps = cfg.steps, warmup = math.min(cfg.warmup, cfg.steps - 1)}

local noise = rng:fork "z"
for step, x in run:steps(train, {batch = cfg.batch, count = cfg.steps}) do
  local loss, terms = model:loss(x, noise)
  opt:step(peri.grad(loss, model), {lr = lr(step)})
  if step == 1 or step % 50 == 0 then
    run:log {loss = loss, rec = terms.rec, kl = terms.kl, lr = lr(step)}
  end
end

run:image("samples", model:sample(64, rng:fork "show"), {shape = {28, 28}, columns = 8})
local shown = test:rows(1, 32)
local pairs_of = peri.stack({shown, model:reconstruct(shown, rng:fork "show")}, 2)
run:image("reconstructions", pairs_of:reshape(64, 784), {shape = {28, 28}, columns = 8})

local draws = rng:fork "evaluate"
run:evaluate(test, function (x) return -model:elbo(x, draws) end, {batch = 100, log = "bound"})
local nll = run:evaluate(test, function (x)
  return -model:log_prob(x, draws, {samples = cfg.samples})
end, {batch = 100, log = "nll"})

run:claim {
  ("test NLL <= %g nats (importance sampled, k = %d)"):format(cfg.gate, cfg.samples),
  nll.mean <= cfg.gate, value = nll, published = 86.76, source = "Burda et al. 2016, table 1",
  judged = info.judged, why = info.why,
}
