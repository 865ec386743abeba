-- Explanations as text for a terminal: one function, the list of a room, the overview.

local catalogue = require "perigee.help.catalogue"
local core = require "perigee.core"

local page = {}

local WIDTH <const> = 78

-- Words of `s` in lines of at most WIDTH, all but the first indented.
local function wrap (lines, first, indent, s)
  local line = first
  for word in s:gmatch "%S+" do
    local blank = line:find "%S" and not line:find "%s$" and " " or ""
    if #line + #blank + #word > WIDTH and line:find "%S" and line ~= first then
      lines[#lines + 1] = line
      line, blank = indent, ""
    end
    line = line .. blank .. word
  end
  lines[#lines + 1] = (line:gsub("%s+$", ""))
end

-- conv(x, w [, b] [, window])
local function usage (name, params)
  local parts = {}
  for i, p in ipairs(params) do
    local comma = i > 1 and ", " or ""
    parts[i] = p.optional and (i > 1 and " [" or "[") .. comma .. p.name .. "]" or comma .. p.name
  end
  return name .. "(" .. table.concat(parts) .. ")"
end

-- A type, and what is said of it.
local function typed (t)
  if t.text == "" then return t.type end
  return t.type .. (t.text:find "^%(" and " " or ": ") .. t.text
end

---The explanation of one function.
---@param entry perigee.HelpEntry
---@return string
function page.entry (entry)
  local block = entry.block
  if not block then return entry.name .. " is a function that nothing is said of" end
  local lines, width = {}, 0
  wrap(lines, usage(entry.name, block.params), "    ", "")
  for _, text in ipairs(block.text) do lines[#lines + 1] = "  " .. text end
  for _, p in ipairs(block.params) do width = math.max(width, #p.name) end
  if #block.params + #block.returns > 0 then lines[#lines + 1] = "" end
  for _, p in ipairs(block.params) do
    local head = "  " .. p.name .. (" "):rep(width - #p.name + 2)
    wrap(lines, head, (" "):rep(#head), typed(p))
  end
  for _, r in ipairs(block.returns) do
    wrap(lines, "  returns ", (" "):rep(10), typed(r))
  end
  return table.concat(lines, "\n")
end

-- The first sentence, cut to a line.
local function summary (entry, room)
  local text = table.concat(entry.block and entry.block.text or {}, " ")
  text = text:match "^(.-%.)%s+%u" or text
  return #text > room and text:sub(1, room - 3) .. "..." or text
end

---The functions of a room or a class, a line each.
---@param name string
---@param list perigee.HelpEntry[]
---@return string
function page.list (name, list)
  local lines, width = {name}, 0
  for _, entry in ipairs(list) do width = math.max(width, #entry.name) end
  for i, entry in ipairs(list) do
    lines[i + 1] = ("  %-" .. width .. "s  %s"):format(entry.name,
      summary(entry, WIDTH - width - 4))
  end
  return table.concat(lines, "\n")
end

---Words in as many columns as fit.
---@param words string[]
---@return string
function page.columns (words)
  local width, lines, line = 0, {}, ""
  for _, word in ipairs(words) do width = math.max(width, #word) end
  for _, word in ipairs(words) do
    if line ~= "" and #line + 2 + width > WIDTH then
      lines[#lines + 1] = line
      line = ""
    end
    line = line .. ("  %-" .. width .. "s"):format(word)
  end
  lines[#lines + 1] = line
  return (table.concat(lines, "\n"):gsub(" +%f[\n\0]", ""))
end

---What there is to ask for.
---@return string
function page.overview ()
  local functions, rooms, seen = {}, {}, {}
  for _, name in ipairs(catalogue.names()) do
    local room, mark = name:match "^([%w_]+)([.:])"
    if not room then
      if not core.operation(name) then functions[#functions + 1] = name end
    elseif not seen[room] then
      seen[room] = true
      if mark == "." or catalogue.methods()[room] then rooms[#rooms + 1] = room end
    end
  end
  return table.concat({
    "? NAME explains a function, a method or a room: ? sum, ? nn.linear, ? rng:normal, ? optim",
    "operations, as peri.NAME(x, ...) and x:NAME(...):", page.columns(core.operation()),
    "functions, as peri.NAME(...):", page.columns(functions),
    "rooms and classes:", page.columns(rooms),
  }, "\n")
end

return page
