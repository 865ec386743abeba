"""VAE training step: forward, backward and Adam update, as in vae_step.lua."""

import torch
import torch.nn.functional as F
from torch import nn

BATCH, BATCHES, FEATURES, HIDDEN, LATENT = 100, 20, 784, 500, 20
KIND = {"fused": {"fused": True}, "foreach": {"foreach": True}, "single": {"foreach": False}}


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.Tanh(),
                                     nn.Linear(HIDDEN, HIDDEN), nn.Tanh())
        self.mean = nn.Linear(HIDDEN, LATENT)
        self.log_scale = nn.Linear(HIDDEN, LATENT)
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.Tanh(),
                                     nn.Linear(HIDDEN, HIDDEN), nn.Tanh(),
                                     nn.Linear(HIDDEN, FEATURES))

    def loss(self, x):
        h = self.encoder(x)
        mean, log_scale = self.mean(h), self.log_scale(h)
        scale = log_scale.exp()
        z = mean + scale * torch.randn_like(mean)
        rec = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = (0.5 * (mean.square() + scale.square() - 1) - log_scale).sum()
        return (rec + kl) / BATCH


def initialise(module):
    """As Perigee's layers start for tanh."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def prepare(form):
    data = torch.bernoulli(torch.full((BATCH * BATCHES, FEATURES), 0.5))
    model = Vae()
    model.apply(initialise)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **KIND[form])

    def run(n):
        for i in range(n):
            start = i % BATCHES * BATCH
            loss = model.loss(data[start:start + BATCH])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return run
