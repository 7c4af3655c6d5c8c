"""TorchJD: descent along Jacobians of several losses."""

import torch
from torchjd.autojac import backward, mtl_backward

from tools.ecosystem.cases import fill, normal


def several_losses():
    model = fill(torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2)))
    losses = model(normal(8, 4)).square().mean(dim=0)
    backward(losses)
    return {name: p.jac for name, p in model.named_parameters()}


def tasks():
    shared, heads = fill(torch.nn.Linear(4, 5)), [fill(torch.nn.Linear(5, 1), seed=seed) for seed in range(2)]
    features = shared(normal(8, 4))
    mtl_backward([head(features).square().mean() for head in heads], features=features)
    return {"shared": shared.weight.jac, "heads": [head.weight.grad for head in heads]}
