"""torch-ema: moving averages of parameters."""

import torch
from torch import nn
from torch_ema import ExponentialMovingAverage

from tools.ecosystem.cases import fill, normal


def averages():
    model = fill(nn.Linear(4, 2))
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    ema = ExponentialMovingAverage(model.parameters(), decay=0.9)
    for step in range(4):
        optimizer.zero_grad()
        model(normal(5, 4, seed=step)).square().sum().backward()
        optimizer.step()
        ema.update()
    other = ExponentialMovingAverage(nn.Linear(4, 2).parameters(), decay=0.5)
    other.load_state_dict(ema.state_dict())
    trained = model(normal(3, 4)).detach()
    with ema.average_parameters():
        averaged = model(normal(3, 4)).detach()
    ema.copy_to()
    return {"trained": trained, "averaged": averaged, "loaded": other.shadow_params, "copied": model.state_dict()}
