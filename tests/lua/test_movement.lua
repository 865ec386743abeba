-- Splitting, padding of images, and what Lua adds to pooling: a stride that is the size.

local check = require "check"
local peri = require "perigee"

local rng = peri.rng(1)

check.test("the parts of a split join to what was split", function ()
  local x = rng:normal(2, 6, 3)
  for _, sizes in ipairs { 3, 1, { 1, 5 }, { 2, 0, 4 }, { 6 } } do
    local parts = peri.split(x, sizes, 2)
    check.equal(#parts, type(sizes) == "table" and #sizes or sizes)
    check.equal(peri.concat(parts, 2):tolist(), x:tolist())
    check.equal(peri.split(x, sizes, -2)[1]:tolist(), parts[1]:tolist())
  end
end)

check.test("split goes through the graph", function ()
  local x = rng:normal(4):requires_grad(true)
  local parts = peri.split(x, 2)
  local g = peri.grad((parts[1] * 2 + parts[2] * 3):sum(), { x })[1]
  check.equal(g:tolist(), { 2, 2, 3, 3 })
end)

check.test("split refuses sizes that do not fit", function ()
  local x = rng:normal(2, 6)
  check.raises(function () peri.split(x, 4, 2) end, "6 entries")
  check.raises(function () peri.split(x, { 4, 3 }, 2) end, "add up to 7")
  check.raises(function () peri.split(x, 2, 3) end, "axis 3")
  check.raises(function () peri.split(3, 2) end, "must be a tensor")
  check.raises(function () peri.split(x, { 7, -1 }, 2) end, "size 2 is %-1")
end)

check.test("pad_image pads axis after axis", function ()
  local x = rng:normal(1, 3, 4, 2)
  local y = peri.pad_image(x, { 1, { 2, 0 } }, "reflect")
  check.equal(y:tolist(), x:pad(2, 1, 1, "reflect"):pad(3, 2, 0, "reflect"):tolist())
  check.equal(peri.pad_image(x, 1).shape, { 1, 5, 6, 2 })
  check.raises(function () peri.pad_image(x, { 1 }) end, "2 spatial axes and widths has 1")
  check.raises(function () peri.pad_image(rng:normal(3), 1) end, "spatial axes")
end)

check.test("a pooling's stride is its size", function ()
  local x = rng:normal(1, 6, 6, 1)
  check.equal(x:max_pool { size = 2 }.shape, { 1, 3, 3, 1 })
  check.equal(x:avg_pool { size = { 3, 2 } }.shape, { 1, 2, 3, 1 })
  check.equal(x:avg_pool { size = 2, stride = 1 }.shape, { 1, 5, 5, 1 })
  check.raises(function () x:max_pool() end, "window")
  check.raises(function () x:max_pool {} end, "size")
end)

check.test("rows with words and optional arguments", function ()
  local x = rng:normal(1, 4, 4, 1)
  check.equal(x:resize({ 8, 2 }, "bilinear").shape, { 1, 8, 2, 1 })
  check.equal(x:resize(8, 2).shape, { 1, 8, 2, 1 })
  check.raises(function () x:resize({ 8, 2 }, "cubic") end, "nearest|bilinear")
  check.equal(peri.tensor({ 3, 1, 2 }):topk(2):tolist(), { 3, 2 })
  check.equal(peri.tensor({ 3, 1, 2 }):topk(2, 1, false):tolist(), { 1, 2 })
  check.equal(peri.tensor({ 3, 1, 2 }):argsort(1, true):tolist(), { 1, 3, 2 })
  check.raises(function () peri.tensor({ 1, 0 / 0 }):topk(1) end, "NaN")
  check.equal(peri.tensor({ 1, 2, 3 }):tile(2):tolist(), { 1, 2, 3, 1, 2, 3 })
end)

check.done()
