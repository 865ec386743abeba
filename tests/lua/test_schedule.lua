-- Schedules and weights of loss terms by their closed forms; what watches a number, and its state.

local check = require "check"
local peri = require "perigee"

local s, anneal, optim = peri.optim.schedule, peri.optim.anneal, peri.optim

check.test("cosine with restarts begins again", function ()
  local f = s.restarts {lr = 2, every = 10, final = 1}
  for _, first in ipairs {1, 11, 21, 1001} do
    check.close({f(first), f(first + 5)}, {2, 1.5}, 1e-12)
    check.close(f(first + 9), 1 + 0.5 * (1 + math.cos(0.9 * math.pi)), 1e-12)
  end
  f = s.restarts {lr = 8, every = 2, grow = 2, shrink = 0.5}
  local first = 1                                   -- cycles of 2, 4, 8, ... steps
  for k = 0, 9 do
    check.close(f(first), 8 * 0.5 ^ k, 1e-12)
    check.close(f(first + 2 ^ k), 4 * 0.5 ^ k, 1e-12)
    first = first + math.tointeger(2 ^ (k + 1))
  end
  f = s.restarts {lr = 8, every = 3, shrink = 0.5}
  check.close({f(4), f(7)}, {4, 2}, 1e-12)
end)

check.test("polynomial with power 1 is linear, and others have their value", function ()
  local f = s.polynomial {lr = 2, final = 0.5, steps = 110, warmup = 10}
  local g = s.linear {lr = 2, final = 0.5, steps = 110, warmup = 10}
  for t = 1, 120 do check.equal(f(t), g(t)) end
  f = s.polynomial {lr = 2, steps = 101, power = 3}
  check.close({f(1), f(51), f(101), f(500)}, {2, 0.25, 0, 0}, 1e-12)
end)

check.test("one cycle rises and falls by half cosines", function ()
  local f = s.one_cycle {lr = 1, steps = 101, rise = 0.25, start = 10, finish = 100}
  check.close({f(1), f(26), f(101), f(1e6)}, {0.1, 1, 1e-3, 1e-3}, 1e-12)
  check.close(f(13.5), (0.1 + 1) / 2, 1e-12)
  for t = 1, 25 do check.is_true(f(t + 1) > f(t)) end
  for t = 26, 100 do check.is_true(f(t + 1) < f(t)) end
end)

check.test("inverse square root is Noam's", function ()
  local f = s.inverse_sqrt {lr = 1 / math.sqrt(512 * 4000), warmup = 4000}
  for _, t in ipairs {1, 100, 4000, 4001, 100000} do
    check.close(f(t), 512 ^ -0.5 * math.min(t ^ -0.5, t * 4000 ^ -1.5), 1e-15)
  end
  check.close(s.inverse_sqrt {lr = 1, warmup = 0}(4), 0.5, 1e-12)
end)

check.test("a warm-up goes before any schedule", function ()
  local inner = s.step {lr = 1, every = 5}
  local f = s.warmup {schedule = inner, steps = 10}
  check.close({f(1), f(5), f(10)}, {0.1, 0.5, 1}, 1e-12)
  for t = 11, 40 do check.equal(f(t), inner(t - 10)) end
end)

check.test("schedules refuse what cannot be", function ()
  check.raises(function () s.restarts {lr = 1, every = 0} end, "every = 0; it is at least 1")
  check.raises(function () s.restarts {lr = 1, every = 2, grow = 0} end, "grow = 0")
  check.raises(function () s.polynomial {lr = 1, steps = 5, power = 0} end, "power = 0")
  check.raises(function () s.one_cycle {lr = 1, steps = 5, rise = 1} end, "rise = 1")
  check.raises(function () s.inverse_sqrt {lr = 1} end, "'warmup' is missing")
  check.raises(function () s.warmup {steps = 3} end, "'schedule' is missing")
  check.raises(function () s.warmup {schedule = s.constant(1), steps = 0} end, "steps = 0")
end)

-- --- weights of terms ---------------------------------------------------------------------------

check.test("warm-ups reach their ends", function ()
  local f = anneal.linear {steps = 10, start = 5}
  check.close({f(1), f(5), f(10), f(15), f(99)}, {0, 0, 0.5, 1, 1}, 1e-12)
  f = anneal.linear {steps = 4, from = 1, to = 0.5}
  check.close({f(2), f(4), f(5)}, {0.75, 0.5, 0.5}, 1e-12)
  f = anneal.sigmoid {steps = 100}
  check.close({f(50), f(1e6)}, {0.5, 1}, 1e-12)
  for t = 0, 50 do check.close(f(t) + f(100 - t), 1, 1e-12) end
  check.is_true(f(0) < 0.007)
end)

check.test("a cyclical weight rises for its share of each cycle", function ()
  local f = anneal.cyclical {cycle = 20, rise = 0.25, to = 4}
  for k = 0, 3 do
    for i = 0, 19 do check.close(f(20 * k + i + 1), 4 * math.min(i / 5, 1), 1e-12) end
  end
  check.raises(function () anneal.cyclical {cycle = 2, rise = 0} end, "rise = 0")
  check.raises(function () anneal.linear {steps = 0} end, "steps = 0")
end)

check.test("capacity and free bits have the gradients they should", function ()
  local f = anneal.capacity {nats = 10, steps = 100, weight = 3}
  local kl = peri.tensor(7):requires_grad(true)
  check.close(f(50, kl):item(), 6, 1e-6)
  check.equal(peri.grad(f(50, kl), {kl})[1]:item(), 3)
  check.equal(peri.grad(f(500, kl), {kl})[1]:item(), -3)
  local each = peri.tensor {{0.1, 2}, {0.3, 4}}:requires_grad(true)
  check.close(anneal.free_bits(each, 0.5):item(), 3.5, 1e-6)
  check.equal(peri.grad(anneal.free_bits(each, 0.5), {each})[1]:tolist(), {{0, 0.5}, {0, 0.5}})
  check.raises(function () anneal.free_bits(peri.ones(3), 1) end, "not %(3%)")
  check.raises(function () anneal.free_bits(each, -1) end, "nats is %-1")
end)

-- --- what watches a number ----------------------------------------------------------------------

check.test("a plateau lowers the step size after patience", function ()
  local p = optim.plateau {lr = 1, patience = 2, factor = 0.5, final = 0.2, cooldown = 1}
  local got = {}
  for i, v in ipairs {5, 4, 4, 4, 4, 4, 4, 4, 3, 0 / 0, 3, 3, 3, 3, 3, 3, 3, 3} do
    got[i] = p:update(v)
    if i == 4 then                                  -- a resume in the middle
      local state = p:state()
      p = optim.plateau {lr = 9, patience = 2, factor = 0.5, final = 0.2, cooldown = 1}
      p:load(state)
    end
  end
  check.close(got, {1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2,
    0.2}, 1e-12)
  check.raises(function () p:update() end, "give a number")
  check.raises(function () p:load {lr = 1} end, "best = nil")
  check.raises(function () optim.plateau {lr = 1, factor = 1} end, "factor = 1")
  check.raises(function () optim.plateau {lr = 1, patience = -1} end, "patience = %-1")
end)

check.test("early stopping waits for its patience", function ()
  local e, got = optim.stopping {patience = 3, margin = 0.5}, {}
  for i, v in ipairs {5, 4, 3.8, 0 / 0, 3, 2.9, 2.8, 2.7} do
    got[i] = e:update(v)
    check.equal(e.improved, i == 1 or i == 2 or i == 5)
    local state = e:state()
    e = optim.stopping {patience = 3, margin = 0.5}
    e:load(state)
  end
  check.equal(got, {false, false, false, false, false, false, false, true})
  check.raises(function () optim.stopping {patience = 0} end, "patience = 0")
  check.raises(function () e:load {} end, "best = nil")
end)

check.done()
