"""BackPACK: per-sample gradients, curvatures and variances, computed during backward()."""

import torch
from backpack import backpack, extend, extensions

from tools.ecosystem.cases import fill, integers, normal


def _computed(*quantities):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(27, 4)
    )
    model = extend(fill(model))
    loss = extend(torch.nn.CrossEntropyLoss())(model(normal(5, 1, 8, 8)), integers(4, 5))
    with backpack(*quantities):
        loss.backward()
    names = [quantity.savefield for quantity in quantities]
    return {key: {name: getattr(p, name) for name in names} for key, p in model.named_parameters()}


def first_order():
    return _computed(
        extensions.BatchGrad(), extensions.BatchL2Grad(), extensions.SumGradSquared(), extensions.Variance()
    )


def second_order():
    return _computed(extensions.DiagGGNExact(), extensions.SqrtGGNExact(), extensions.KFLR(), extensions.DiagHessian())


def recurrent():
    model = extend(fill(torch.nn.LSTM(4, 6, batch_first=True)))
    output = model(normal(3, 5, 4))[0]
    with backpack(extensions.BatchGrad()):
        torch.autograd.backward(output, normal(3, 5, 6))
    return {name: p.grad_batch for name, p in model.named_parameters()}
