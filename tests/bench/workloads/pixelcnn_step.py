"""PixelCNN training step on 28x28 binary images, as in pixelcnn_step.lua.

A 7x7 convolution of mask A, five residual blocks (1x1 to half, 3x3 of mask B, 1x1 back), two 1x1
convolutions; van den Oord et al. 2016, figure 5.
"""

import torch
import torch.nn.functional as F
from torch import nn

BATCH, SIZE, WIDTH, BLOCKS = 16, 28, 64, 5
KIND = {"fused": {"fused": True}, "foreach": {"foreach": True}, "single": {"foreach": False}}


class MaskedConv(nn.Conv2d):
    def __init__(self, kind, *args, **options):
        super().__init__(*args, **options)
        mask = torch.ones_like(self.weight)
        middle = mask.shape[-1] // 2
        mask[:, :, middle, middle + (kind == "B"):] = 0
        mask[:, :, middle + 1:] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(WIDTH, WIDTH // 2, 1)
        self.mix = MaskedConv("B", WIDTH // 2, WIDTH // 2, 3, padding=1)
        self.up = nn.Conv2d(WIDTH // 2, WIDTH, 1)

    def forward(self, x):
        return x + self.up(F.relu(self.mix(F.relu(self.down(F.relu(x))))))


def prepare(form):
    kind, _, layout = form.partition("-")
    layout = torch.channels_last if layout == "nhwc" else torch.contiguous_format
    data = torch.bernoulli(torch.full((BATCH, 1, SIZE, SIZE), 0.5)).to(memory_format=layout)
    model = nn.Sequential(MaskedConv("A", 1, WIDTH, 7, padding=3), *[Block() for _ in range(BLOCKS)],
                          nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 1), nn.ReLU(), nn.Conv2d(WIDTH, 1, 1))
    model = model.to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **KIND[kind])

    def run(n):
        for _ in range(n):
            loss = F.binary_cross_entropy_with_logits(model(data), data, reduction="sum") / BATCH
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return run
