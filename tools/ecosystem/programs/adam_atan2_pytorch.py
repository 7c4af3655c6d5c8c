"""Adam-atan2-pytorch: Adam with an arctangent instead of a division."""

import adam_atan2_pytorch
import torch

from tools.ecosystem.cases import fill, normal


def steps():
    trained = {}
    for name in ("AdamAtan2", "AdoptAtan2", "MuonAdamAtan2"):
        model = fill(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)))
        kind = getattr(adam_atan2_pytorch, name)
        split = ([model[0].weight],) if name.startswith("Muon") else ()
        optimizer = kind(*split, model.parameters(), lr=1e-2, weight_decay=0.01)
        for step in range(6):
            optimizer.zero_grad()
            model(normal(16, 4, seed=step)).square().mean().backward()
            optimizer.step()
        trained[name] = model.state_dict()
    return trained
