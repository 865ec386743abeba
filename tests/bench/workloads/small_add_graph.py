"""Add of two 4x4 tensors that records a graph, as in small_add_graph.lua."""

import torch


def prepare(_form):
    x, y = torch.randn(4, 4, requires_grad=True), torch.randn(4, 4)

    def run(n):
        for _ in range(n):
            x + y

    return run
