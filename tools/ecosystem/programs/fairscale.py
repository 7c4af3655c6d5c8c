"""FairScale: checkpointed and flattened modules."""

import torch
from fairscale.nn import FlattenParamsWrapper, checkpoint_wrapper

from tools.ecosystem.cases import fill, normal


def _model():
    return fill(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)))


def checkpointed():
    model, inputs = checkpoint_wrapper(_model()), normal(16, 4).requires_grad_()
    loss = model(inputs).square().mean()
    loss.backward()
    return {"loss": loss, "inputs": inputs.grad, "parameters": [p.grad for p in model.parameters()]}


def flattened():
    model = FlattenParamsWrapper(_model())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for i in range(3):
        optimizer.zero_grad()
        model(normal(16, 4, seed=i)).square().mean().backward()
        optimizer.step()
    return {"flat": [p.detach() for p in model.parameters()], "state": model.state_dict()}
