-- Standing statistics: the running mean and variance of batch normalisation gathered anew, with the
-- parameters as they are now.

local core = require "perigee.core"
local options = require "perigee.options"
local walk = require "perigee.nn.walk"

-- The modules of a model that hold running statistics, in the order of the walk.
local function find (model)
  local found = {}
  for name in walk.walk(model) do
    local path = name:match "^(.*)%.mean$" or name == "mean" and ""
    if path then
      local part = model
      for key in path:gmatch "[^.]+" do part = part[math.tointeger(key) or key] end
      if type(part.momentum) == "number" and options.is_tensor(part.variance) then
        found[#found + 1] = part
      end
    end
  end
  return found
end

---nn.standing_statistics(model, 16, function (i) model(rng:normal(64, 128), {train = true}) end)
---Set the running mean and variance of every batch normalisation of `model` to their averages over
---`passes` calls of f, each of which runs the model once, in training.  Brock, Donahue & Simonyan
---2019, "Large Scale GAN Training", app. C.1; also what averaged parameters want (optim.swa).  An
---error in f leaves the statistics as they were.
---@param model table
---@param passes integer at least 1
---@param f fun(pass: integer)
---@return integer layers how many normalisations were set
return function (model, passes, f)
  if type(model) ~= "table" or type(f) ~= "function" then
    error("nn.standing_statistics: give a model, a number of passes and a function", 2)
  end
  if math.type(passes) ~= "integer" or passes < 1 then
    error(("nn.standing_statistics: passes = %s; give an integer of at least 1"):format(
      tostring(passes)), 2)
  end
  local norms, before = find(model), {}
  if #norms == 0 then
    error("nn.standing_statistics: the model has no batch normalisation", 2)
  end
  local _ <close> = core.scope()
  for i, norm in ipairs(norms) do
    before[i] = {norm.momentum, norm.mean:clone(), norm.variance:clone()}
  end
  local ok, message = pcall(core.no_grad, function ()
    for pass = 1, passes do
      local _ <close> = core.scope()
      for _, norm in ipairs(norms) do norm.momentum = 1 / pass end     -- the mean of all so far
      f(pass)
    end
  end)
  for i, norm in ipairs(norms) do
    norm.momentum = before[i][1]
    if not ok then
      norm.mean:assign(before[i][2])
      norm.variance:assign(before[i][3])
    end
  end
  if not ok then error(message, 0) end
  return #norms
end
