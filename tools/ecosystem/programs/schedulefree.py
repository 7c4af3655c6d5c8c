"""Schedulefree: optimizers that average their iterates instead of following a learning-rate schedule."""

import schedulefree
import torch

from tools.ecosystem.cases import fill, normal


def _trained(kind, **options):
    model = fill(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)))
    optimizer = kind(model.parameters(), lr=0.02, **options)
    optimizer.train()
    for step in range(6):
        optimizer.zero_grad()
        loss = model(normal(16, 4, seed=step)).square().mean()
        loss.backward()
        optimizer.step()
    trained = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer.eval()
    return {"train": trained, "eval": model.state_dict(), "loss": loss}


def optimizers():
    return {
        "adamw": _trained(schedulefree.AdamWScheduleFree, weight_decay=0.1, warmup_steps=3),
        "each": _trained(schedulefree.AdamWScheduleFree, foreach=False),
        "sgd": _trained(schedulefree.SGDScheduleFree),
        "radam": _trained(schedulefree.RAdamScheduleFree),
        "reference": _trained(schedulefree.AdamWScheduleFreeReference),
    }


def wrapped():
    model = fill(torch.nn.Linear(4, 1))
    base = torch.optim.SGD(model.parameters(), lr=0.05)
    optimizer = schedulefree.ScheduleFreeWrapper(base, momentum=0.9)
    optimizer.train()
    for step in range(4):
        optimizer.zero_grad()
        model(normal(8, 4, seed=step)).square().mean().backward()
        optimizer.step()
    optimizer.eval()
    return {"weights": model.state_dict()}
