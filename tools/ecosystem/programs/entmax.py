"""Entmax: sparse alternatives to softmax, and their losses."""

import entmax
import torch

from tools.ecosystem.cases import integers, normal


def mappings():
    results = {}
    for name, mapping in {
        "sparsemax": entmax.sparsemax,
        "entmax15": entmax.entmax15,
        "bisect": lambda x: entmax.entmax_bisect(x, alpha=1.3),
        "normmax": lambda x: entmax.normmax_bisect(x, alpha=2),
        "budget": lambda x: entmax.budget_bisect(x, budget=2),
    }.items():
        inputs = normal(4, 7).requires_grad_()
        values = mapping(inputs)
        (values * normal(4, 7, seed=1)).sum().backward()
        results[name] = {"values": values, "gradient": inputs.grad}
    return results


def losses():
    results = {}
    for name in ("SparsemaxLoss", "Entmax15Loss", "EntmaxBisectLoss"):
        inputs = normal(4, 7).requires_grad_()
        loss = getattr(entmax, name)(reduction="elementwise_mean")(inputs, integers(7, 4))
        loss.backward()
        results[name] = {"loss": loss, "gradient": inputs.grad}
    alpha = torch.tensor(1.4, requires_grad=True)
    entmax.entmax_bisect(normal(3, 5), alpha=alpha).square().sum().backward()
    return {**results, "alpha": alpha.grad}
