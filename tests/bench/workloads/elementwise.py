"""tanh(x * y + z) on a million elements without graph, as in elementwise.lua."""

import torch


def prepare(form):
    x, y, z = torch.randn(1000, 1000), torch.randn(1000, 1000), torch.randn(1000, 1000)

    def run(n):
        with torch.inference_mode(form == "inference"):
            for _ in range(n):
                torch.tanh(x * y + z)

    return run
