"""DDPM training step: U-Net on 32x32 colour images with attention at 16x16, as in ddpm_step.lua.

Ho et al. 2020 at 32 channels: group normalisation, SiLU, two levels, one residual block each way.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

BATCH, WIDTH, EMBED, GROUPS, HEADS, STEPS = 8, 32, 128, 8, 4, 1000
KIND = {"fused": {"fused": True}, "foreach": {"foreach": True}, "single": {"foreach": False}}


class Residual(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, inputs), nn.GroupNorm(GROUPS, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.time = nn.Linear(EMBED, outputs)
        self.short = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, t):
        h = self.conv1(F.silu(self.norm1(x))) + self.time(t)[:, :, None, None]
        return self.short(x) + self.conv2(F.silu(self.norm2(h)))


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.qkv, self.out = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = (t.reshape(b, HEADS, c // HEADS, h * w).transpose(2, 3)
                   for t in self.qkv(self.norm(x)).chunk(3, 1))
        y = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(y.transpose(2, 3).reshape(b, c, h, w))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        c = WIDTH
        self.time = nn.Sequential(nn.Linear(c, EMBED), nn.SiLU(), nn.Linear(EMBED, EMBED), nn.SiLU())
        self.first = nn.Conv2d(3, c, 3, padding=1)
        self.down1, self.pool = Residual(c, c), nn.Conv2d(c, c, 3, stride=2, padding=1)
        self.down2, self.attend1 = Residual(c, 2 * c), Attention(2 * c)
        self.middle = Residual(2 * c, 2 * c)
        self.up2, self.attend2 = Residual(4 * c, 2 * c), Attention(2 * c)
        self.grow = nn.Conv2d(2 * c, 2 * c, 3, padding=1)
        self.up1 = Residual(3 * c, c)
        self.norm, self.last = nn.GroupNorm(GROUPS, c), nn.Conv2d(c, 3, 3, padding=1)

    def forward(self, x, t):
        rate = torch.exp(-math.log(10000) * torch.arange(WIDTH // 2) / (WIDTH // 2))
        angle = t[:, None].float() * rate
        t = self.time(torch.cat((angle.sin(), angle.cos()), 1))
        h1 = self.down1(self.first(x), t)
        h2 = self.attend1(self.down2(self.pool(h1), t))
        h = self.middle(h2, t)
        h = self.attend2(self.up2(torch.cat((h, h2), 1), t))
        h = self.grow(F.interpolate(h, scale_factor=2, mode="nearest"))
        h = self.up1(torch.cat((h, h1), 1), t)
        return self.last(F.silu(self.norm(h)))


def prepare(form):
    kind, _, layout = form.partition("-")
    layout = torch.channels_last if layout == "nhwc" else torch.contiguous_format
    data = torch.randn(BATCH, 3, 32, 32).to(memory_format=layout)
    model = UNet().to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4, **KIND[kind])
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, STEPS), 0)

    def step():
        t = torch.randint(STEPS, (BATCH,))
        noise = torch.randn_like(data)
        signal = kept[t][:, None, None, None]
        x = signal.sqrt() * data + (1 - signal).sqrt() * noise
        loss = (model(x, t) - noise).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def run(n):
        for _ in range(n):
            step()

    return run
