"""RBM update by contrastive divergence with ten Gibbs steps: 784-500, as in rbm_cd10.lua."""

import torch

BATCH, VISIBLE, HIDDEN, STEPS, RATE = 100, 784, 500, 10, 0.01


def prepare(form):
    data = torch.bernoulli(torch.full((BATCH, VISIBLE), 0.5))
    w, b, c = 0.01 * torch.randn(VISIBLE, HIDDEN), torch.zeros(VISIBLE), torch.zeros(HIDDEN)

    def step():
        positive = torch.sigmoid(data @ w + c)
        h = torch.bernoulli(positive)
        for _ in range(STEPS):
            v = torch.bernoulli(torch.sigmoid(h @ w.T + b))
            negative = torch.sigmoid(v @ w + c)
            h = torch.bernoulli(negative)
        w.addmm_(data.T, positive, alpha=RATE / BATCH).addmm_(v.T, negative, alpha=-RATE / BATCH)
        b.add_((data - v).mean(0), alpha=RATE)
        c.add_((positive - negative).mean(0), alpha=RATE)

    def run(n):
        with torch.inference_mode() if form == "inference" else torch.no_grad():
            for _ in range(n):
                step()

    return run
