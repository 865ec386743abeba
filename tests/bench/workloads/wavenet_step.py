"""WaveNet training step: 8 dilated causal layers on 2048 samples, as in wavenet_step.lua.

Gated units, skip connections, 256 classes; van den Oord et al. 2016, figure 4.
"""

import torch
import torch.nn.functional as F
from torch import nn

BATCH, TIME, WIDTH, SKIP, LAYERS, CLASSES = 2, 2048, 32, 64, 8, 256
KIND = {"fused": {"fused": True}, "foreach": {"foreach": True}, "single": {"foreach": False}}


class Layer(nn.Module):
    def __init__(self, dilation):
        super().__init__()
        self.dilation = dilation
        self.conv = nn.Conv1d(WIDTH, 2 * WIDTH, 2, dilation=dilation)
        self.residual, self.skip = nn.Conv1d(WIDTH, WIDTH, 1), nn.Conv1d(WIDTH, SKIP, 1)

    def forward(self, x):
        filtered, gate = self.conv(F.pad(x, (self.dilation, 0))).split(WIDTH, 1)
        h = torch.tanh(filtered) * torch.sigmoid(gate)
        return x + self.residual(h), self.skip(h)


class WaveNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(CLASSES, WIDTH)
        self.layers = nn.ModuleList(Layer(2 ** i) for i in range(LAYERS))
        self.mix, self.out = nn.Conv1d(SKIP, SKIP, 1), nn.Conv1d(SKIP, CLASSES, 1)

    def forward(self, samples):
        x, total = self.embed(samples).transpose(1, 2), 0
        for layer in self.layers:
            x, skip = layer(x)
            total = total + skip
        return self.out(F.relu(self.mix(F.relu(total))))


def prepare(form):
    samples = torch.randint(CLASSES, (BATCH, TIME + 1))
    model = WaveNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **KIND[form])

    def run(n):
        for _ in range(n):
            loss = F.cross_entropy(model(samples[:, :-1]), samples[:, 1:])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return run
