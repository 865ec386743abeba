-- peri.help: explanations of every public function.  Loaded when it is first asked.

local catalogue = require "perigee.help.catalogue"
local page = require "perigee.help.page"
local text = require "perigee.run.text"

---Explain a function, given itself or its name: "conv", "nn.linear", "rng:normal",
---"tensor:tolist".  The name of a room or a class ("optim", "rng") gives a list of what is in it,
---no name an overview.
---@param what? string|function
---@return string? text nil, and a message with names that are near, when nothing is known
---@return string? message
local function help (what)
  if what == nil or what == "" then return page.overview() end
  if type(what) == "function" then
    local entry = catalogue.of(what)
    if entry then return page.entry(entry) end
    return nil, "nothing is known of this function"
  end
  if type(what) ~= "string" then
    error(("help: give a name or a function, not a %s"):format(type(what)), 2)
  end
  local entry, inside = catalogue.find(what), catalogue.inside(what)
  if entry and #inside > 0 then return page.entry(entry) .. "\n\n" .. page.list(what, inside) end
  if entry then return page.entry(entry) end
  if #inside > 0 then return page.list(what, inside) end
  local guessed, several = catalogue.guess(what)
  if guessed then return page.entry(guessed) end
  local near = several and table.concat(several, ", ") or ""
  if near == "" then near = text.nearest(what, catalogue.names()) end
  return nil, ("nothing is known of '%s'%s"):format(what,
    near and "; did you mean " .. near .. "?" or "")
end

return help
