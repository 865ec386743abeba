-- Bijectors one after another, and a bijector turned round.

local options = require "perigee.options"

local chain = {}

local function check_part (what, f)
  if type(f) ~= "table" or not f.forward or not f.inverse then
    error(("%s is no bijector: it needs forward and inverse"):format(what), 3)
  end
end

-- logdet summed until it has `rank` axes.
local function reduce (logdet, rank)
  while #logdet.shape > rank do logdet = logdet:sum(-1) end
  return logdet
end

---@class Chain
---@field event integer
local Chain = {}
Chain.__index = Chain

---All parts from the first to the last; logarithms of volume changes add up.
---@param x userdata (batch.., features)
---@param context? userdata given to every part
---@return userdata y
---@return userdata logdet (batch..)
function Chain:forward (x, context)
  local total
  local rank = #x.shape - self.event
  for _, f in ipairs(self) do
    local logdet
    x, logdet = f:forward(x, context)
    logdet = reduce(logdet, rank)
    total = total and total + logdet or logdet
  end
  return x, total
end

---All parts backwards, from the last to the first.
---@param y userdata (batch.., features)
---@param context? userdata
---@return userdata x
---@return userdata logdet (batch..)
function Chain:inverse (y, context)
  local total
  local rank = #y.shape - self.event
  for i = #self, 1, -1 do
    local logdet
    y, logdet = self[i]:inverse(y, context)
    logdet = reduce(logdet, rank)
    total = total and total + logdet or logdet
  end
  return y, total
end

---flow.chain { flow.coupling {..}, flow.permutation {..}, .. }; forward goes from the first to the
---last.  event is the number of last axes over which logdet is summed: 1 when absent, 3 for images.
---@param given table the parts, and event
---@return Chain
function chain.chain (given)
  if type(given) ~= "table" or #given == 0 then
    error("flow.chain: give a list of one bijector or more", 2)
  end
  local self = {event = given.event or 1}
  for k, v in pairs(given) do
    if math.type(k) == "integer" then
      check_part("flow.chain: part " .. k, v)
      self[k] = v
    elseif k ~= "event" then
      error(("flow.chain: unknown option '%s'; known: event"):format(tostring(k)), 2)
    end
  end
  if math.type(self.event) ~= "integer" or self.event < 1 then
    error(("flow.chain: event = %s; it is an integer of 1 or more"):format(tostring(self.event)), 2)
  end
  return setmetatable(self, Chain)
end

---@class Inverse
local Inverse = {}
Inverse.__index = Inverse

---What the map's own inverse gives.
---@param x userdata
---@param context? userdata
---@return userdata y
---@return userdata logdet
function Inverse:forward (x, context)
  return self.bijector:inverse(x, context)
end

---What the map's own forward gives.
---@param y userdata
---@param context? userdata
---@return userdata x
---@return userdata logdet
function Inverse:inverse (y, context)
  return self.bijector:forward(y, context)
end

---Forward and inverse exchanged.
---@param bijector table
---@return Inverse
function chain.inverse (bijector)
  check_part("flow.inverse: a " .. options.kind(bijector), bijector)
  return setmetatable({bijector = bijector}, Inverse)
end

return chain
