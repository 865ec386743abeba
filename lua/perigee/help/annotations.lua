-- The operations as annotations for editors, made from the table: the text of
-- lua/perigee/meta/operations.lua.

local core = require "perigee.core"
local operations = require "perigee.help.operations"

local head = [[
---@meta _
-- The operations, for editors: written by `perigee help --annotations` from the table of
-- operations, and not to be changed by hand.
-- luacheck: no max line length

---@class perigee.Operations
]]

-- A shape may also be given as numbers one after the other.
local function is_shape (signature)
  return signature:find ":s$" ~= nil
end

---@return string
return function ()
  local lines = {head}
  for _, name in ipairs(core.operation()) do
    local block, parts = operations(name), {}
    for i, p in ipairs(block.params) do
      parts[i] = ("%s%s: %s"):format(p.name, p.optional and "?" or "", p.type)
    end
    if is_shape(core.operation(name)) then parts[#parts + 1] = "...: integer" end
    lines[#lines + 1] = ("---%s\n---@field %s fun(%s): Tensor\n"):format(block.text[1], name,
      table.concat(parts, ", "))
  end
  return table.concat(lines)
end
