"""MADE training step: masked 784-500-784, forward, backward and Adam, as in made_step.lua."""

import torch
import torch.nn.functional as F
from torch import nn

BATCH, FEATURES, HIDDEN = 100, 784, 500
KIND = {"fused": {"fused": True}, "foreach": {"foreach": True}, "single": {"foreach": False}}


class MaskedLinear(nn.Linear):
    def __init__(self, mask):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x):
        return F.linear(x, self.weight * self.mask, self.bias)


def prepare(form):
    data = torch.bernoulli(torch.full((BATCH, FEATURES), 0.5))
    degree, hidden = torch.arange(1, FEATURES + 1), torch.arange(HIDDEN) % (FEATURES - 1) + 1
    model = nn.Sequential(MaskedLinear((hidden[:, None] >= degree[None, :]).float()), nn.ReLU(),
                          MaskedLinear((degree[:, None] > hidden[None, :]).float()))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **KIND[form])

    def run(n):
        for _ in range(n):
            loss = F.binary_cross_entropy_with_logits(model(data), data, reduction="sum") / BATCH
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return run
