"""Prodigyopt: Adam that estimates its learning rate."""

import torch
from prodigyopt import Prodigy

from tools.ecosystem.cases import fill, normal


def _trained(**options):
    model = fill(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)))
    optimizer = Prodigy(model.parameters(), lr=1.0, **options)
    for step in range(8):
        optimizer.zero_grad()
        model(normal(16, 4, seed=step)).square().mean().backward()
        optimizer.step()
    group = optimizer.param_groups[0]
    return {
        "weights": model.state_dict(),
        "d": float(group["d"]),
        "state": optimizer.state_dict()["state"][0]["exp_avg"],
    }


def steps():
    return {
        "plain": _trained(),
        "decay": _trained(weight_decay=0.01, safeguard_warmup=True, use_bias_correction=True),
        "sliced": _trained(slice_p=3, decouple=False),
    }
