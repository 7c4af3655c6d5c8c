"""Functions mapped over a batch."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ..workload import Code, Library, Workload

BATCH, SIZES = 64, (20, 64, 64, 10)


def per_sample_gradients(library: Library) -> Code:
    """Return the computation of a perceptron's gradients for each of 64 examples, by ``vmap(grad(loss))``."""
    func, functional = library.fb.func, library.functional
    layers = tuple(pairwise(SIZES))
    weights = [library.normal(o, i, scale=i**-0.5) for i, o in layers]
    biases = [library.normal(o) for _, o in layers]
    x, labels = library.normal(BATCH, SIZES[0]), library.integers(SIZES[-1], BATCH)

    def loss(weights: Any, biases: Any, example: Any, label: Any) -> Any:
        hidden = example.unsqueeze(0)
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            hidden = functional.relu(functional.linear(hidden, weight, bias))
        logits = functional.linear(hidden, weights[-1], biases[-1])
        return functional.cross_entropy(logits, label.unsqueeze(0))

    gradients = func.vmap(func.grad(loss, argnums=(0, 1)), in_dims=(None, None, 0, 0))
    return Code(lambda: [g for part in gradients(weights, biases, x, labels) for g in part])


def distances(library: Library) -> Code:
    """Return the computation of all distances between 100 and 200 points, with two nested vmaps."""
    vmap = library.fb.func.vmap
    x, y = library.normal(100, 8), library.normal(200, 8)
    mapped = vmap(vmap(lambda a, b: (a - b).square().sum().sqrt(), (None, 0)), (0, None))
    return Code(lambda: mapped(x, y))


ROWS = (
    Workload("mapping", "per-sample gradients of an MLP, 64 examples", per_sample_gradients, at_most=0.7),
    Workload("mapping", "distances by two nested maps, 100x200x8", distances),
)
