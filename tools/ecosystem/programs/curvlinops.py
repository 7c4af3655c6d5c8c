"""Curvlinops: Hessians, their approximations and their inverses as linear operators."""

import curvlinops
import torch

from tools.ecosystem.cases import fill, integers, normal

TOLERANCE = 1e-3


def _problem():
    model = fill(torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)))
    data = [(normal(6, 4, seed=seed), integers(3, 6, seed=seed)) for seed in range(2)]
    return model, torch.nn.CrossEntropyLoss(), [p for p in model.parameters() if p.requires_grad], data


def products():
    results = {}
    for name in ("HessianLinearOperator", "GGNLinearOperator", "EFLinearOperator"):
        model, loss, parameters, data = _problem()
        operator = getattr(curvlinops, name)(model, loss, parameters, data)
        results[name] = operator @ normal(operator.shape[1], 2)
    return results


def factored():
    model, loss, parameters, data = _problem()
    operator = curvlinops.KFACLinearOperator(model, loss, parameters, data, fisher_type="type-2", kfac_approx="expand")
    inverse = curvlinops.KFACInverseLinearOperator(operator, damping=0.1)
    vector = normal(operator.shape[1])
    return {"product": operator @ vector, "inverse": inverse @ vector}
