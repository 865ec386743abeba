"""Add of two 4x4 tensors without graph, as in small_add.lua."""

import torch


def prepare(form):
    x, y = torch.randn(4, 4), torch.randn(4, 4)

    def run(n):
        with torch.inference_mode(form == "inference"):
            for _ in range(n):
                x + y

    return run
