-- The comments above functions, read from Lua sources when somebody asks: text, parameters and
-- results, as they are annotated for editors (LuaCATS).

local source = {}

---@class perigee.Parameter
---@field name string
---@field optional boolean
---@field type string
---@field text string

---@class perigee.Block
---@field text string[] lines of explanation
---@field params perigee.Parameter[]
---@field returns {type: string, text: string}[]
---@field annotated boolean written for editors, with three dashes
---@field base? string the class that a class is made after
---@field line integer where what it explains stands
---@field below string that line

-- "fun(a: b): c, and so on" -> "fun(a: b): c", ", and so on": a blank ends a type unless it is in
-- brackets, or beside a colon or a bar.
local function cut_type (s)
  local depth, i = 0, 1
  while i <= #s do
    local c = s:sub(i, i)
    if c:find "[%(%[{<]" then depth = depth + 1
    elseif c:find "[%)%]}>]" then depth = depth - 1
    elseif c == '"' then i = s:find('"', i + 1, true) or #s
    elseif c == " " and depth == 0 and not s:sub(1, i - 1):find "[:|]$"
      and not s:find("^ +|", i) then
      break
    end
    i = i + 1
  end
  return s:sub(1, i - 1), (s:sub(i):gsub("^%s+", ""))
end

-- The parameters of "fun(x: integer, y?: {a: b, c: d}): ...", and what stands behind the colon.
local function read_function (s)
  local inside, rest = s:match "^fun(%b())(.*)$"
  local params = {}
  if not inside then return params, "" end
  inside = inside:sub(2, -2)
  while inside:find "%S" do
    local name, mark, behind = inside:match "^%s*([%w_%.]+)(%??)%s*(.*)$"
    if not name then break end
    local kind = "any"
    if behind:sub(1, 1) == ":" then
      local depth, i = 0, 2
      while i <= #behind and not (depth == 0 and behind:sub(i, i) == ",") do
        local c = behind:sub(i, i)
        depth = depth + (c:find "[%(%[{<]" and 1 or c:find "[%)%]}>]" and -1 or 0)
        i = i + 1
      end
      kind, behind = behind:sub(2, i - 1):match "^%s*(.-)%s*$", behind:sub(i)
    end
    params[#params + 1] = {name = name, optional = mark ~= "", type = kind, text = ""}
    inside = behind:gsub("^%s*,", "")
  end
  return params, rest:match "^:%s*(.*)$" or ""
end

local tags = {}

function tags.param (block, rest)
  local name, mark, behind = rest:match "^([%w_%.]+)(%??)%s+(.*)$"
  if not name then return end
  local kind, text = cut_type(behind)
  local optional = mark ~= "" or kind:find "%?$" ~= nil or kind:find "|nil%f[%W]" ~= nil
  table.insert(block.params, {name = name, optional = optional, type = kind, text = text})
end

tags["return"] = function (block, rest)
  local kind, text = cut_type(rest)
  table.insert(block.returns, {type = kind, text = text})
end

function tags.class (block, rest)
  block.base = rest:match "^[%w_%.]+%s*:%s*([%w_%.]+)"
end

-- @type of a value that a function made
function tags.type (block, rest)
  local params, returns = read_function(rest)
  for _, p in ipairs(params) do table.insert(block.params, p) end
  if returns ~= "" then tags["return"](block, returns) end
end

-- The block of comment lines `lines`, the last of which stands above line `at` with text `below`.
local function parse (lines, at, below)
  local block = {text = {}, params = {}, returns = {}, line = at, below = below}
  local entry, name
  local function finish ()
    if name and tags[name] then tags[name](block, entry) end
    name = nil
  end
  for _, line in ipairs(lines) do
    local text = line:match "^%-%-%-(.*)$"
    block.annotated = block.annotated or text ~= nil
    text = text or line:gsub("^%-%-%s?", "")
    local tag, rest = text:match "^%s?@(%a+)%s*(.*)$"
    if tag then
      finish()
      name, entry = tag, rest
    elseif name and text:find "^  " then
      entry = entry .. " " .. text:gsub("^%s+", "")
    else
      finish()
      table.insert(block.text, (text:gsub("^ ", "")))
    end
  end
  finish()
  return block
end

local read = {}         -- path -> blocks

---All blocks of comments that stand right above a line of code, by the number of that line.
---@param path string of a Lua source; one that cannot be read has none
---@return table<integer, perigee.Block>
function source.blocks (path)
  if read[path] then return read[path] end
  local blocks, lines, at = {}, {}, 0
  local f = io.open(path, "r")
  if not f then return blocks end
  for line in f:lines() do
    at = at + 1
    if line:find "^%-%-" then
      lines[#lines + 1] = line
    else
      if #lines > 0 and line:find "%S" then blocks[at] = parse(lines, at, line) end
      lines = {}
    end
  end
  f:close()
  read[path] = blocks
  return blocks
end

---The block above a Lua function, or above the line of its source that gives it a name: a function
---that another function made has its comment there.
---@param f function
---@param name? string the last part of its public name
---@return perigee.Block? block
function source.of (f, name)
  local info = debug.getinfo(f, "S")
  if info.what == "C" or info.source:sub(1, 1) ~= "@" then return nil end
  local blocks = source.blocks(info.source:sub(2))
  local block = blocks[info.linedefined]
  if block or not name then return block end
  local first
  for line, candidate in pairs(blocks) do
    if candidate.below:find("%f[%w_]" .. name .. "%f[^%w_]") and (not first or line < first)
      and candidate.annotated then
      first = line
    end
  end
  return blocks[first]
end

return source
