-- The table of operations as explanations: a row's signature (the letters of kinds.h) read as
-- parameters with types, defaults and a word on each.

local core = require "perigee.core"

-- Type for editors, and what a reader must know besides.
local letters = {
  t = {"Tensor|number", ""},
  i = {"Tensor", "of integers that count from 1"},
  u = {"Tensor", "of any dtype"},
  a = {"integer", "axis, from 1, or from -1 at the end"},
  A = {"integer|integer[]", "axis or list of axes, from 1, or from -1 at the end"},
  s = {"integer|integer[]", "sizes, as a list or one after the other"},
  n = {"integer", ""},
  b = {"integer", "first position, from 1, or from -1 at the end"},
  e = {"integer", "last position, included"},
  f = {"number", ""},
  k = {"boolean", ""},
  m = {"", ""},
  w = {"Window", "{size, stride, dilation, padding, output_padding, groups}"},
  W = {"Window", "{size, stride, dilation, padding}; stride is size unless given"},
  l = {"Tensor[]", ""},
}

local function read_parameter (word)
  local name, letter, mark, value = word:match "^([%w_]+):(%a)([=?]?)(.*)$"
  local kind, text = letters[letter][1], letters[letter][2]
  local default = mark == "=" and value or nil
  if letter == "m" then
    kind = '"' .. value:gsub("|", '"|"') .. '"'
    default = value:match "^[^|]+"
  end
  if default and (kind ~= "Tensor" or default ~= "0") then
    text = text .. (text ~= "" and "; " or "") .. default .. " when absent"
  end
  return {name = name, optional = mark ~= "", type = kind, text = text}
end

---The explanation of an operation, as if it stood above a function.
---@param name string
---@return perigee.Block? block nil when there is no such operation
return function (name)
  local signature, doc = core.operation(name)
  if not signature then return nil end
  local params = {}
  for word in signature:gmatch "%S+" do params[#params + 1] = read_parameter(word) end
  return {
    text = {doc}, params = params, returns = {{type = "Tensor", text = ""}}, annotated = true,
  }
end
