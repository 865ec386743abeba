"""RealNVP training step on 2-D data: forward, backward and Adam update, as in realnvp_step.lua."""

import math

import torch
from torch import nn

BATCH, HIDDEN, LAYERS = 256, 64, 8
KIND = {"fused": {"fused": True}, "foreach": {"foreach": True}, "single": {"foreach": False}}


class Coupling(nn.Module):
    """y2 = x2 exp(s(x1)) + t(x1), one net for s and t."""

    def __init__(self, swap):
        super().__init__()
        self.swap = swap
        self.net = nn.Sequential(nn.Linear(1, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
                                 nn.Linear(HIDDEN, 2))

    def forward(self, x):
        kept, moved = (x[:, 1:], x[:, :1]) if self.swap else (x[:, :1], x[:, 1:])
        out = self.net(kept)
        log_scale, shift = torch.tanh(out[:, :1]), out[:, 1:]
        moved = moved * log_scale.exp() + shift
        return torch.cat((moved, kept) if self.swap else (kept, moved), 1), log_scale


def initialise(module):
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(module.bias)


def prepare(form):
    data = torch.randn(BATCH, 2)
    flow = nn.ModuleList(Coupling(i % 2 == 1) for i in range(LAYERS))
    flow.apply(initialise)
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3, **KIND[form])

    def step():
        z, log_det = data, 0
        for layer in flow:
            z, log_scale = layer(z)
            log_det = log_det + log_scale
        log_prob = -0.5 * z.square().sum(1, keepdim=True) - math.log(2 * math.pi) + log_det
        loss = -log_prob.mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def run(n):
        for _ in range(n):
            step()

    return run
