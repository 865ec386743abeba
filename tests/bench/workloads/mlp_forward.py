"""Forward pass of an MLP without graph, as in mlp_forward.lua."""

import torch
from torch import nn


def prepare(form):
    x = torch.randn(100, 784)
    model = nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 500), nn.ReLU(),
                          nn.Linear(500, 10))
    without_graph = torch.inference_mode if form == "inference" else torch.no_grad

    def run(n):
        with without_graph():
            for _ in range(n):
                model(x)

    return run
