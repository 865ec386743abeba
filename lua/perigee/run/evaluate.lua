-- run:evaluate: a number for every example of a data set, and their mean with its standard error.

local core     = require "perigee.core"
local text     = require "perigee.run.text"
local loop     = require "perigee.run.loop"
local progress = require "perigee.run.progress"

local evaluate = {}

---@class perigee.Evaluation
---@field mean number
---@field std number sample standard deviation, n - 1 in the denominator
---@field sem number standard error of the mean, std / sqrt(n)
---@field n integer examples

---Mean and spread of a list, in two passes and double precision.
---@param values number[]
---@return perigee.Evaluation
function evaluate.describe (values)
  local n, sum = #values, 0.0
  for i = 1, n do sum = sum + values[i] end
  local mean, squares = sum / n, 0.0
  for i = 1, n do squares = squares + (values[i] - mean) ^ 2 end
  local std = n > 1 and math.sqrt(squares / (n - 1)) or 0 / 0
  return { mean = mean, std = std, sem = std / math.sqrt(n), n = n }
end

-- Add the numbers of one batch to the list.
local function collect (values, result, examples)
  local list = result
  if type(result) == "userdata" then
    if result.ndim ~= 1 or result.shape[1] ~= examples then
      error(string.format("run:evaluate: the function returned a tensor (%s), not one number " ..
        "for each of %d examples", table.concat(result.shape, ", "), examples), 0)
    end
    list = result:tolist()
  elseif type(result) ~= "table" or #result ~= examples then
    error(string.format("run:evaluate: the function returned a %s, not a tensor with one number " ..
      "for each of %d examples", type(result), examples), 0)
  end
  table.move(list, 1, examples, #values + 1, values)
end

local known = { batch = true, log = true }

---@param run perigee.Run
---@param set any a data set: set:each{ batch = n } walks it in order
---@param f fun(x: any, labels: any): any one number for each example of the batch
---@param options {batch: integer?, log: string?}? log: also a metric of this name, and NAME_sem
---@return perigee.Evaluation
function evaluate.run (run, set, f, options)
  options = options or {}
  for _, k in ipairs(text.keys(options)) do
    if not known[k] then
      error("run:evaluate: " .. text.unknown("option", tostring(k), text.keys(known)), 3)
    end
  end
  if type(set) ~= "table" or type(set.each) ~= "function" or type(f) ~= "function" then
    error("run:evaluate(set, function (x, labels) ... end): a data set and a function", 3)
  end
  run:uses(set)
  local values = {}
  local bar = run.inside and progress.new() or run.progress
  bar:start("evaluate", 0, set.n)
  for x, labels in set:each { batch = options.batch or 100 } do
    collect(values, core.no_grad(f, x, labels), x.shape[1])
    bar:step(#values, {})
    -- Inside a step there is no state to save: the signal waits for the step's end.
    local signal = run.listening and not run.inside and core.sys.signal()
    if signal then loop.stop(run, signal, false) end
  end
  bar:clear()
  if #values == 0 then error("run:evaluate: the data set is empty", 3) end
  local result = evaluate.describe(values)
  if options.log then
    local name = options.log
    run:log(set.split or "test", { [name] = result.mean, [name .. "_sem"] = result.sem })
  end
  return result
end

return evaluate
