"""Pytorch-crf: a conditional random field."""

import torch
from torchcrf import CRF

from tools.ecosystem.cases import fill, integers, normal


def field():
    model = fill(CRF(5, batch_first=True))
    emissions = normal(3, 7, 5).requires_grad_()
    mask = torch.arange(7)[None] < torch.tensor([[7], [4], [2]])
    likelihood = model(emissions, integers(5, 3, 7), mask=mask, reduction="token_mean")
    likelihood.backward()
    return {
        "likelihood": likelihood,
        "gradient": emissions.grad,
        "transitions": model.transitions.grad,
        "best": model.decode(emissions, mask=mask),
        "each": model(emissions, integers(5, 3, 7), mask=mask.to(torch.uint8), reduction="none"),
        "printed": repr(model),
    }
