-- Curves and images in a terminal: sparklines, and pictures by the terminal's own protocol or by
-- coloured half blocks.

local core = require "perigee.core"

local terminal = {}

local bars = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }

---A curve in one line: means of equal stretches, drawn between the least and the largest of them; a
---stretch without a finite value is blank.
---@param values number[]
---@param width integer
---@return string
function terminal.sparkline (values, width)
  local n = #values
  width = math.min(width, n)
  local means, low, high = {}, math.huge, -math.huge
  for i = 1, width do
    local first, last = (i - 1) * n // width + 1, i * n // width
    local sum, count = 0.0, 0
    for j = first, last do
      local v = values[j]
      if v - v == 0 then sum, count = sum + v, count + 1 end
    end
    if count > 0 then
      means[i] = sum / count
      low, high = math.min(low, means[i]), math.max(high, means[i])
    end
  end
  local out = {}
  for i = 1, width do
    local v = means[i]
    local level = v and (high > low and math.floor((v - low) / (high - low) * 7 + 0.5) or 3)
    out[i] = level and bars[level + 1] or " "
  end
  return table.concat(out)
end

---May pictures and colours go to standard output?
---@return boolean
function terminal.is_rich ()
  return core.sys.isatty(1) and (os.getenv("NO_COLOR") or "") == "" and os.getenv("TERM") ~= "dumb"
end

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

---@param s string
---@return string
function terminal.base64 (s)
  local out = {}
  for i = 1, #s, 3 do
    local a, b, c = s:byte(i, i + 2)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    for j = 0, 3 do
      local six = bits >> (18 - 6 * j) & 63
      out[#out + 1] = (j == 2 and not b or j == 3 and not c) and "="
        or alphabet:sub(six + 1, six + 1)
    end
  end
  return table.concat(out)
end

-- Which protocol the terminal says it speaks.
local function protocol ()
  local term, program = os.getenv("TERM") or "", os.getenv("TERM_PROGRAM") or ""
  if term:find("kitty", 1, true) or os.getenv("KITTY_WINDOW_ID") or program == "ghostty" then
    return "kitty"
  elseif program == "iTerm.app" or program == "WezTerm" then
    return "iterm"
  end
end

local function as_png (image)
  local path = os.tmpname()
  local content
  if core.io.png_write(path, image) then
    local file = io.open(path, "rb")
    if file then
      content = file:read("a")
      file:close()
    end
  end
  os.remove(path)
  return content
end

local function show_kitty (out, png)
  local data = terminal.base64(png)
  for i = 1, #data, 4096 do
    local more = i + 4096 <= #data and 1 or 0
    local head = i == 1 and "a=T,f=100,m=" .. more or "m=" .. more
    out:write("\27_G", head, ";", data:sub(i, i + 4095), "\27\\")
  end
  out:write("\n")
end

---Two pixels a character, as lines of text with 24-bit colours.
---@param image any byte (height, width, 3)
---@param columns integer
---@return string[]
function terminal.half_blocks (image, columns)
  local height, width = image.shape[1], image.shape[2]
  local pixels = image:tolist()
  local across = math.min(columns, width)
  local step = width / across
  local down = math.max(1, math.floor(height / step))
  -- The mean colour of the pixels under one cell.
  local function cell (row, column)
    local top, left = math.floor((row - 1) * step), math.floor((column - 1) * step)
    local bottom = math.max(top + 1, math.min(height, math.floor(row * step)))
    local right = math.max(left + 1, math.min(width, math.floor(column * step)))
    local r, g, b, n = 0, 0, 0, 0
    for y = top + 1, math.min(bottom, height) do
      for x = left + 1, right do
        local p = pixels[y][x]
        r, g, b, n = r + p[1], g + p[2], b + p[3], n + 1
      end
    end
    if n == 0 then return "0;0;0" end
    return string.format("%d;%d;%d", r // n, g // n, b // n)
  end
  local lines = {}
  for row = 1, down, 2 do
    local line = {}
    for column = 1, across do
      local lower = row < down and cell(row + 1, column) or "0;0;0"
      line[column] = "\27[38;2;" .. cell(row, column) .. "m\27[48;2;" .. lower .. "m▀"
    end
    lines[#lines + 1] = table.concat(line) .. "\27[0m"
  end
  return lines
end

---Show an image on standard output as well as the terminal can.
---@param image any byte (height, width, 3)
function terminal.show (image)
  local speaks = protocol()
  local png = speaks and as_png(image)
  if png and speaks == "kitty" then
    show_kitty(io.stdout, png)
  elseif png then
    io.stdout:write(string.format("\27]1337;File=inline=1;size=%d:%s\a\n", #png,
      terminal.base64(png)))
  else
    for _, line in ipairs(terminal.half_blocks(image, core.sys.columns() - 1)) do print(line) end
  end
end

return terminal
