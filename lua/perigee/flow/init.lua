-- Bijectors: invertible modules with the logarithm of their volume change.

local chain = require "perigee.flow.chain"
local linear = require "perigee.flow.linear"
local planar = require "perigee.flow.planar"

return {
  autoregressive = require "perigee.flow.autoregressive",
  chain = chain.chain,
  coupling = require "perigee.flow.coupling",
  inverse = chain.inverse,
  lu = linear.lu,
  permutation = linear.permutation,
  planar = planar.planar,
  radial = planar.radial,
  scale_shift = linear.scale_shift,
}
