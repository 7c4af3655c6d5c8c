"""Lightly: losses and heads of self-supervised learning."""

import copy

import torch
from lightly import loss
from lightly.models import utils
from lightly.models.modules import heads

from tools.ecosystem.cases import fill, normal


def losses():
    kinds = {
        "ntxent": loss.NTXentLoss(temperature=0.2),
        "barlow": loss.BarlowTwinsLoss(),
        "vicreg": loss.VICRegLoss(),
        "cosine": loss.NegativeCosineSimilarity(),
        "dcl": loss.DCLLoss(),
        "tico": loss.TiCoLoss(),
        "swav": loss.SwaVLoss(),
    }
    results = {}
    for name, function in kinds.items():
        first, second = normal(8, 6).requires_grad_(), normal(8, 6, seed=1)
        value = function([first, second], [second, first]) if name == "swav" else function(first, second)
        value.backward()
        results[name] = {"loss": value, "gradient": first.grad}
    return results


def projections():
    made = {
        "byol": heads.BYOLProjectionHead(6, 8, 4),
        "simclr": heads.SimCLRProjectionHead(6, 8, 4),
        "dino": heads.DINOProjectionHead(6, 8, 4, 5),
        "swav": heads.SwaVPrototypes(6, n_prototypes=4),
    }
    return {name: fill(head).eval()(normal(5, 6)) for name, head in made.items()}


def momentum():
    model = fill(torch.nn.Linear(3, 2))
    other = fill(copy.deepcopy(model), seed=1)
    utils.deactivate_requires_grad(other)
    utils.update_momentum(model, other, m=0.9)
    tokens = normal(2, 10, 4)
    index = torch.tensor([[0, 3, 5], [1, 2, 9]])
    return {
        "weight": other.weight,
        "kept": utils.get_at_index(tokens, index),
        "masked": utils.mask_at_index(tokens, index, torch.zeros(1, 1, 4)),
        "patches": utils.patchify(normal(1, 3, 8, 8), 4),
    }
