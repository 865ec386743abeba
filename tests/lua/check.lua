-- What a Lua suite says: test, equal, close, raises, is_true, done.  A failure names its line.

local check = { passed = 0, failed = 0 }

--- Run one test; an error in it is a failure.
---@param name string
---@param f fun()
function check.test(name, f)
  local ok, message = xpcall(f, function (e) return debug.traceback(tostring(e), 2) end)
  if ok then
    check.passed = check.passed + 1
  else
    check.failed = check.failed + 1
    io.stderr:write("FAILED ", name, "\n", message, "\n")
  end
end

local function show(v)
  if type(v) == "table" then
    local parts = {}
    for i, w in ipairs(v) do parts[i] = show(w) end
    return "{" .. table.concat(parts, ", ") .. "}"
  end
  return type(v) == "string" and string.format("%q", v) or tostring(v)
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b or (a ~= a and b ~= b) end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end

--- a and b are equal; tables entry by entry, NaN to NaN.
function check.equal(a, b)
  if not same(a, b) then error(show(a) .. " is not " .. show(b), 2) end
end

local function close(a, b, tol)
  if type(a) == "table" then
    if type(b) ~= "table" or #a ~= #b then return false end
    for i = 1, #a do if not close(a[i], b[i], tol) then return false end end
    return true
  end
  return math.abs(a - b) <= tol * math.max(1, math.abs(b))
end

--- Numbers, or nested lists of them, differ by at most tol (relative above 1).
function check.close(a, b, tol)
  if not close(a, b, tol) then
    error(show(a) .. " is not within " .. tol .. " of " .. show(b), 2)
  end
end

--- f raises an error whose text has the pattern.
function check.raises(f, pattern)
  local ok, message = pcall(f)
  if ok then error("no error was raised, want one with '" .. pattern .. "'", 2) end
  if not tostring(message):find(pattern) then
    error("the error says '" .. tostring(message) .. "', want '" .. pattern .. "'", 2)
  end
end

function check.is_true(v)
  if not v then error("want true, got " .. tostring(v), 2) end
end

--- Print the counts; the process ends with 1 when a test failed.
function check.done()
  print(string.format("%d passed, %d failed", check.passed, check.failed))
  os.exit(check.failed == 0, true)
end

return check
