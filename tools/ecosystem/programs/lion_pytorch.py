"""Lion-pytorch: the optimizer Lion."""

import torch
from lion_pytorch import Lion

from tools.ecosystem.cases import fill, normal


def _steps(count, **options):
    model = fill(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)))
    optimizer = Lion(model.parameters(), lr=1e-2, weight_decay=1e-2, **options)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    for _ in range(count):

        def closure():
            optimizer.zero_grad()
            loss = model(normal(16, 4)).square().mean()
            loss.backward()
            return loss

        loss = optimizer.step(closure)
        schedule.step()
    return model, optimizer, loss


def steps():
    model, optimizer, loss = _steps(8)
    return {"loss": loss, "weights": model.state_dict(), "state": optimizer.state_dict()["state"]}


def decoupled():
    model, _, loss = _steps(5, decoupled_weight_decay=True, betas=(0.95, 0.98))
    return {"loss": loss, "weights": model.state_dict()}
