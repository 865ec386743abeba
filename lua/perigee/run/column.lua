-- A growing list of numbers in little memory: full blocks are packed into strings of 8 bytes a
-- number, half of what a table takes and nothing for the collector to walk.

---@class perigee.Column
---@field form string "d" for floats, "j" for integers
---@field blocks string[]
---@field tail number[] the numbers after the last full block
local Column = {}
Column.__index = Column

local BLOCK <const> = 128

local forms = { d = ("d"):rep(BLOCK), j = ("j"):rep(BLOCK) }

---@param form "d"|"j"
---@param list number[]? its first numbers
---@return perigee.Column
local function new (form, list)
  local column = setmetatable({ form = form, blocks = {}, tail = {} }, Column)
  for _, v in ipairs(list or {}) do column:push(v) end
  return column
end

---Add a number at the end.
---@param v number
function Column:push (v)
  local tail = self.tail
  local n = #tail
  if n == BLOCK then
    self.blocks[#self.blocks + 1] = string.pack(forms[self.form], table.unpack(tail))
    tail = { v }
    self.tail = tail
  else
    tail[n + 1] = v
  end
end

---Replace the last number.
---@param v number
function Column:amend (v)
  self.tail[#self.tail] = v
end

---How many numbers there are.
---@return integer
function Column:count ()
  return #self.blocks * BLOCK + #self.tail
end

---The last number, nil when there is none: a block is packed only when another number comes.
---@return number?
function Column:last ()
  return self.tail[#self.tail]
end

---All numbers in a table.
---@return number[]
function Column:list ()
  local list = {}
  for i, block in ipairs(self.blocks) do
    local values = { string.unpack(forms[self.form], block) }
    table.move(values, 1, BLOCK, (i - 1) * BLOCK + 1, list)
  end
  return table.move(self.tail, 1, #self.tail, #list + 1, list)
end

---The same column without what follows its first n numbers.
---@param n integer
---@return perigee.Column
function Column:cut (n)
  local list = self:list()
  return new(self.form, table.move(list, 1, n, 1, {}))
end

return { new = new }
