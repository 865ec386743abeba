-- Recurrent networks over sequences: LSTM, GRU and the plain RNN, in several layers, with the state
-- given and returned, so that a sequence may come in pieces or step by step.

local core = require "perigee.core"
local initialiser = require "perigee.nn.initialiser"
local options = require "perigee.options"
local parameter = require "perigee.nn.linear".parameter

---@class Recurrent
---@field hidden integer
local Recurrent = {}
Recurrent.__index = Recurrent

---@alias RecurrentState {h: userdata, c?: userdata}[] a layer each: (batch, hidden), c of an LSTM

-- A row of x (batch, time, size) for each sequence: its last, or that at lengths[i].
local function last_of (x, lengths)
  local batch, time, size = table.unpack(x.shape)
  if not lengths then return x:slice(2, time, time):reshape(batch, size) end
  local rows = {}
  for i, n in ipairs(lengths) do rows[i] = (i - 1) * time + n end
  return x:reshape(batch * time, size):index_select(core.tensor(rows, "index"), 1)
end

-- How a layer runs: parameters, x, state -> output, and the states of all steps by name.
local run = {}

function run.lstm (layer, x, state)
  local y = core.lstm(x, state.h, state.c, layer.wx, layer.wh, layer.b)
  local shape = {x.shape[1], x.shape[2], layer.wh.shape[1]}
  local h = y:slice(1, 1, 1):reshape(shape)
  return h, {h = h, c = y:slice(1, 2, 2):reshape(shape)}
end

function run.gru (layer, x, state)
  local h = core.gru(x, state.h, layer.wx, layer.wh, layer.b, layer.bh)
  return h, {h = h}
end

-- h' = f(x wx + b + h wh).  Elman 1990.
function run.rnn (layer, x, state, f)
  local batch, time = x.shape[1], x.shape[2]
  local a, h, steps = core.linear(x, layer.wx, layer.b), state.h, {}
  for t = 1, time do
    h = f(a:slice(2, t, t):reshape(batch, layer.wh.shape[1]) + h:matmul(layer.wh))
    steps[t] = h
  end
  local all = core.stack(steps, 2)
  return all, {h = all}
end

local function check_lengths (lengths, batch, time)
  if #lengths ~= batch then
    error(("nn.recurrent: %d lengths for %d sequences"):format(#lengths, batch), 3)
  end
  for i, n in ipairs(lengths) do
    if math.type(n) ~= "integer" or n < 1 or n > time then
      error(("nn.recurrent: length %d is %s, outside 1..%d"):format(i, tostring(n), time), 3)
    end
  end
end

---A state of zeros.
---@param batch integer
---@return RecurrentState
function Recurrent:state (batch)
  local state = {}
  for i = 1, self.layers do
    state[i] = {h = core.zeros(batch, self.hidden)}
    if self.kind == "lstm" then state[i].c = core.zeros(batch, self.hidden) end
  end
  return state
end

---Run whole sequences.  lengths: how many steps of each sequence count; the output behind them is 0
---and the state returned is that at the length.
---@param x userdata (batch, time, inputs), time of 1 or more
---@param state? RecurrentState zeros when absent
---@param lengths? integer[]
---@return userdata (batch, time, hidden), of the last layer
---@return RecurrentState after the last step
function Recurrent:__call (x, state, lengths)
  if #x.shape ~= 3 or x.shape[2] < 1 then
    error("nn.recurrent: x is (batch, time, inputs) with a time of 1 or more", 2)
  end
  local batch, time = x.shape[1], x.shape[2]
  if lengths then check_lengths(lengths, batch, time) end
  state = state or self:state(batch)
  if #state ~= self.layers then
    error(("nn.recurrent: a state of %d layers for a network of %d"):format(#state, self.layers), 2)
  end
  local after = {}
  for i = 1, self.layers do
    local y, all = run[self.kind](self[i], x, state[i], self.activation)
    after[i] = {h = last_of(all.h, lengths), c = all.c and last_of(all.c, lengths)}
    x = y
  end
  if lengths then
    local counted = core.arange(time):real():reshape(1, time)
      :le(core.tensor(lengths):reshape(batch, 1))
    x = core.where(counted:reshape(batch, time, 1), x, 0)
  end
  return x, after
end

---One step, for sampling.
---@param x userdata (batch, inputs)
---@param state? RecurrentState
---@return userdata (batch, hidden)
---@return RecurrentState
function Recurrent:step (x, state)
  if #x.shape ~= 2 then error("nn.recurrent: a step's x is (batch, inputs)", 2) end
  local y, after = self(x:reshape(x.shape[1], 1, x.shape[2]), state)
  return y:reshape(y.shape[1], y.shape[3]), after
end

-- A square block for each gate, side by side.
local function by_gates (make, rng, size, gates)
  local blocks = {}
  for k = 1, gates do blocks[k] = make(rng:fork(tostring(k)), {size, size}) end
  return core.concat(blocks, 2)
end

local gates = {lstm = 4, gru = 3, rnn = 1}

-- Inputs Xavier uniform for one gate (Glorot & Bengio 2010), states orthogonal (Saxe et al. 2014),
-- an LSTM's forget gate open at first (Jozefowicz et al. 2015).
local function new_layer (kind, o, inputs, rng)
  local _ <close> = core.scope()
  local n, size = gates[kind], o.hidden
  local limit = math.sqrt(6 / (inputs + size))
  local wx = o.weight or initialiser.uniform {low = -limit, high = limit}
  local wh = o.state_weight or initialiser.orthogonal()
  local layer = {
    wx = parameter(wx(rng:fork "wx", {inputs, n * size})),
    wh = parameter(by_gates(wh, rng:fork "wh", size, n)),
  }
  local b = core.zeros(n * size)
  if kind == "lstm" then b:slice(1, size + 1, 2 * size):assign(core.full({size}, o.forget or 1)) end
  layer.b = parameter(b)
  if kind == "gru" then layer.bh = parameter(core.zeros(n * size)) end
  return layer
end

local function constructor (kind, more)
  local known = {
    inputs = "integer", hidden = "integer", layers = "integer?", weight = "function?",
    state_weight = "function?", rng = "rng",
  }
  for name, types in pairs(more) do known[name] = types end
  return function (given)
    local what = "nn." .. kind
    local o = options.check(what, given, known)
    local layers = o.layers or 1
    if o.inputs < 1 or o.hidden < 1 or layers < 1 then
      error(("%s: inputs = %d, hidden = %d, layers = %d; all are at least 1"):format(what, o.inputs,
        o.hidden, layers), 2)
    end
    local self = {kind = kind, hidden = o.hidden, layers = layers}
    if kind == "rnn" then
      local f = o.activation or "tanh"
      self.activation = type(f) == "function" and f or core[f]
      if type(self.activation) ~= "function" then
        error(("%s: activation = '%s' is no operation; say tanh or relu"):format(what, f), 2)
      end
    end
    for i = 1, layers do
      local inputs = i == 1 and o.inputs or o.hidden
      self[i] = new_layer(kind, o, inputs, o.rng:fork(tostring(i)))
    end
    return setmetatable(self, Recurrent)
  end
end

local recurrent = {}

---nn.lstm { inputs = 64, hidden = 128, layers = 2, rng = rng:fork "lstm" }
---Hochreiter & Schmidhuber 1997, forget gates of Gers et al. 2000.  Layer i has i.wx, i.wh and i.b
---by gates i, f, g, o.  weight and state_weight: initialisers; forget: the forget gate's first
---bias, default 1.
---@type fun(given: {inputs: integer, hidden: integer, layers?: integer, weight?: function,
---  state_weight?: function, forget?: number, rng: userdata}): Recurrent
recurrent.lstm = constructor("lstm", {forget = "number?"})

---nn.gru { inputs = 64, hidden = 128, rng = rng:fork "gru" }
---Cho et al. 2014, the reset gate after the product.  Layer i has i.wx, i.wh, i.b and i.bh by gates
---r, z, n.
---@type fun(given: {inputs: integer, hidden: integer, layers?: integer, weight?: function,
---  state_weight?: function, rng: userdata}): Recurrent
recurrent.gru = constructor("gru", {})

---nn.rnn { inputs = 64, hidden = 128, activation = "tanh", rng = rng:fork "rnn" }
---@type fun(given: {inputs: integer, hidden: integer, layers?: integer, weight?: function,
---  state_weight?: function, activation?: string|function, rng: userdata}): Recurrent
recurrent.rnn = constructor("rnn", {activation = "string|function?"})

return recurrent
