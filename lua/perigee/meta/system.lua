---@meta _
-- What C gives to scripts, for editors and for help: files (io, h5) and the system (sys).  Never
-- loaded.  What the system refuses is nil, a message and a code.
-- luacheck: no unused args, ignore 241

---@class perigee.core
local peri = {}

-- Hashes, images, IDX files, logs

peri.io = {}

---The SHA-256 of a string.
---@param s string
---@return string hex 64 hexadecimal digits
function peri.io.sha256 (s) end

---The SHA-256 of a file.
---@param path string
---@return string? hex 64 hexadecimal digits
---@return string? message
---@return string? code
function peri.io.sha256_file (path) end

---Go on with a chain of 64-bit digests: the next is made of the last and a tensor's dtype, shape
---and elements.
---@param chain integer 0 to begin
---@param x Tensor
---@return integer
function peri.io.digest (chain, x) end

---Write an image as PNG.
---@param path string
---@param x Tensor byte (height, width), or (height, width, 3 or 4)
---@param texts? table<string, string> what the file says of itself, by name
---@return boolean? ok
---@return string? message
---@return string? code
function peri.io.png_write (path, x, texts) end

---Read a PNG image.
---@param path string
---@return Tensor? image byte (height, width), or (height, width, 3 or 4)
---@return string? message
---@return string? code
function peri.io.png_read (path) end

---The texts in a PNG image.
---@param path string
---@return table<string, string>? texts by name
---@return string? message
---@return string? code
function peri.io.png_text (path) end

---Read an IDX file of bytes, gzipped or not: the format of MNIST.
---@param path string
---@return Tensor? byte
---@return string? message
---@return string? code
function peri.io.idx_read (path) end

---@class Log: userdata
local Log = {}

---Open a log of records to go on with it; what a crash left of a last record is cut off.
---@param path string
---@return Log?
---@return string? message
---@return string? code
function peri.io.log_open (path) end

---The records of a log, up to one that was cut short.
---@param path string
---@return string[]? records
---@return string? message
---@return string? code
function peri.io.log_read (path) end

---Add a record.
---@param text string
---@return boolean? ok
---@return string? message
---@return string? code
function Log:append (text) end

---Wait until what was added would survive a power cut.
---@return boolean? ok
---@return string? message
---@return string? code
function Log:sync () end

---Close the log.  A second time does nothing.
function Log:close () end

-- HDF5

peri.h5 = {}

---@class File: userdata
local File = {}

---Begin a new HDF5 file.  Nothing reaches the disk before file:commit().
---@param path string
---@return File?
---@return string? message
---@return string? code
function peri.h5.create (path) end

---Open an HDF5 file to read it.
---@param path string
---@return File?
---@return string? message
---@return string? code
function peri.h5.open (path) end

---Put a new file in its place, whole or not at all, and close it.
---@return boolean? ok
---@return string? message
---@return string? code
function File:commit () end

---Close the file.  Without commit what was written is forgotten; a second time does nothing.
function File:close () end

---Write a dataset, with the groups on its way.
---@param name string path in the file
---@param value Tensor|string
---@param given? {compress?: boolean}
---@return boolean? ok
---@return string? message
---@return string? code
function File:write (name, value, given) end

---Write a list of numbers in 64 bits.
---@param name string
---@param list number[]
---@return boolean? ok
---@return string? message
---@return string? code
function File:write_f64 (name, list) end

---Write a list of integers in 64 bits.
---@param name string
---@param list integer[]
---@return boolean? ok
---@return string? message
---@return string? code
function File:write_i64 (name, list) end

---Write a list of integers as unsigned numbers of 64 bits.
---@param name string
---@param list integer[]
---@return boolean? ok
---@return string? message
---@return string? code
function File:write_u64 (name, list) end

---Write an image, marked as one for viewers.
---@param name string
---@param x Tensor byte (height, width), or (height, width, 1 or 3)
---@return boolean? ok
---@return string? message
---@return string? code
function File:image (name, x) end

---Say what the rows of a dataset stand for: a dimension scale.
---@param dataset string
---@param scale string the dataset with a number for each row
---@param label string
---@return boolean? ok
---@return string? message
---@return string? code
function File:scale (dataset, scale, label) end

---Set an attribute.
---@param object string a group or a dataset, "/" for the file
---@param name string
---@param value number|boolean|string
---@return boolean? ok
---@return string? message
---@return string? code
function File:attr (object, name, value) end

---Read a dataset: 64-bit numbers of at most one axis as numbers, text as a string, anything else as
---a tensor.
---@param name string
---@return Tensor|string|number|number[]|nil value
---@return string? message
---@return string? code
function File:read (name) end

---Is there a group or a dataset of this name?
---@param name string
---@return boolean
function File:has (name) end

---What is in a group, in order of name.
---@param group? string the whole file when absent
---@return {name: string, kind: "group"|"dataset"|"other"}[]?
---@return string? message
---@return string? code
function File:list (group) end

---The attributes of a group or a dataset.
---@param object? string the file when absent
---@return table<string, any>? attributes numbers, booleans, strings or lists
---@return string? message
---@return string? code
function File:attrs (object) end

-- The system

peri.sys = {}

---Make a folder, with those it is in.  One that is there is fine.
---@param path string
---@return boolean? ok
---@return string? message
---@return string? code
function peri.sys.mkdir (path) end

---The names in a folder, in bytewise order.
---@param folder string
---@return string[]? names
---@return string? message
---@return string? code
function peri.sys.list (folder) end

---Size in bytes, time of the last change in seconds since 1970, and kind of a file.
---@param path string
---@return {size: integer, mtime: number, kind: "file"|"dir"|"other"}?
---@return string? message
---@return string? code
function peri.sys.stat (path) end

---Rename a file or a folder.  What was at `to` is replaced.
---@param from string
---@param to string
---@return boolean? ok
---@return string? message
---@return string? code
function peri.sys.rename (from, to) end

---Remove a file or an empty folder.
---@param path string
---@return boolean? ok
---@return string? message
---@return string? code
function peri.sys.remove (path) end

---The absolute path without links.
---@param path string
---@return string?
---@return string? message
---@return string? code
function peri.sys.realpath (path) end

---The working folder.
---@return string?
---@return string? message
---@return string? code
function peri.sys.cwd () end

---Replace a file by a text: whatever happens, it is the old or the new one.
---@param path string
---@param text string
---@return boolean? ok
---@return string? message
---@return string? code
function peri.sys.write_atomic (path, text) end

---@class Lock: userdata
local Lock = {}

---Take the lock that a file stands for.  It ends with lock:close(), or with the process.
---@param path string
---@return Lock? lock nil, "held by process N on HOST" and "held" when somebody has it
---@return string? message
---@return string? code
function peri.sys.lock (path) end

---Give the lock back and remove its file.  A second time does nothing.
function Lock:close () end

---From now on only note INT, TERM and USR1, for signal() to tell; a second INT ends the process.
---Calling it again forgets what arrived.
---@param on? boolean true when absent; false restores what was before the first call
function peri.sys.catch_signals (on) end

---The signal that arrived since catch_signals.
---@return "INT"|"TERM"|"USR1"|nil
function peri.sys.signal () end

---Seconds since 1970.
---@return number
function peri.sys.now () end

---Seconds of a clock that never goes back, for differences.
---@return number
function peri.sys.clock () end

---Is an open file a terminal?
---@param fd integer 0 for the input, 1 and 2 for the outputs
---@return boolean
function peri.sys.isatty (fd) end

---The width of the terminal, else the variable COLUMNS, else 80.
---@return integer
function peri.sys.columns () end

---The name of this machine.
---@return string
function peri.sys.hostname () end

---The number of this process.
---@return integer
function peri.sys.pid () end

---Run another program to its end, without a shell.
---@param words string[] the program and its arguments
---@param given? {cwd?: string, input?: string} the folder to run it in, and what it reads
---@return {code: integer, out: string, err: string}? result code 128 + S for death by signal S
---@return string? message
---@return string? code
function peri.sys.run (words, given) end

---End the process after closing what is open.
---@param code? integer 0 to 255, 0 when absent
function peri.sys.exit (code) end

return peri
