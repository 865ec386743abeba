-- Scopes: what closes when, whatever way a block is left, and what a lost scope must not do.

local check = require "check"
local peri  = require "perigee.core"

local function is_empty(x) return tostring(x):find("scope closed", 1, true) ~= nil end

check.test("a block's tensors end with it, but for those that are kept", function ()
  local lost, kept
  do
    local _ <close> = peri.scope()
    lost, kept = peri.ones(2), peri.ones(3):keep()
  end
  check.is_true(is_empty(lost))
  check.equal(kept:tolist(), {1, 1, 1})
  check.raises(function () return lost + 1 end, "scope closed")
end)

check.test("an error closes the scopes it leaves", function ()
  local x
  local before = peri.memory().live
  local ok = pcall(function ()
    local _ <close> = peri.scope()
    x = peri.zeros(1000, 100)
    error "on purpose"
  end)
  check.is_true(not ok and is_empty(x))
  check.is_true(peri.memory().live < before + 1000 * 100 * 4)
end)

check.test("an inner scope leaves the outer one's tensors alone", function ()
  local _ <close> = peri.scope()
  local x = peri.ones(2)
  local y
  do
    local _ <close> = peri.scope()
    y = x + x
  end
  check.is_true(is_empty(y) and not is_empty(x))
end)

check.test("peri.scope(f) closes after f and passes its results on", function ()
  local x
  local a, b = peri.scope(function (n)
    x = peri.ones(n)
    return x:sum():item(), "two"
  end, 4)
  check.equal({a, b}, {4, "two"})
  check.is_true(is_empty(x))
end)

check.test("a gradient kept from a scope outlives its graph", function ()
  local x = peri.tensor({3}):requires_grad(true)
  local g
  do
    local _ <close> = peri.scope()
    g = peri.grad((x * x):sum(), { x })[1]:keep()
  end
  check.equal(g:tolist(), {6})
end)

-- The collector may find a scope nobody holds while an operation is at work on one of its tensors:
-- with an aggressive collector this took the tensor away under the operation.
check.test("a scope that is lost instead of closed takes nothing with it", function ()
  peri.scope()
  local x = peri.ones(100)
  for _ = 1, 200 do check.equal((x + x):sum():item(), 200) end
  collectgarbage()
  check.is_true(not is_empty(x))
end)

check.test("closing twice does nothing", function ()
  local s = peri.scope()
  local x = peri.ones(2)
  s:close()
  check.is_true(is_empty(x))
  s:close()
end)

check.done()
