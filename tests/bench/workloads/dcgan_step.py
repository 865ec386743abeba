"""DCGAN training step on 32x32 colour images: critic, then generator, as in dcgan_step.lua.

Radford et al. 2016 at a quarter of the width: 4x4 filters of stride 2, batch normalisation.
"""

import torch
import torch.nn.functional as F
from torch import nn

BATCH, LATENT, WIDTH = 32, 100, 32
KIND = {"fused": {"fused": True}, "foreach": {"foreach": True}, "single": {"foreach": False}}


def make_generator():
    up = dict(kernel_size=4, stride=2, padding=1, bias=False)
    return nn.Sequential(
        nn.ConvTranspose2d(LATENT, 4 * WIDTH, 4, bias=False), nn.BatchNorm2d(4 * WIDTH), nn.ReLU(),
        nn.ConvTranspose2d(4 * WIDTH, 2 * WIDTH, **up), nn.BatchNorm2d(2 * WIDTH), nn.ReLU(),
        nn.ConvTranspose2d(2 * WIDTH, WIDTH, **up), nn.BatchNorm2d(WIDTH), nn.ReLU(),
        nn.ConvTranspose2d(WIDTH, 3, kernel_size=4, stride=2, padding=1), nn.Tanh())


def make_critic():
    down = dict(kernel_size=4, stride=2, padding=1)
    return nn.Sequential(
        nn.Conv2d(3, WIDTH, **down), nn.LeakyReLU(0.2),
        nn.Conv2d(WIDTH, 2 * WIDTH, bias=False, **down), nn.BatchNorm2d(2 * WIDTH), nn.LeakyReLU(0.2),
        nn.Conv2d(2 * WIDTH, 4 * WIDTH, bias=False, **down), nn.BatchNorm2d(4 * WIDTH),
        nn.LeakyReLU(0.2), nn.Conv2d(4 * WIDTH, 1, 4))


def prepare(form):
    kind, _, layout = form.partition("-")
    layout = torch.channels_last if layout == "nhwc" else torch.contiguous_format
    real = torch.tanh(torch.randn(BATCH, 3, 32, 32)).to(memory_format=layout)
    generator = make_generator().to(memory_format=layout)
    critic = make_critic().to(memory_format=layout)
    options = dict(lr=2e-4, betas=(0.5, 0.999), **KIND[kind])
    optimizer_g = torch.optim.Adam(generator.parameters(), **options)
    optimizer_d = torch.optim.Adam(critic.parameters(), **options)

    def step():
        fake = generator(torch.randn(BATCH, LATENT, 1, 1))
        loss = F.softplus(-critic(real)).mean() + F.softplus(critic(fake.detach())).mean()
        optimizer_d.zero_grad(set_to_none=True)
        loss.backward()
        optimizer_d.step()
        loss = F.softplus(-critic(fake)).mean()
        optimizer_g.zero_grad(set_to_none=True)
        loss.backward()
        optimizer_g.step()

    def run(n):
        for _ in range(n):
            step()

    return run
