-- How the ten digits are written, two ways each: knots, and pen strokes through them.
-- Geometry only; strokes.lua puts ink on it.

local glyphs = {}

---@class perigee.Glyph
---@field knots number[][] {x, y} in [-1, 1], y pointing down
---@field strokes integer[][] each runs through knots by number; a knot in two strokes joins them

-- n knots on an ellipse around (x, y), by angles in degrees; 0 points right and 90 down.
local function arc (x, y, rx, ry, from, to, n)
  local knots = {}
  for i = 0, n - 1 do
    local a = math.rad(from + (to - from) * i / (n - 1))
    knots[i + 1] = {x + rx * math.cos(a), y + ry * math.sin(a)}
  end
  return knots
end

local function join (...)
  local knots = {}
  for _, list in ipairs {...} do table.move(list, 1, #list, #knots + 1, knots) end
  return knots
end

local function run (from, to)
  local list = {}
  for i = from, to do list[#list + 1] = i end
  return list
end

-- A stroke that ends where it began.
local function loop (from, to)
  local list = run(from, to)
  list[#list + 1] = from
  return list
end

---glyphs[d + 1] are the two ways to write digit d.
---@type perigee.Glyph[][]
local digits = {
  {
    {knots = arc(0, 0, 0.62, 0.95, -90, 234, 10), strokes = {loop(1, 10)}},
    {knots = join({{0.35, -0.95}}, arc(0, 0.05, 0.55, 0.9, -100, -430, 10)),
     strokes = {run(1, 11)}},
  },
  {
    {knots = {{0.05, -0.95}, {0, 0}, {-0.05, 0.95}}, strokes = {run(1, 3)}},
    {knots = {{-0.35, -0.55}, {0.05, -0.95}, {0.05, 0}, {0.05, 0.92}},
     strokes = {{1, 2}, {2, 3, 4}}},
  },
  {
    {knots = {{-0.55, -0.55}, {-0.2, -0.9}, {0.3, -0.85}, {0.5, -0.45}, {0.2, 0.1}, {-0.3, 0.6},
              {-0.62, 0.9}, {0, 0.88}, {0.65, 0.85}}, strokes = {run(1, 7), run(7, 9)}},
    {knots = {{-0.5, -0.6}, {-0.05, -0.95}, {0.42, -0.65}, {0.3, -0.05}, {-0.1, 0.55}, {-0.5, 0.9},
              {-0.65, 0.65}, {-0.35, 0.55}, {0.1, 0.8}, {0.7, 0.85}}, strokes = {run(1, 10)}},
  },
  {
    {knots = {{-0.5, -0.75}, {0, -0.95}, {0.45, -0.65}, {0.3, -0.2}, {-0.15, -0.03}, {0.35, 0.1},
              {0.55, 0.45}, {0.3, 0.85}, {-0.15, 0.95}, {-0.6, 0.75}},
     strokes = {run(1, 5), run(5, 10)}},
    {knots = {{-0.5, -0.9}, {0.45, -0.9}, {-0.1, -0.15}, {0.4, 0}, {0.55, 0.45}, {0.2, 0.88},
              {-0.25, 0.93}, {-0.6, 0.7}}, strokes = {{1, 2}, {2, 3}, run(3, 8)}},
  },
  {
    {knots = {{-0.45, -0.85}, {-0.55, -0.35}, {-0.45, 0.1}, {0.05, 0.12}, {0.55, 0}, {0.45, -0.8},
              {0.42, 0.95}}, strokes = {{1, 2, 3}, {3, 4, 5}, {6, 5, 7}}},
    {knots = {{0.25, -0.95}, {-0.2, -0.4}, {-0.65, 0.22}, {0, 0.2}, {0.7, 0.15}, {0.25, 0},
              {0.22, 0.95}}, strokes = {{1, 2, 3}, {3, 4, 5}, {1, 6, 7}}},
  },
  {
    {knots = {{0.6, -0.9}, {0, -0.9}, {-0.4, -0.85}, {-0.48, -0.1}, {0.1, -0.25}, {0.52, 0.1},
              {0.5, 0.6}, {0.05, 0.93}, {-0.55, 0.75}}, strokes = {{1, 2, 3}, {3, 4}, run(4, 9)}},
    {knots = {{0.65, -0.85}, {0.1, -0.95}, {-0.3, -0.7}, {-0.3, -0.25}, {0.15, -0.05}, {0.4, 0.3},
              {0.2, 0.75}, {-0.2, 0.92}, {-0.6, 0.8}}, strokes = {run(1, 9)}},
  },
  {
    {knots = join({{0.4, -0.95}, {-0.1, -0.55}, {-0.45, 0.05}},
                  arc(0.02, 0.45, 0.48, 0.45, 165, -190, 9)), strokes = {run(1, 12)}},
    {knots = join({{0, -0.95}, {-0.4, -0.35}, {-0.5, 0.3}},
                  arc(0.05, 0.5, 0.5, 0.4, 160, -150, 8)), strokes = {run(1, 11)}},
  },
  {
    {knots = {{-0.6, -0.75}, {0, -0.85}, {0.55, -0.85}, {0.2, -0.1}, {-0.15, 0.95}},
     strokes = {run(1, 3), run(3, 5)}},
    {knots = {{-0.6, -0.6}, {-0.55, -0.9}, {0, -0.88}, {0.55, -0.9}, {0.25, -0.1}, {-0.05, 0.95},
              {-0.3, 0.02}, {0.6, -0.05}}, strokes = {{1, 2}, run(2, 4), run(4, 6), {7, 8}}},
  },
  {
    {knots = {{0.4, -0.7}, {0, -0.95}, {-0.42, -0.65}, {-0.2, -0.2}, {0.3, 0.2}, {0.45, 0.6},
              {0, 0.95}, {-0.45, 0.6}, {-0.2, 0.15}, {0.25, -0.25}}, strokes = {loop(1, 10)}},
    {knots = join(arc(0, -0.48, 0.38, 0.45, 90, 390, 7), arc(0, 0.47, 0.48, 0.47, -90, 210, 8)),
     strokes = {loop(1, 7), loop(8, 15)}},
  },
  {
    {knots = join(arc(-0.02, -0.45, 0.45, 0.48, -20, -340, 9),
                  {{0.42, -0.6}, {0.4, 0.2}, {0.3, 0.95}}), strokes = {run(1, 9), run(9, 12)}},
    {knots = join(arc(0, -0.45, 0.5, 0.46, -25, -350, 9),
                  {{0.4, 0.2}, {0.15, 0.75}, {-0.35, 0.92}}), strokes = {run(1, 12)}},
  },
}

-- Weights of knots i - 1 .. i + 2 at u in [0, 1] between knots i and i + 1: the Catmull-Rom spline.
local function spline (u)
  return {(-u + 2 * u ^ 2 - u ^ 3) / 2, (2 - 5 * u ^ 2 + 3 * u ^ 3) / 2,
          (u + 4 * u ^ 2 - 3 * u ^ 3) / 2, (u ^ 3 - u ^ 2) / 2}
end

-- What each knot weighs at time t of a stroke; its first knot is at t = 0, the next at 1, ...
local function weights_at (stroke, t, nknots)
  local m = #stroke
  local i = math.min(math.floor(t) + 1, m - 1)
  local b = spline(t - (i - 1))
  local w = {}
  for k = 1, nknots do w[k] = 0 end
  local function add (place, weight)
    w[stroke[place]] = w[stroke[place]] + weight
  end
  local around = stroke[1] == stroke[m]
  for j = 1, 4 do
    local place = i + j - 2
    if place >= 1 and place <= m then
      add(place, b[j])
    elseif around then
      add(place < 1 and m - 1 or 2, b[j])
    else                                   -- beyond an end the stroke goes straight on
      add(place < 1 and 1 or m, 2 * b[j])
      add(place < 1 and 2 or m - 1, -b[j])
    end
  end
  return w
end

local function point (weights, knots)
  local x, y = 0, 0
  for k, w in ipairs(weights) do
    if knots[k] then x, y = x + w * knots[k][1], y + w * knots[k][2] end
  end
  return x, y
end

-- Times along a stroke that cut it into fine pieces, and the length passed at each.
local function measure (stroke, knots)
  local times, lengths, passed = {0}, {0}, 0
  local x, y = point(weights_at(stroke, 0, #knots), knots)
  local steps = 32 * (#stroke - 1)
  for s = 1, steps do
    local t = s / 32
    local x1, y1 = point(weights_at(stroke, t, #knots), knots)
    passed = passed + math.sqrt((x1 - x) ^ 2 + (y1 - y) ^ 2)
    x, y = x1, y1
    times[s + 1], lengths[s + 1] = t, passed
  end
  return times, lengths
end

-- The time at which `length` is passed.
local function time_at (times, lengths, length)
  for s = 2, #times do
    if lengths[s] >= length then
      local part = (length - lengths[s - 1]) / math.max(lengths[s] - lengths[s - 1], 1e-9)
      return times[s - 1] + part * (times[s] - times[s - 1])
    end
  end
  return times[#times]
end

---Cut a glyph's strokes into pieces of about equal length.  Middle and extent of a piece are linear
---in the knots: rows 1..pieces of the result give the middles, the next rows end minus beginning.
---@param glyph perigee.Glyph
---@param pieces integer
---@param nknots integer columns; those beyond the glyph's knots are 0
---@return number[][] (2 pieces, nknots)
function glyphs.basis (glyph, pieces, nknots)
  local total, measured = 0, {}
  for i, stroke in ipairs(glyph.strokes) do
    local times, lengths = measure(stroke, glyph.knots)
    measured[i] = {times, lengths}
    total = total + lengths[#lengths]
  end
  local rows, passed = {}, 0
  for i, stroke in ipairs(glyph.strokes) do
    local times, lengths = table.unpack(measured[i])
    local length = lengths[#lengths]
    -- rounding the running sum makes the counts add up
    local n = math.floor((passed + length) / total * pieces + 0.5)
            - math.floor(passed / total * pieces + 0.5)
    passed = passed + length
    for p = 1, n do
      local from = time_at(times, lengths, length * (p - 1) / n)
      local to = time_at(times, lengths, length * p / n)
      local a, b = weights_at(stroke, from, nknots), weights_at(stroke, to, nknots)
      local extent = {}
      for k = 1, nknots do extent[k] = b[k] - a[k] end
      local row = #rows // 2 + 1
      table.insert(rows, row, weights_at(stroke, (from + to) / 2, nknots))
      rows[#rows + 1] = extent
    end
  end
  return rows
end

glyphs.digits = digits
return glyphs
