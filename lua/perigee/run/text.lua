-- Numbers, names and structures as text: for people (short, aligned) and for files (exact).
-- Knows nothing of runs.

local text = {}

---A number for people: five significant digits, integers whole.
---@param v number
---@return string
function text.short (v)
  if math.type(v) == "integer" then return tostring(v) end
  if v ~= v then return "nan" end
  if v == math.floor(v) and math.abs(v) < 1e5 then return string.format("%.0f", v) end
  return string.format("%.5g", v)
end

---A number that reads back as the same bits and the same subtype: 1 stays an integer, 1.0 a float.
---@param v number
---@return string
function text.exact (v)
  if math.type(v) == "integer" then return string.format("%d", v) end
  if v ~= v then return "nan" end
  if v == math.huge then return "inf" elseif v == -math.huge then return "-inf" end
  local s = string.format("%.17g", v)
  for digits = 1, 16 do      -- the shortest that is still exact: 0.1, not 0.10000000000000001
    local shorter = string.format("%." .. digits .. "g", v)
    if tonumber(shorter) == v then s = shorter break end
  end
  return s:find("[.e]") and s or s .. ".0"
end

---Text from a file that anybody may have written, without the characters that command a terminal.
---@param v any
---@return string
function text.plain (v)
  return (tostring(v):gsub("[\0-\8\11-\31\127]", "?"))
end

---A duration in seconds as 0:14, 12:05 or 1:02:03.
---@param seconds number
---@return string
function text.duration (seconds)
  if seconds ~= seconds or seconds > 3.2e9 then return "-:--" end
  local s = math.max(0, math.floor(seconds + 0.5))
  if s < 3600 then return string.format("%d:%02d", s // 60, s % 60) end
  return string.format("%d:%02d:%02d", s // 3600, s // 60 % 60, s % 60)
end

---A time as 2024-01-31 09:05, in the local zone.
---@param seconds any since 1970; anything else than a sane number gives "unknown"
---@return string
function text.date (seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < 1e11) then return "unknown" end
  return os.date("%Y-%m-%d %H:%M", math.floor(seconds)) --[[@as string]]
end

---A size in bytes as 1.5 MiB.
---@param n number
---@return string
function text.bytes (n)
  local units = { "B", "KiB", "MiB", "GiB", "TiB" }
  local i = 1
  while n >= 1024 and i < #units do n, i = n / 1024, i + 1 end
  return string.format(i == 1 and "%d %s" or "%.1f %s", n, units[i])
end

---The keys of a table, sorted; numbers come before strings.
---@param t table
---@return any[]
function text.keys (t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys, function (a, b)
    if type(a) == type(b) then return a < b end
    return type(a) == "number"
  end)
  return keys
end

-- Levenshtein distance: the fewest single-character edits from a to b.
local function distance (a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local corner = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      corner, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, corner + cost)
    end
  end
  return row[#b]
end

---The name in `names` nearest to a mistyped one, or nil where none is near.
---@param name string
---@param names string[]
---@return string?
function text.nearest (name, names)
  local best, least = nil, math.max(2, #name // 2) + 1
  for _, candidate in ipairs(names) do
    local d = distance(name:lower(), candidate:lower())
    if d < least then best, least = candidate, d end
  end
  return best
end

---"unknown WHAT `name`; did you mean `x`?  known: a, b, c", for every name a user may mistype.
---@param what string
---@param name string
---@param names string[] sorted
---@return string
function text.unknown (what, name, names)
  local near = text.nearest(name, names)
  return string.format("unknown %s '%s'%s known: %s", what, name,
    near and string.format("; did you mean '%s'?", near) or ";",
    #names > 0 and table.concat(names, ", ") or "none")
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

---JSON with sorted keys.  A table with [1] is an array; NaN and the infinities, which JSON lacks,
---become strings.
---@param value any
---@param indent string? blanks before the closing bracket; nil writes one line
---@return string
function text.json (value, indent)
  local kind = type(value)
  if kind == "string" then
    return '"' .. value:gsub('[%c"\\]', function (c)
      return escapes[c] or string.format("\\u%04x", c:byte())
    end) .. '"'
  elseif kind == "number" then
    local s = text.exact(value)
    return s:find("[ni]") and '"' .. s .. '"' or s
  elseif kind ~= "table" then
    return tostring(value)
  end
  local array = value[1] ~= nil
  local inner = indent and indent .. "  "
  local items = {}
  if array then
    for i = 1, #value do items[i] = text.json(value[i]) end
    return "[" .. table.concat(items, ", ") .. "]"
  end
  for _, k in ipairs(text.keys(value)) do
    items[#items + 1] = text.json(tostring(k)) .. ": " .. text.json(value[k], inner)
  end
  if #items == 0 then return "{}" end
  if not indent then return "{" .. table.concat(items, ", ") .. "}" end
  return "{\n" .. inner .. table.concat(items, ",\n" .. inner) .. "\n" .. indent .. "}"
end

---Rows of strings as aligned columns; numbers are aligned right.
---@param rows string[][] the first is the heading
---@return string[] lines
function text.columns (rows)
  local width, numeric = {}, {}
  for i, row in ipairs(rows) do
    for j, cell in ipairs(row) do
      width[j] = math.max(width[j] or 0, utf8.len(cell) or #cell)
      if i > 1 and cell ~= "" then
        numeric[j] = numeric[j] ~= false and tonumber(cell) ~= nil
      end
    end
  end
  local lines = {}
  for i, row in ipairs(rows) do
    local cells = {}
    for j, cell in ipairs(row) do
      local blank = string.rep(" ", width[j] - (utf8.len(cell) or #cell))
      cells[j] = numeric[j] and blank .. cell or cell .. blank
    end
    lines[i] = table.concat(cells, "  "):gsub("%s+$", "")
  end
  return lines
end

return text
