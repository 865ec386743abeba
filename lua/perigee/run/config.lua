-- What an experiment can be told: declared by peri.run, filled by presets and overrides, typed by
-- the defaults.  Resolving never prints and never exits; reading an unknown name is an error.

local text = require "perigee.run.text"

local config = {}

---@class perigee.Leaf
---@field key string dotted: "model.latent"
---@field default any
---@field doc string?
---@field kind string integer, float, boolean, string, or "list of integers" and so on

---@class perigee.Schema
---@field name string
---@field about string?
---@field leaves perigee.Leaf[] sorted by key
---@field keys string[]
---@field by_key table<string, perigee.Leaf>
---@field presets table<string, table<string, any>> flat: preset -> key -> value
---@field preset string? taken when none is named
---@field metrics table<string, table>
---@field checkpoint_every number seconds
---@field digest_every integer steps

-- Keys of peri.run{} that are not configuration.
local reserved = {
  name = true, about = true, preset = true, presets = true, metrics = true,
  checkpoint_every = true, digest_every = true,
}

local function fail (...)
  return nil, string.format(...)
end

-- "integer", "float", "boolean", "string", "list of ...", or nil for what cannot be configured.
local function kind_of (value)
  local t = type(value)
  if t == "number" then return math.type(value) end
  if t == "boolean" or t == "string" then return t end
  if t ~= "table" or #value == 0 then return nil end
  local common
  for _, v in ipairs(value) do
    local k = type(v) ~= "table" and kind_of(v) or nil
    if not k then return nil end
    if common and common ~= k then
      local numeric = { integer = true, float = true }
      local numbers = numeric[common] and numeric[k]
      k = numbers and "float" or nil
      if not k then return nil end
    end
    common = k
  end
  return "list of " .. common .. "s"
end

---A value as it is written on a command line.
---@param value any
---@return string
function config.show (value)
  if type(value) == "number" then return text.exact(value) end
  if type(value) ~= "table" then return tostring(value) end
  local items = {}
  for i, v in ipairs(value) do items[i] = config.show(v) end
  return "[" .. table.concat(items, ",") .. "]"
end

-- A value that already has a Lua type, made to fit a leaf: an integer may stand for a float, and an
-- integral float for an integer.
local function fit (leaf, value)
  local kind = kind_of(value)
  if kind == leaf.kind then return value end
  if leaf.kind == "float" and kind == "integer" then return value + 0.0 end
  if leaf.kind == "integer" and kind == "float" then return math.tointeger(value) end
  if leaf.kind == "list of floats" and kind == "list of integers" then
    local list = {}
    for i, v in ipairs(value) do list[i] = v + 0.0 end
    return list
  end
  return nil
end

local wanted = {
  integer = "an integer", float = "a number", boolean = "true or false", string = "text",
}

local function mistyped (leaf, given)
  return string.format("%s wants %s, not '%s' (its default is %s)", leaf.key,
    wanted[leaf.kind] or "a " .. leaf.kind .. " as a,b,c", given, config.show(leaf.default))
end

local function parse_one (kind, s)
  if kind == "string" then return s end
  if kind == "boolean" then
    if s == "true" then return true elseif s == "false" then return false end
    return nil
  end
  local v = tonumber(s)
  if v == nil then
    local sign, word = s:lower():match("^([+-]?)(%a+)$")
    if word == "inf" then v = sign == "-" and -math.huge or math.huge end
  end
  if v == nil then return nil end
  if kind == "integer" then return math.tointeger(v) end
  return v + 0.0
end

-- The text of an override as a value of the leaf's kind.
local function parse (leaf, s)
  local element = leaf.kind:match("^list of (%a+)s$")
  if not element then
    local value = parse_one(leaf.kind, s)
    if value == nil then return nil, mistyped(leaf, s) end
    return value
  end
  local list = {}
  for item in (s:match("^%[(.*)%]$") or s):gmatch("[^,]+") do
    local value = parse_one(element, item:match("^%s*(.-)%s*$"))
    if value == nil then return nil, mistyped(leaf, s) end
    list[#list + 1] = value
  end
  if #list == 0 then return nil, mistyped(leaf, s) end
  return list
end

-- Walk a table of entries in sorted order and visit its leaves under dotted keys.
local function flatten (t, prefix, skip, visit)
  for _, k in ipairs(text.keys(t)) do
    local entry = t[k]
    if type(k) ~= "string" or not k:match("^[%a_][%w_.]*$") then
      return fail("peri.run: '%s%s' cannot be a name: letters, digits and _ only",
        prefix, tostring(k))
    elseif not skip[k] then
      if type(entry) == "table" and entry[1] == nil then
        local done, message = flatten(entry, prefix .. k .. ".", {}, visit)
        if not done then return nil, message end
      else
        local message = visit(prefix .. k, entry)
        if message then return nil, message end
      end
    end
  end
  return true
end

local function declare_leaf (schema, key, entry)
  local default, doc = entry, nil
  if schema.by_key[key] then return "peri.run: " .. key .. " is declared twice" end
  for at in key:gmatch("()%.") do
    if schema.by_key[key:sub(1, at - 1)] then
      return string.format("peri.run: %s is both a value and a group", key:sub(1, at - 1))
    end
  end
  if type(entry) == "table" then
    default, doc = entry[1], entry[2]
    if #entry > 2 or (doc ~= nil and type(doc) ~= "string") then
      return string.format('peri.run: %s: a default with its meaning is {1e-3, "step size"}, ' ..
        'and a list {{200, 200}, "widths"}', key)
    end
  end
  local kind = kind_of(default)
  if not kind then
    return string.format("peri.run: the default of %s is a %s; it can be a number, a boolean, " ..
      "a string or a list of one of these", key, type(default))
  end
  local leaf = { key = key, default = default, doc = doc, kind = kind }
  schema.leaves[#schema.leaves + 1] = leaf
  schema.by_key[key] = leaf
end

local function declare_presets (schema, presets)
  for _, name in ipairs(text.keys(presets)) do
    local flat = {}
    local function visit (key, value)
      local leaf = schema.by_key[key]
      if not leaf then
        return "peri.run: preset " .. name .. ": " .. text.unknown("key", key, schema.keys)
      end
      flat[key] = fit(leaf, value)
      if flat[key] == nil then
        return "peri.run: preset " .. name .. ": " .. mistyped(leaf, config.show(value))
      end
    end
    if type(name) ~= "string" or type(presets[name]) ~= "table" then
      return fail("peri.run: presets = { NAME = { key = value, ... } }")
    end
    local done, message = flatten(presets[name], "", {}, visit)
    if not done then return nil, message end
    schema.presets[name] = flat
  end
  return true
end

---Read what peri.run was given.
---@param spec table
---@return perigee.Schema?
---@return string? message
function config.declare (spec)
  if type(spec) ~= "table" then
    return fail("peri.run wants a table of settings, not a %s", type(spec))
  end
  local schema = {
    name = spec.name, about = spec.about, preset = spec.preset, metrics = spec.metrics or {},
    leaves = {}, keys = {}, by_key = {}, presets = {},
    checkpoint_every = spec.checkpoint_every or 30, digest_every = spec.digest_every or 100,
  }
  if type(schema.name) ~= "string" or not schema.name:match("^[%w_][%w_.-]*$") then
    return fail("peri.run: name = '%s' cannot name a folder: letters, digits, _ . and - only",
      tostring(schema.name))
  end
  if type(schema.checkpoint_every) ~= "number" or schema.checkpoint_every < 0 then
    return fail("peri.run: checkpoint_every is a number of seconds")
  end
  for name, about in pairs(schema.metrics) do
    for _, k in ipairs { "goal", "unit", "kind" } do
      if type(about) ~= "table" or (about[k] ~= nil and type(about[k]) ~= "string") then
        return fail('peri.run: metrics = { ["%s"] = { goal = "min", unit = "nats" } }',
          tostring(name))
      end
    end
  end
  if math.type(schema.digest_every) ~= "integer" or schema.digest_every < 1 then
    return fail("peri.run: digest_every is a positive number of steps")
  end
  local done, message = flatten(spec, "", reserved, function (key, entry)
    return declare_leaf(schema, key, entry)
  end)
  if not done then return nil, message end
  if not schema.by_key.seed then
    declare_leaf(schema, "seed", { 1, "seed of every random stream in this run" })
  end
  if schema.by_key.seed.kind ~= "integer" then return fail("peri.run: seed is an integer") end
  table.sort(schema.leaves, function (a, b) return a.key < b.key end)
  for i, leaf in ipairs(schema.leaves) do schema.keys[i] = leaf.key end
  done, message = declare_presets(schema, spec.presets or {})
  if not done then return nil, message end
  if schema.preset ~= nil and not schema.presets[schema.preset] then
    return nil, "peri.run: " ..
      text.unknown("preset", tostring(schema.preset), text.keys(schema.presets))
  end
  return schema
end

---Defaults, then the preset, then the overrides from left to right.
---@param schema perigee.Schema
---@param settings string[][] {key, value} pairs; "preset" names a preset
---@return table<string, any>? values by dotted key
---@return string message_or_preset the preset taken ("" for none), or what is wrong
function config.resolve (schema, settings)
  local values, preset = {}, schema.preset
  for _, s in ipairs(settings) do
    if s[1] == "preset" then preset = s[2] end
  end
  if preset and not schema.presets[preset] then
    return nil, text.unknown("preset", preset, text.keys(schema.presets))
  end
  for _, leaf in ipairs(schema.leaves) do values[leaf.key] = leaf.default end
  for key, value in pairs(preset and schema.presets[preset] or {}) do values[key] = value end
  for _, s in ipairs(settings) do
    local key, given = s[1], s[2]
    if key ~= "preset" then
      local leaf = schema.by_key[key]
      if not leaf then return nil, text.unknown("setting", key, schema.keys) end
      local value, message = parse(leaf, given)
      if value == nil then return nil, message end
      values[key] = value
    end
  end
  return values, preset or ""
end

-- A read-only table whose unknown names are errors and whose pairs are sorted.
local function strict (entries, prefix, schema)
  return setmetatable({}, {
    __index = function (_, k)
      local v = entries[k]
      if v == nil then
        error("run.config: " .. text.unknown("setting", prefix .. tostring(k), schema.keys), 2)
      end
      return v
    end,
    __newindex = function (_, k)
      error(string.format("run.config.%s%s cannot be set: give a default in peri.run, or %s=VALUE",
        prefix, tostring(k), prefix .. tostring(k)), 2)
    end,
    __pairs = function ()
      local keys, i = text.keys(entries), 0
      return function ()
        i = i + 1
        return keys[i], entries[keys[i]]
      end
    end,
  })
end

---The values as nested tables.
---@param values table<string, any>
---@return table
function config.nest (values)
  local root = {}
  for key, value in pairs(values) do
    local at = root
    for group in key:gmatch("([^.]+)%.") do
      at[group] = at[group] or {}
      at = at[group]
    end
    at[key:match("[^.]+$")] = value
  end
  return root
end

---What a script sees as run.config.
---@param schema perigee.Schema
---@param values table<string, any>
---@return table
function config.view (schema, values)
  local function wrap (t, prefix)
    local entries = {}
    for k, v in pairs(t) do
      local group = type(v) == "table" and v[1] == nil
      entries[k] = group and wrap(v, prefix .. k .. ".") or v
    end
    return strict(entries, prefix, schema)
  end
  return wrap(config.nest(values), "")
end

---One line a leaf, sorted, with its kind and exact value: what the run id hashes.
---@param schema perigee.Schema
---@param values table<string, any>
---@return string
function config.canonical (schema, values)
  local lines = {}
  for i, leaf in ipairs(schema.leaves) do
    lines[i] = string.format("%s\t%s\t%s", leaf.key, leaf.kind, config.show(values[leaf.key]))
  end
  return table.concat(lines, "\n")
end

return config
