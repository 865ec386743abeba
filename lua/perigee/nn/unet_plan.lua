-- What the options of nn.unet mean: checked, with defaults, as channels and attention of each
-- level.

local options = require "perigee.options"

local known = {
  inputs = "integer", outputs = "integer?", width = "integer", multipliers = "table?",
  blocks = "integer?", attention = "table?", resolutions = "table?", size = "integer?",
  groups = "integer?", heads = "integer?", embedding = "integer?", axes = "integer?",
  scale_shift = "boolean?", dropout = "number?", rng = "rng",
}

local function refuse (message, ...)
  error("nn.unet: " .. message:format(...), 5)
end

-- Whether each level attends, and the middle as entry levels + 1.
local function attending (o, levels)
  local list, any = {}, false
  if o.attention and o.resolutions then
    refuse("attention and resolutions say the same; give one")
  end
  if o.resolutions and not o.size then
    refuse("resolutions are those of images of one size; say size, or give attention")
  end
  for i = 1, levels do list[i] = false end
  for i, v in ipairs(o.attention or {}) do
    if type(v) ~= "boolean" or i > levels + 1 then
      refuse("attention is true or false for each of %d levels, then for the middle", levels)
    end
    list[i] = v
  end
  if o.attention and #o.attention < levels then
    refuse("attention has %d entries for %d levels", #o.attention, levels)
  end
  for _, size in ipairs(o.resolutions or {}) do
    local found
    for i = 1, levels do
      if o.size == size << (i - 1) then list[i], found = true, true end
    end
    if not found then
      refuse("no level of %d has resolution %s when size = %d", levels, tostring(size), o.size)
    end
  end
  for i = 1, levels do any = any or list[i] end
  if list[levels + 1] == nil then list[levels + 1] = any end
  return list
end

-- The channels of each level, after a check of the numbers.
local function widths (o, shared)
  local c = {}
  for name, v in pairs {inputs = o.inputs, outputs = o.outputs or 1, width = o.width,
    blocks = o.blocks or 1, groups = shared.groups, heads = shared.heads,
    embedding = shared.embedding} do
    if v < 1 then refuse("%s = %d; it is at least 1", name, v) end
  end
  if shared.axes < 1 or shared.axes > 3 then refuse("axes = %d; want 1, 2 or 3", shared.axes) end
  if o.width % 2 ~= 0 then refuse("width = %d is odd; sinusoids come in pairs", o.width) end
  if not (shared.dropout >= 0 and shared.dropout < 1) then
    refuse("dropout = %g; it is in [0, 1)", shared.dropout)
  end
  for i, m in ipairs(o.multipliers or {1, 2, 2}) do
    if math.type(m) ~= "integer" or m < 1 then
      refuse("multipliers[%d] = %s; want integers of at least 1", i, tostring(m))
    end
    c[i] = m * o.width
  end
  if #c == 0 then refuse("multipliers is empty; give one for each level") end
  if o.width % shared.groups ~= 0 then
    refuse("groups = %d does not divide width = %d", shared.groups, o.width)
  end
  return c
end

---The options of nn.unet, checked; errors blame its caller.
---@param given table
---@return table o as given
---@return UnetShared shared what every part is told
---@return integer[] c channels of each level
---@return boolean[] attend of each level, then of the middle
return function (given)
  local o = options.check("nn.unet", given, known, 4)
  local shared = {
    axes = o.axes or 2, groups = o.groups or 8, heads = o.heads or 4,
    embedding = o.embedding or 4 * o.width, scale_shift = o.scale_shift or false,
    dropout = o.dropout or 0,
  }
  local c = widths(o, shared)
  local attend = attending(o, #c)
  for l = 1, #c do
    local here = attend[l] or (l == #c and attend[#c + 1])
    if here and c[l] % shared.heads ~= 0 then
      error(("nn.unet: heads = %d does not divide %d channels"):format(shared.heads, c[l]), 3)
    end
  end
  return o, shared, c, attend
end
