-- What an experiment claims, and whether it held.  A verdict is a fact of the run; no exit code.

local text = require "perigee.run.text"

local claim = {}

---@class perigee.Claim
---@field text string
---@field verdict "holds"|"fails"|"not judged"
---@field value number?
---@field sem number? standard error of the value
---@field n integer? how many examples the value is a mean of
---@field published number|string?
---@field source string? where the published value is from
---@field why string? why it was not judged

local known = { value = true, published = true, source = true, why = true, judged = true }

---Check what run:claim was given: { "text", verdict, value =, published =, source =, why = }.
---@param given table
---@return perigee.Claim?
---@return string? message
function claim.read (given)
  if type(given) ~= "table" or type(given[1]) ~= "string" then
    return nil, 'run:claim wants { "what is claimed", true or false, value = ... }'
  end
  for _, k in ipairs(text.keys(given)) do
    if type(k) == "string" and not known[k] then
      return nil, "run:claim: " .. text.unknown("option", k, text.keys(known))
    end
  end
  local holds = given[2]
  if given.judged == false then holds = nil end
  if holds ~= nil and type(holds) ~= "boolean" then
    return nil, string.format("run:claim: the verdict is true, false or nil (not judged), not a %s",
      type(holds))
  end
  local c = { text = given[1], published = given.published, source = given.source }
  c.verdict = holds == nil and "not judged" or holds and "holds" or "fails"
  if holds == nil then c.why = tostring(given.why or "no verdict was given") end
  local value = given.value
  if type(value) == "table" then
    c.value, c.sem, c.n = value.mean, value.sem, math.tointeger(value.n)
  elseif value ~= nil then
    c.value = value
  end
  for _, k in ipairs { "value", "sem" } do
    if c[k] ~= nil and type(c[k]) ~= "number" then
      return nil, "run:claim: value is a number or what run:evaluate returned, not a " .. type(c[k])
    end
  end
  for _, k in ipairs { "published", "source" } do
    if c[k] ~= nil and type(c[k]) ~= "number" and type(c[k]) ~= "string" then
      return nil, string.format("run:claim: %s is text or a number, not a %s", k, type(c[k]))
    end
  end
  return c
end

local words = { holds = "claim holds:", fails = "claim FAILS:" }
local colours = { holds = "32", fails = "31", ["not judged"] = "33" }

---The claim in one line.
---@param c perigee.Claim
---@param colour boolean?
---@return string
function claim.line (c, colour)
  local head = words[c.verdict] or "claim not judged:"
  if colour then head = string.format("\27[%sm%s\27[0m", colours[c.verdict] or "33", head) end
  local parts = { head, " ", tostring(c.text) }
  local function add (...) parts[#parts + 1] = string.format(...) end
  if type(c.value) == "number" then
    add(": %s", text.short(c.value))
    if type(c.sem) == "number" then add(" ± %.2g", c.sem) end
    if math.type(c.n) == "integer" then add(" (n = %d)", c.n) end
  end
  if type(c.published) == "number" then
    add(" (published %s%s)", text.short(c.published), c.source and ", " .. tostring(c.source) or "")
  elseif c.published then
    add(" (published %s)", tostring(c.published))
  end
  if c.why then add("; %s", tostring(c.why)) end
  return table.concat(parts)
end

return claim
