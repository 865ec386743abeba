-- Networks: layers, initial values, and the walk that names every parameter.  A module is a table
-- of parameters and sub-modules with a metatable that has __call; it holds no activations.

local linear = require "perigee.nn.linear"
local walk = require "perigee.nn.walk"

return {
  linear = linear.linear,
  parameter = linear.parameter,
  mlp = require "perigee.nn.mlp",
  initialiser = require "perigee.nn.initialiser",
  walk = walk.walk,
  parameters = walk.parameters,
  count = walk.count,
  state = walk.state,
  load = walk.load,
}
