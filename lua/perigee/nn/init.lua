-- Networks: layers, initial values, and the walk that names every parameter.  A module is a table
-- of parameters and sub-modules with a metatable that has __call; it holds no activations.

local batch_norm = require "perigee.nn.batch_norm"
local flow_norm = require "perigee.nn.flow_norm"
local conv = require "perigee.nn.conv"
local linear = require "perigee.nn.linear"
local modulate = require "perigee.nn.modulate"
local norm = require "perigee.nn.norm"
local reweight = require "perigee.nn.reweight"
local recurrent = require "perigee.nn.recurrent"
local walk = require "perigee.nn.walk"

return {
  linear = linear.linear,
  parameter = linear.parameter,
  conv = conv.conv,
  conv_transpose = conv.conv_transpose,
  pixel_mask = conv.pixel_mask,
  mlp = require "perigee.nn.mlp",
  layer_norm = norm.layer_norm,
  rms_norm = norm.rms_norm,
  group_norm = norm.group_norm,
  instance_norm = norm.instance_norm,
  pixel_norm = norm.pixel_norm,
  batch_norm = batch_norm.batch_norm,
  conditional_batch_norm = batch_norm.conditional_batch_norm,
  modulate = modulate.modulate,
  film = modulate.film,
  adaptive_norm = modulate.adaptive_norm,
  weight_norm = reweight.weight_norm,
  spectral_norm = reweight.spectral_norm,
  actnorm = flow_norm.actnorm,
  flow_batch_norm = flow_norm.flow_batch_norm,
  attention = require "perigee.nn.attention",
  position = require "perigee.nn.position",
  transformer_block = require "perigee.nn.transformer",
  lstm = recurrent.lstm,
  gru = recurrent.gru,
  rnn = recurrent.rnn,
  initialiser = require "perigee.nn.initialiser",
  walk = walk.walk,
  parameters = walk.parameters,
  count = walk.count,
  state = walk.state,
  load = walk.load,
}
