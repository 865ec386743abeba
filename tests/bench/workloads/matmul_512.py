"""Product of two 512x512 matrices without graph, as in matmul_512.lua."""

import torch


def prepare(form):
    x, y = torch.randn(512, 512), torch.randn(512, 512)

    def run(n):
        with torch.inference_mode(form == "inference"):
            for _ in range(n):
                x @ y

    return run
