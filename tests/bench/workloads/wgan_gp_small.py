"""WGAN-GP critic step with gradient penalty, as in wgan_gp_small.lua."""

import torch
from torch import nn

BATCH, HIDDEN, PENALTY = 256, 128, 10.0
KIND = {"fused": {"fused": True}, "foreach": {"foreach": True}, "single": {"foreach": False}}


def initialise(module):
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def prepare(form):
    real, fake = torch.randn(BATCH, 2), torch.randn(BATCH, 2) + 1
    critic = nn.Sequential(nn.Linear(2, HIDDEN), nn.LeakyReLU(),
                           nn.Linear(HIDDEN, HIDDEN), nn.LeakyReLU(), nn.Linear(HIDDEN, 1))
    critic.apply(initialise)
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9), **KIND[form])

    def step():
        t = torch.rand(BATCH, 1)
        between = (real * t + fake * (1 - t)).requires_grad_()
        slope, = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        norm = (slope.square().sum(1) + 1e-12).sqrt()
        loss = critic(fake).mean() - critic(real).mean() + PENALTY * (norm - 1).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def run(n):
        for _ in range(n):
            step()

    return run
