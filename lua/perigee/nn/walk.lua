-- The one walk over a model: every tensor of nested tables, sorted, under a dotted name.
-- Everything that saves, counts, updates or compares parameters goes through here; `pairs` over a
-- model is nowhere else.

local options = require "perigee.options"

local walk = {}

local is_tensor = options.is_tensor

-- Integers by value, before strings by bytes.
local function before (a, b)
  local ta, tb = math.type(a), math.type(b)
  if ta and tb then return a < b end
  if ta or tb then return ta ~= nil end
  return a < b
end

local function is_part (v)
  return type(v) == "table" or is_tensor(v)
end

local function sorted_keys (t, trail, depth)
  local function path () return table.concat(trail, ".", 1, depth) end
  local keys = {}
  for k, v in next, t do
    if is_part(v) then
      if math.type(k) ~= "integer" and type(k) ~= "string" then
        error(("nn: key %s in '%s' is a %s; parameters are found under names and integers"):format(
          tostring(k), path(), type(k)), 0)
      end
      if type(k) == "string" and (k:find("[./]") or k == "" or math.tointeger(k)) then
        error(("nn: name '%s' in '%s' would be ambiguous; use a word without '.' and '/'"):format(
          k, path()), 0)
      end
      keys[#keys + 1] = k
    end
  end
  table.sort(keys, before)
  return keys
end

-- Calls found(tensor, trail, depth) for every tensor; trail[1..depth] are the keys that lead to it.
local function visit (t, trail, depth, seen, found, entered)
  if seen[t] then
    error(("nn: '%s' is a module met before; share tensors, not modules"):format(
      table.concat(trail, ".", 1, depth)), 0)
  end
  seen[t] = true
  local keys = sorted_keys(t, trail, depth)
  if entered then entered(t) end
  for i = 1, #keys do
    local k = keys[i]
    local v = t[k]
    trail[depth + 1] = k
    if type(v) == "table" then
      visit(v, trail, depth + 1, seen, found, entered)
    elseif not seen[v] then
      seen[v] = true                 -- a tensor that two modules share counts under its first name
      found(v, trail, depth + 1)
    end
  end
end

local function check_model (model)
  if type(model) ~= "table" then
    error(("nn: a model or a list of tensors is a table, not a %s"):format(options.kind(model)), 4)
  end
end

-- All tensors of a model as {name=, tensor=}, in the order of the walk.
local function all (model)
  check_model(model)
  local list = {}
  visit(model, {}, 0, {}, function (x, trail, depth)
    list[#list + 1] = {name = table.concat(trail, ".", 1, depth), tensor = x}
  end)
  return list
end

---Iterate over every tensor of a model, constants included: `for name, tensor in nn.walk(model)`.
---Keys are sorted at each level, integers first, so the order is the same in every process.
---@param model table a module, or a list of tensors or modules
---@return fun(): string?, userdata?
function walk.walk (model)
  local found, i = all(model), 0
  return function ()
    i = i + 1
    if found[i] then return found[i].name, found[i].tensor end
  end
end

---The tensors that training changes, in the order of the walk, and their names in the same order.
---@param model table a module, or a list of tensors or modules
---@return userdata[] parameters
---@return string[] names
function walk.parameters (model)
  local parameters, names = {}, {}
  for _, entry in ipairs(all(model)) do
    if entry.tensor:requires_grad() then
      parameters[#parameters + 1] = entry.tensor
      names[#names + 1] = entry.name
    end
  end
  return parameters, names
end

-- What the last walk over a model met: its tensors in order, its tables, and what each key held.
-- A training loop asks for the same parameters every step, and comparing is cheaper than sorting.
local plans = setmetatable({}, {__mode = "k"})

local function make_plan (model)
  local plan = {tensors = {}, tables = {}, held = {}}
  visit(model, {}, 0, {}, function (x)
    plan.tensors[#plan.tensors + 1] = x
  end, function (t)
    local held, n = {}, 0
    for k, v in next, t do
      if is_part(v) then held[k], n = v, n + 1 end
    end
    local at = #plan.tables + 1
    plan.tables[at], plan.held[at], plan.held[-at] = t, held, n
  end)
  plans[model] = plan
  return plan
end

local function still_holds (plan)
  local tables, held = plan.tables, plan.held
  for i = 1, #tables do
    local h, n = held[i], 0
    for k, v in next, tables[i] do
      local was = h[k]
      if was ~= nil then
        if not rawequal(was, v) then return false end
        n = n + 1
      elseif is_part(v) then
        return false
      end
    end
    if n ~= held[-i] then return false end
  end
  return true
end

---The tensors that training changes, in the order of the walk, without their names.
---@param model table a module, or a list of tensors or modules
---@return userdata[]
function walk.trainable (model)
  check_model(model)
  local plan = plans[model]
  if not plan or not still_holds(plan) then plan = make_plan(model) end
  local parameters, n = {}, 0
  for _, x in ipairs(plan.tensors) do
    if x:requires_grad() then
      n = n + 1
      parameters[n] = x
    end
  end
  return parameters
end

---How many numbers training changes.
---@param model table
---@return integer
function walk.count (model)
  local n = 0
  for _, x in ipairs(walk.trainable(model)) do n = n + x:count() end
  return n
end

---Everything a checkpoint needs: name -> tensor.  The tensors are the model's own, not copies.
---@param model table
---@return table<string, userdata>
function walk.state (model)
  local state = {}
  for _, entry in ipairs(all(model)) do state[entry.name] = entry.tensor end
  return state
end

local function sorted_names (t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function shape_text (x)
  return ("%s (%s)"):format(x.dtype, table.concat(x.shape, ", "))
end

---Copy the tensors of `state` into those of `targets` by name.  All is checked first, so an error
---changes nothing; every name must be in both.
---@param what string for messages
---@param targets table<string, userdata>
---@param state table<string, userdata>
---@param level? integer
function walk.assign (what, targets, state, level)
  level = level or 3
  for _, name in ipairs(sorted_names(targets)) do
    local x, y = targets[name], state[name]
    if not is_tensor(y) then
      error(("%s: the state has no tensor '%s'"):format(what, name), level)
    end
    if shape_text(x) ~= shape_text(y) then
      error(("%s: '%s' is %s here and %s in the state"):format(what, name, shape_text(x),
        shape_text(y)), level)
    end
  end
  for _, name in ipairs(sorted_names(state)) do
    if not targets[name] then
      error(("%s: the state has '%s', which is unknown here"):format(what, name), level)
    end
  end
  for _, name in ipairs(sorted_names(targets)) do targets[name]:assign(state[name]) end
end

---Put a state back into a model, bit for bit.
---@param model table
---@param state table<string, userdata>
function walk.load (model, state)
  walk.assign("nn.load", walk.state(model), state, 3)
end

return walk
