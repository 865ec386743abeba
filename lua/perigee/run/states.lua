-- What a checkpoint holds: kept things as flat tables of tensors and numbers, put back, and hashed.

local core = require "perigee.core"
local text = require "perigee.run.text"

local states = {}

-- Where a kept thing goes below /checkpoints/last: models are called parameters, as readers expect.
local groups = { model = "parameters" }
local taken = { random = true, loader = true, parameters = true }

---The group of a kept thing, or nil and what is wrong with its name.
---@param name any
---@return string?
---@return string? message
function states.group (name)
  if type(name) ~= "string" or not name:match("^[%a_][%w_]*$") or taken[name] then
    return nil, string.format("run:keep: '%s' cannot name a kept thing", tostring(name))
  end
  return groups[name] or name
end

local function answers (thing, method)
  local ok, f = pcall(function () return thing[method] end)
  return ok and type(f) == "function"
end

-- Things that save themselves say so with both methods; anything else is walked for parameters.
local function saves_itself (thing)
  return answers(thing, "state") and answers(thing, "load")
end

---@param thing any
---@return table<string, any> state name -> tensor or number
function states.get (thing)
  if saves_itself(thing) then return thing:state() end
  return require("perigee.nn").state(thing)
end

---@param thing any
---@param state table<string, any>
function states.put (thing, state)
  if saves_itself(thing) then return thing:load(state) end
  return require("perigee.nn").load(thing, state)
end

---A copy that later updates do not reach.
---@param state table<string, any>
---@return table<string, any>
function states.copy (state)
  local copy = {}
  for name, v in pairs(state) do
    copy[name] = type(v) == "userdata" and v:detach():clone():keep() or v
  end
  return copy
end

---All kept things by group.
---@param kept table<string, any>
---@return table<string, table<string, any>>
function states.gather (kept)
  local all = {}
  for name, thing in pairs(kept) do all[groups[name] or name] = states.get(thing) end
  return all
end

-- Numbers, booleans and texts are hashed by their exact bytes.
local function digest_bytes (chain, bytes)
  local list = { bytes:byte(1, -1) }
  return core.io.digest(chain, core.tensor(list, "byte"))
end

---Chain the values logged at a step and all kept state into the digest.  Gradients enter through
---what the optimizer makes of them: its moments and the parameters after the step.
---@param chain integer
---@param values table<string, number>
---@param kept table<string, any>
---@return integer
function states.digest (chain, values, kept)
  local _ <close> = core.scope()
  local parts = {}
  for _, name in ipairs(text.keys(values)) do
    parts[#parts + 1] = name .. "\0" .. string.pack("<d", values[name])
  end
  if #parts > 0 then chain = digest_bytes(chain, table.concat(parts)) end
  local all = states.gather(kept)
  for _, group in ipairs(text.keys(all)) do
    for _, name in ipairs(text.keys(all[group])) do
      local v = all[group][name]
      if type(v) == "userdata" then
        chain = core.io.digest(chain, v)
      else
        chain = digest_bytes(chain, name .. "\0" .. text.json(v))
      end
    end
  end
  return chain
end

return states
