"""GRU language model training step: 65-128-256, 64 tokens, as in gru_step.lua."""

import torch
import torch.nn.functional as F
from torch import nn

BATCH, TIME, EMBED, HIDDEN, VOCABULARY = 32, 64, 128, 256, 65
KIND = {"fused": {"fused": True}, "foreach": {"foreach": True}, "single": {"foreach": False}}


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, EMBED)
        self.gru = nn.GRU(EMBED, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, VOCABULARY)

    def forward(self, tokens):
        return self.head(self.gru(self.embed(tokens))[0])


def prepare(form):
    tokens = torch.randint(VOCABULARY, (BATCH, TIME + 1))
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **KIND[form])

    def run(n):
        for _ in range(n):
            loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return run
