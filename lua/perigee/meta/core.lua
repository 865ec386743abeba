---@meta perigee.core
-- What C gives to scripts, for editors and for help: tensors, derivatives, scopes, random streams,
-- updates.  Never loaded.  Operations are in operations.lua, files and the system in system.lua.
-- luacheck: no unused args, ignore 241

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

---The instruction set in use, the processor's name, and what multiplies matrices and convolves.
---@return {level: string, name: string, blas: string, convolution: string}
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

---Exponential draws of rate 1, above 0.
---@param shape integer|integer[] sizes, as a list or one after the other
---@param ... integer further sizes
---@return Tensor
function Rng:exponential (shape, ...) end

---Gumbel draws of location 0 and scale 1.
---@param shape integer|integer[] sizes, as a list or one after the other
---@param ... integer further sizes
---@return Tensor
function Rng:gumbel (shape, ...) end

---A gamma draw of scale 1 for every element, at least 2^-126.
---@param concentration Tensor above 0
---@return Tensor
function Rng:gamma (concentration) end

---The logarithm of a gamma draw of scale 1 for every element, exact where the draw itself is 0.
---@param concentration Tensor above 0
---@return Tensor
function Rng:log_gamma (concentration) end

---A Poisson count for every element.
---@param rate Tensor 0 or more
---@return Tensor real
function Rng:poisson (rate) end

---The number of successes in n trials, for every element.
---@param n Tensor|number trials
---@param p Tensor probabilities in [0, 1]
---@return Tensor real
function Rng:binomial (n, p) end

---An angle around 0 in [-pi, pi] for every element.
---@param concentration Tensor 0 or more
---@return Tensor radians
function Rng:von_mises (concentration) end

---One of 1..K along the last axis, k in proportion to exp(logits[.., k]).
---@param logits Tensor (.., K)
---@return Tensor index (..)
function Rng:categorical (logits) end

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

-- Fused updates, all in place; formulas are in include/perigee/fused.h.  Their options have no
-- defaults: those are in lua/perigee/optim.

---What every update is told besides its own options.
---@class UpdateOptions
---@field lr number
---@field scale number multiplies the gradients
---@field decay number
---@field rates? number[] a factor of lr for each parameter
---@field decays? number[] what stands for decay, for each parameter

---@class AdamOptions: UpdateOptions
---@field beta1 number
---@field beta2 number
---@field eps number
---@field eps_hat? boolean

---@class SgdOptions: UpdateOptions
---@field momentum number
---@field nesterov? boolean

---@class RmspropOptions: UpdateOptions
---@field rho number
---@field eps number
---@field momentum number
---@field eps_inside? boolean

peri.fused = {}

---One step of Adam with decoupled weight decay; AMSGrad when top is given, optimistic when last is.
---@param parameters Tensor[]
---@param gradients Tensor[]
---@param m Tensor[] running means of the gradients
---@param v Tensor[] running means of their squares
---@param top Tensor[]|nil the largest v so far
---@param last Tensor[]|nil the step before
---@param given AdamOptions lr, beta1, beta2, eps, decay, scale [, eps_hat, rates, decays]
---@param t integer the step, from 1
function peri.fused.adam (parameters, gradients, m, v, top, last, given, t) end

---One step of Adagrad: each gradient divided by the root of the sum of its squares so far.
---@param parameters Tensor[]
---@param gradients Tensor[]
---@param v Tensor[] sums of squares
---@param given UpdateOptions lr, eps, decay, scale [, rates, decays]
function peri.fused.adagrad (parameters, gradients, v, given) end

---One step of Adadelta: steps in proportion to the running size of earlier steps.
---@param parameters Tensor[]
---@param gradients Tensor[]
---@param v Tensor[] running means of squared gradients
---@param x Tensor[] running means of squared steps
---@param given UpdateOptions lr, rho, eps, decay, scale [, rates, decays]
function peri.fused.adadelta (parameters, gradients, v, x, given) end

---One step of Adamax: Adam by the largest gradient, forgotten at the rate beta2.
---@param parameters Tensor[]
---@param gradients Tensor[]
---@param m Tensor[] running means of the gradients
---@param u Tensor[] the largest gradients
---@param given UpdateOptions lr, beta1, beta2, eps, decay, scale [, rates, decays]
---@param t integer the step, from 1
function peri.fused.adamax (parameters, gradients, m, u, given, t) end

---One step of Lion: the sign of an average of gradients, with decoupled weight decay.
---@param parameters Tensor[]
---@param gradients Tensor[]
---@param m Tensor[] running means of the gradients
---@param given UpdateOptions lr, beta1, beta2, decay, scale [, rates, decays]
function peri.fused.lion (parameters, gradients, m, given) end

---Add to sums: x <- x + factor y.
---@param sums Tensor[]
---@param tensors Tensor[]
---@param factor number
function peri.fused.accumulate (sums, tensors, factor) end

---One step of gradient descent, with momentum when velocities are given.
---@param parameters Tensor[]
---@param gradients Tensor[]
---@param velocities Tensor[]|nil
---@param given SgdOptions lr, momentum, decay, scale [, nesterov, rates, decays]
function peri.fused.sgd (parameters, gradients, velocities, given) end

---One step of RMSProp; centred when means are given, with momentum when velocities are.
---@param parameters Tensor[]
---@param gradients Tensor[]
---@param v Tensor[] running means of squares
---@param means Tensor[]|nil
---@param velocities Tensor[]|nil
---@param given RmspropOptions lr, rho, eps, momentum, decay, scale [, eps_inside, rates, decays]
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
