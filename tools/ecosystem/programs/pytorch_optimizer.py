"""pytorch-optimizer: a hundred optimizers that derive from PyTorch's."""

import pytorch_optimizer
import torch
from torch import nn

from tools.ecosystem.cases import fill, normal


def _trained(name, **options):
    model = fill(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)))
    optimizer = pytorch_optimizer.load_optimizer(name)(model.parameters(), lr=0.01, **options)
    for step in range(5):
        optimizer.zero_grad()
        model(normal(16, 4, seed=step)).square().mean().backward()
        optimizer.step()
    return model.state_dict()


def adaptive():
    return {name: _trained(name) for name in ("adabelief", "adabound", "adamp", "adan", "diffgrad", "radam", "yogi")}


def others():
    names = ("lion", "madgrad", "lamb", "lars", "novograd", "tiger", "came", "adopt", "ranger", "ranger21")
    options = {"ranger21": {"num_iterations": 5}}
    return {name: _trained(name, **options.get(name, {})) for name in names}


def sharpness_aware():
    model = fill(nn.Linear(4, 1))
    optimizer = pytorch_optimizer.SAM(model.parameters(), torch.optim.SGD, rho=0.05, lr=0.1)
    for step in range(3):
        model(normal(8, 4, seed=step)).square().mean().backward()
        optimizer.first_step(zero_grad=True)
        model(normal(8, 4, seed=step)).square().mean().backward()
        optimizer.second_step(zero_grad=True)
    return model.state_dict()
