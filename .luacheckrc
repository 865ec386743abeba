-- luacheck's settings: plain Lua 5.4 without globals of our own.  A warning is a fault.
std = "lua54"
self = false                -- a method need not use its self
max_line_length = 100
exclude_files = { "build*/**" }
