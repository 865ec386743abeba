-- Child processes of a measurement, one for each side, number of threads and form: started once,
-- then asked by lines.  Requests go through a pipe, answers come back through a named pipe that is
-- gone from the file system as soon as both ends are open.  Decides nothing about what is measured.

local peer = {}

---@param word string
---@return string the word as the shell reads it back
local function quote (word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

---What a command prints, without the last newline.
---@param command string
---@return string
local function output (command)
  local pipe = assert(io.popen(command, "r"))
  local text = pipe:read("a")
  pipe:close()
  return (text:gsub("\n$", ""))
end

---@class Child
---@field requests file*
---@field answers file*
---@field start_kib number peak memory when the workload had not been prepared yet
local Child = {}
Child.__index = Child

---Start a child and wait until its workload is prepared.
---@param argv string[] program and arguments
---@param threads integer
---@return Child|nil, string|nil message why it could not
function peer.start (argv, threads)
  local folder = output("mktemp -d 2>&1")
  local pipe = folder .. "/answers"
  if output("mkfifo " .. quote(pipe) .. " 2>&1") ~= "" then
    return nil, "cannot make a named pipe in " .. folder
  end
  local words = {}
  for i, word in ipairs(argv) do words[i] = quote(word) end
  local command = ("exec env OMP_NUM_THREADS=%d MKL_NUM_THREADS=%d OPENBLAS_NUM_THREADS=%d %s > %s")
    :format(threads, threads, threads, table.concat(words, " "), quote(pipe))
  local requests = assert(io.popen(command, "w"))
  local answers = assert(io.open(pipe, "r"))    -- waits until the shell opens the other end
  os.remove(pipe)
  os.remove(folder)
  local child = setmetatable({requests = requests, answers = answers, start_kib = 0}, Child)
  local word, rest = child:answer()
  if word ~= "ready" then
    child:stop()
    return nil, rest
  end
  child.start_kib = tonumber(rest) or 0
  return child
end

---The next answer's first word and the rest; an ended child answers "error".
---@return string, string
function Child:answer ()
  local line = self.answers:read("l")
  if not line then return "error", "the process ended without an answer" end
  local word, rest = line:match("^(%S*)%s*(.*)$")
  return word, rest
end

---Ask for a number.  Raises with the child's message when it fails.
---@param request string
---@return number
function Child:ask (request)
  self.requests:write(request, "\n")
  self.requests:flush()
  local word, rest = self:answer()
  return tonumber(word) or error(rest, 0)
end

---End the child: it sees the end of its requests.
function Child:stop ()
  self.requests:close()
  self.answers:close()
end

---Let threads that wait by spinning fall asleep, so that they do not run into the next block.
---@param seconds number
function peer.rest (seconds)
  os.execute("sleep " .. seconds)
end

---Which PyTorch is here: the interpreter named by PERIGEE_PEER_PYTHON, else python3.
---@param describe string path of child.py
---@return table<string, string>|nil facts of child.py --describe, with `executable`
---@return string|nil message
function peer.pytorch (describe)
  local python = os.getenv("PERIGEE_PEER_PYTHON") or "python3"
  local text = output(quote(python) .. " -W ignore " .. quote(describe) .. " --describe 2>&1")
  local facts = {}
  for key, value in text:gmatch("([%w_.]+)=([^\n]*)") do facts[key] = value end
  if facts.version then return facts end
  return nil, ("no PyTorch: %s says: %s"):format(python, text:match("[^\n]*$"))
end

return peer
