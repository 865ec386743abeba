---@meta perigee.core
-- What C gives to scripts, for editors and for help: tensors, derivatives, scopes, random streams,
-- updates.  Never loaded.  Operations are in operations.lua, files and the system in system.lua.
-- luacheck: no unused args

---@class perigee.core: perigee.Operations
---@field version string
local peri = {}

---@alias Dtype "real"|"index"|"byte"

---A window of a convolution or a pooling.  A number stands for all spatial axes.
---@class Window
---@field size? integer|integer[] of the filter; a convolution takes it from its weight
---@field stride? integer|integer[]
---@field dilation? integer|integer[]
---@field padding? integer|"same"|"causal"|(integer|integer[])[]
---@field output_padding? integer|integer[] of a transposed convolution
---@field groups? integer

---@class Tensor: userdata, perigee.Operations
---@field shape integer[]
---@field ndim integer
---@field dtype Dtype
---@operator add(Tensor|number): Tensor
---@operator sub(Tensor|number): Tensor
---@operator mul(Tensor|number): Tensor
---@operator div(Tensor|number): Tensor
---@operator pow(Tensor|number): Tensor
---@operator unm: Tensor
---@operator len: integer
---@field [integer] Tensor entries of the first axis, from 1, or from -1 at the end
local Tensor = {}

-- Making tensors

---A tensor from a number, or from nested tables of numbers of equal sizes.
---@param values number|table
---@param dtype? Dtype "real" when absent
---@return Tensor
function peri.tensor (values, dtype) end

---Zeros: zeros(2, 3), zeros({2, 3}), zeros(2, 3, "index").
---@param shape integer|integer[] sizes, as a list or one after the other
---@param ... integer|Dtype further sizes, then the dtype, "real" when absent
---@return Tensor
function peri.zeros (shape, ...) end

---Ones: ones(2, 3), ones({2, 3}), ones(2, 3, "byte").
---@param shape integer|integer[] sizes, as a list or one after the other
---@param ... integer|Dtype further sizes, then the dtype, "real" when absent
---@return Tensor
function peri.ones (shape, ...) end

---A tensor whose elements all have one value.
---@param shape integer[]
---@param value number
---@param dtype? Dtype "real" when absent
---@return Tensor
function peri.full (shape, value, dtype) end

---The integers 1..last, or first..last: arange(3), arange(0, 9).
---@param first integer the last, when it stands alone
---@param last? integer included
---@return Tensor index (last - first + 1)
function peri.arange (first, last) end

-- Methods of tensors

---The elements as nested tables; a number for a tensor of shape ().
---@return number|table
function Tensor:tolist () end

---The only element, as a number.  An error unless there is exactly one.
---@return number
function Tensor:item () end

---How many elements there are.
---@return integer
function Tensor:count () end

---The same values as real numbers, without their history.
---@return Tensor
function Tensor:real () end

---The same values as 32-bit integers, without their history; fractions are cut off.  An error when
---one does not fit.
---@return Tensor
function Tensor:index () end

---The same values as bytes, 0 to 255, without their history; fractions are cut off.  An error when
---one does not fit.
---@return Tensor
function Tensor:byte () end

---A copy in storage of its own, without history: no gradient passes.
---@return Tensor
function Tensor:clone () end

---The same storage without its history: no gradient passes.
---@return Tensor
function Tensor:detach () end

---Copy the elements of y into this tensor, in place.  Only for tensors that no recorded
---operation made; a result that needs their old elements then refuses to be differentiated.
---@param y Tensor of the same shape and dtype
---@return Tensor self
function Tensor:assign (y) end

---Take the tensor out of the scope it was made in, so that it lives on when that closes.
---@return Tensor self
function Tensor:keep () end

---With true make the tensor a leaf that gradients are taken by, with false end that; without an
---argument tell whether it is one.
---@param on? boolean
---@return Tensor|boolean self, or the answer
function Tensor:requires_grad (on) end

-- Derivatives

---Gradients of y by tensors.  require "perigee" has one that also takes modules.
---@param y Tensor the result, of one element unless a seed is given
---@param x Tensor|Tensor[]
---@param given? {create_graph?: boolean, keep_graph?: boolean, seed?: Tensor} create_graph: the
---  gradients can be differentiated again; keep_graph: y can; seed: the gradient of y itself
---@return Tensor[] gradients in the order of the list
function peri.grad (y, x, given) end

---Call f without recording what derivatives would need.
---@param f fun(...): ...
---@param ... any its arguments
---@return any ... what f returns
function peri.no_grad (f, ...) end

---As x:requires_grad(on): make a leaf, or tell whether it is one.
---@param x Tensor
---@param on? boolean
---@return Tensor|boolean x, or the answer
function peri.requires_grad (x, on) end

-- Memory, threads, the processor

---@class Scope: userdata
local Scope = {}

---Open a scope, whose tensors are freed when it closes: local scope <close> = peri.scope().  With a
---function call it in a scope and return what it returns; x:keep() takes a tensor out.
---@param f? fun(...): ...
---@param ... any its arguments
---@return any ... the scope, or what f returns
function peri.scope (f, ...) end

---Close the scope: free its tensors, but for those that were kept.  A second time does nothing.
function Scope:close () end

---Bytes of tensors in use, the most there ever were, bytes cached for reuse, and the number of
---tensors.
---@return {live: integer, peak: integer, cached: integer, objects: integer}
function peri.memory () end

---Set the number of threads, and return it.  Results are the same for any number.
---@param n? integer 1 to 256; as it is when absent
---@return integer
function peri.threads (n) end

---The instruction set in use, the processor's name, and the library that multiplies matrices.
---@return {level: string, name: string, blas: string}
function peri.cpu () end

---Call f, and tell how long each operation took, derivatives included, the dearest first.
---@param f fun(...)
---@param ... any its arguments
---@return {name: string, calls: integer, seconds: number}[]
function peri.profile (f, ...) end

---The row of an operation in the table: its signature and what it computes.  Without a name the
---list of all names.  For reading, peri.help is made of it.
---@param name? string
---@return string|string[]|nil signature in the letters of include/perigee/kinds.h
---@return string? doc
function peri.operation (name) end

-- Random streams

---@class Rng: userdata
local Rng = {}

---The root of random streams.  What a stream draws depends on the seed, the names of its forks, the
---clock and the number of draws, on nothing else.
---@param seed integer
---@return Rng
function peri.rng (seed) end

---A stream of its own, the same for the same name whatever was drawn before.
---@param name string
---@return Rng
function Rng:fork (name) end

---The stream as at that time, whatever the clock says.
---@param time integer 0 or more
---@return Rng
function Rng:at (time) end

---Set the clock that this stream shares with its root and all forks.
---@param time integer 0 or more
---@return Rng self
function Rng:tick (time) end

---Uniform draws on [0, 1).
---@param shape integer|integer[] sizes, as a list or one after the other
---@param ... integer further sizes
---@return Tensor
function Rng:uniform (shape, ...) end

---Draws from N(0, 1).
---@param shape integer|integer[] sizes, as a list or one after the other
---@param ... integer further sizes
---@return Tensor
function Rng:normal (shape, ...) end

---1 with probability p, else 0, for every element of p.
---@param p Tensor probabilities in [0, 1]
---@return Tensor real, of the shape of p
function Rng:bernoulli (p) end

---Uniform integers from low to high, both included.
---@param shape integer[]
---@param low integer
---@param high integer
---@return Tensor index
function Rng:integers (shape, low, high) end

---The numbers 1..n in random order.
---@param n integer
---@return Tensor index (n)
function Rng:permutation (n) end

-- Fused updates, all in place.  Their options have no defaults: those are in lua/perigee/optim.

peri.fused = {}

---One step of Adam; with decay the decoupled weight decay of AdamW.
---@param parameters Tensor[]
---@param gradients Tensor[]
---@param m Tensor[] running means of the gradients
---@param v Tensor[] running means of their squares
---@param given {lr: number, beta1: number, beta2: number, eps: number, decay: number,
---  scale: number, eps_hat?: boolean} scale multiplies the gradients
---@param t integer the step, from 1
function peri.fused.adam (parameters, gradients, m, v, given, t) end

---One step of gradient descent, with momentum when velocities are given.
---@param parameters Tensor[]
---@param gradients Tensor[]
---@param velocities Tensor[]|nil
---@param given {lr: number, momentum: number, decay: number, scale: number, nesterov?: boolean}
function peri.fused.sgd (parameters, gradients, velocities, given) end

---One step of RMSProp; centred when means are given, with momentum when velocities are.
---@param parameters Tensor[]
---@param gradients Tensor[]
---@param v Tensor[] running means of squares
---@param means Tensor[]|nil
---@param velocities Tensor[]|nil
---@param given {lr: number, rho: number, eps: number, momentum: number, scale: number,
---  eps_inside?: boolean}
function peri.fused.rmsprop (parameters, gradients, v, means, velocities, given) end

---Move averages towards parameters: a <- a + (1 - decay) (p - a).
---@param averages Tensor[]
---@param parameters Tensor[]
---@param decay number in [0, 1]
function peri.fused.ema (averages, parameters, decay) end

---Exchange the elements of tensors with those of their partners.
---@param tensors Tensor[]
---@param partners Tensor[]
function peri.fused.swap (tensors, partners) end

---The Euclidean norm of all elements of all tensors together.
---@param tensors Tensor[]
---@return number
function peri.fused.norm (tensors) end

return peri
