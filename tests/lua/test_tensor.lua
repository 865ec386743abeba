-- Tensors, operations and scopes as a script sees them.

local check = require "check"
local peri = require "perigee"

check.test("a nested table goes in and comes out", function ()
  local t = { { { 1, 2 }, { 3, 4 } }, { { 5, 6 }, { 7, 8 } }, { { 9, 10 }, { 11, 12 } } }
  local x = peri.tensor(t)
  check.equal(x.shape, { 3, 2, 2 })
  check.equal(x:tolist(), t)
  check.equal(x:transpose(1, 3):transpose(1, 3):tolist(), t)
  check.equal(peri.tensor(5):item(), 5.0)
  check.equal(peri.tensor({ 1, 2 }, "index"):tolist(), { 1, 2 })
end)

check.test("operators take tensors and numbers on either side", function ()
  local x = peri.tensor { 1, 2, 4 }
  check.equal((2 * x - 1):tolist(), { 1, 3, 7 })
  check.equal((1 - x):tolist(), { 0, -1, -3 })
  check.close((8 / x):tolist(), { 8, 4, 2 }, 0)
  check.close((x ^ 2):tolist(), { 1, 4, 16 }, 1e-6)
  check.equal((-x):tolist(), { -1, -2, -4 })
end)

check.test("axes and positions count from 1, and from the end when negative", function ()
  local x = peri.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  check.equal(x:sum(1):tolist(), { 5, 7, 9 })
  check.equal(x:sum(-1):tolist(), { 6, 15 })
  check.equal(x:sum({ 1, 2 }):item(), 21.0)
  check.equal(x:sum(2, true).shape, { 2, 1 })
  check.equal(x:slice(2, 2, 3):tolist(), { { 2, 3 }, { 5, 6 } })
  check.equal(x:slice(2, -2):tolist(), { { 2, 3 }, { 5, 6 } })
  check.equal(x:slice(2, 1, -2):tolist(), { { 1, 2 }, { 4, 5 } })
  check.equal(x:slice(2, 1, -1, 2):tolist(), { { 1, 3 }, { 4, 6 } })
  check.equal(x[2]:tolist(), { 4, 5, 6 })
  check.equal(x[-1][1]:item(), 4.0)
  check.equal(x:argmax(2):tolist(), { 3, 3 })
  check.equal(x:index_select(peri.tensor({ 2, 1, 2 }, "index"), 1):tolist(),
              { { 4, 5, 6 }, { 1, 2, 3 }, { 4, 5, 6 } })
end)

check.test("a tensor whose scope closed is empty, one that is kept is not", function ()
  local lost, kept
  do
    local _ <close> = peri.scope()
    lost = peri.ones(2)
    kept = peri.ones(2):keep()
  end
  check.raises(function () return lost + 1 end, "its scope closed")
  check.raises(function () return lost.shape end, "its scope closed")
  check.equal((kept + 1):tolist(), { 2, 2 })
end)

check.test("scopes nest, and close when an error passes through", function ()
  collectgarbage()
  collectgarbage()
  local before = peri.memory().live
  local inner
  pcall(function ()
    local _ <close> = peri.scope()
    local x = peri.ones(100)
    do
      local _ <close> = peri.scope()
      inner = x * 2
    end
    check.raises(function () return inner:sum() end, "its scope closed")
    check.equal(x:sum():item(), 100.0)
    error("stop")
  end)
  check.equal(peri.memory().live, before)
  check.equal(peri.scope(function (a, b) return (peri.ones(2) * a + b):sum():item() end, 3, 1), 8.0)
end)

check.test("the memory of a loop does not grow", function ()
  local w = peri.rng(1):normal(50, 50):requires_grad(true)
  local function step ()
    local _ <close> = peri.scope()
    return peri.grad((w:matmul(w)):tanh():sum(), { w })[1]:sum():item()
  end
  for _ = 1, 10 do step() end
  local live, objects = peri.memory().live, peri.memory().objects
  for _ = 1, 200 do step() end
  check.equal(peri.memory().live, live)
  check.equal(peri.memory().objects, objects)
end)

check.test("unscoped temporaries are collected", function ()
  local x = peri.ones(1000, 1000)
  for _ = 1, 400 do local _ = x + 1 end                        -- 1.6 GB in all
  collectgarbage()
  check.is_true(peri.memory().live < 600 * 2^20)
end)

check.test("errors name the argument, both shapes and the fix, on one line", function ()
  local x, y = peri.ones(2, 3), peri.ones(4, 5)
  check.raises(function () return x:matmul(y) end, "%(2, 3%).*%(4, 5%).*transpose")
  check.raises(function () return x + y end, "%(2, 3%) and %(4, 5%)")
  check.raises(function () return x:reshape(7) end, "%(2, 3%).*%(7%)")
  check.raises(function () return x:sum(3) end, "axis 3")
  check.raises(function () return x:sum(0) end, "axis 0")
  check.raises(function () return peri.tensor { { 1, 2 }, { 3 } } end, "ragged")
  check.raises(function () return peri.tensor { "a" } end, "number expected")
  check.raises(function () return x:byte():exp() end, "byte.*x:real%(%)")
  check.raises(function () return x.shap end, "'shap'")
  check.raises(function () return x:item() end, "%(2, 3%)")
  check.raises(function () return peri.exp "a" end, "x must be a tensor")
  check.raises(function () return peri.add(x) end, "y is missing")
  check.raises(function () return peri.concat { x, y } end, "%(4, 5%).*%(2, 3%)")
  check.raises(function () return peri.zeros(-1) end, "a size cannot be %-1")
  check.raises(function () return peri.zeros(2^40, 2^40) end, "too many elements")
end)

check.test("help speaks of every operation", function ()
  for _, name in ipairs(require "perigee.core".operation()) do
    check.is_true(peri.help(name):find(name .. "%("))
    check.is_true(peri[name])
  end
end)

check.test("assign changes a leaf, and a graph that used it refuses", function ()
  local w = peri.tensor { 1, 2 }:requires_grad(true)
  local y = (w * w):sum()
  w:assign(peri.tensor { 3, 4 })
  check.equal(w:tolist(), { 3, 4 })
  check.raises(function () return peri.grad(y, { w }) end, "changed in place")
  check.raises(function () w:assign(peri.ones(3)) end, "%(2%) takes %(3%)")
end)

check.done()
