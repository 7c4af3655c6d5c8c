"""Torch-optimizer: optimizers from papers."""

import torch
import torch_optimizer

from tools.ecosystem.cases import fill, normal

TOLERANCE = 2e-3
_NAMES = [
    "A2GradExp",
    "A2GradInc",
    "A2GradUni",
    "AccSGD",
    "AdaBelief",
    "AdaBound",
    "AdaMod",
    "Adafactor",
    "AdamP",
    "AggMo",
    "Apollo",
    "DiffGrad",
    "LARS",
    "Lamb",
    "MADGRAD",
    "NovoGrad",
    "PID",
    "QHAdam",
    "QHM",
    "RAdam",
    "Ranger",
    "RangerQH",
    "RangerVA",
    "SGDP",
    "SGDW",
    "SWATS",
    "Shampoo",
    "Yogi",
]


def _trained(kind, **options):
    model = fill(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)))
    optimizer = kind(model.parameters(), **options)
    for step in range(8):
        optimizer.zero_grad()
        loss = model(normal(16, 4, seed=step)).square().mean()
        loss.backward()
        optimizer.step()
    return {"weights": model.state_dict(), "loss": loss}


def optimizers():
    return {name: _trained(getattr(torch_optimizer, name)) for name in _NAMES}


def lookahead():
    model = fill(torch.nn.Linear(4, 1))
    optimizer = torch_optimizer.Lookahead(torch.optim.Adam(model.parameters(), lr=0.1), k=3)
    for step in range(7):
        optimizer.zero_grad()
        model(normal(16, 4, seed=step)).square().mean().backward()
        optimizer.step()
    return {"weights": model.state_dict()}
