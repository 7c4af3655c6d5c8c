"""The derivatives of a function's outputs in directions of its inputs: by differences, backwards and forwards.

Complex numbers count as their two parts, in inputs and outputs: a function need not be holomorphic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import flambeau
from flambeau import Tensor
from flambeau.autograd._backward import grad


@dataclass
class Problem:
    """What is differentiated, where, and how exactly."""

    func: Callable[..., Any]
    arguments: list[Any]
    checked: list[int]  # the positions of the inputs that require a gradient
    eps: float
    atol: float
    rtol: float

    def sources(self) -> list[Tensor]:
        return [self.arguments[i] for i in self.checked]

    def outputs(self, arguments: list[Any] | None = None) -> list[Tensor]:
        """The differentiable results for these arguments; where there are none, all: their derivative must be zero."""
        results = outputs_of(self.func, self.arguments if arguments is None else arguments)
        return [results[i] for i in self._differentiable]

    @cached_property
    def _differentiable(self) -> list[int]:
        results = outputs_of(self.func, self.arguments)
        return [i for i, t in enumerate(results) if t.requires_grad] or list(range(len(results)))


def outputs_of(func: Callable[..., Any], arguments: list[Any]) -> list[Tensor]:
    """The tensors among a function's results that can have a derivative."""
    result = func(*arguments)
    listed = list(result) if isinstance(result, (tuple, list)) else [result]
    return [t for t in listed if isinstance(t, Tensor) and (t.is_floating_point() or t.is_complex())]


# Tensors as vectors of real numbers


def parts(tensor: Tensor) -> np.ndarray:
    """The elements as a vector of real numbers: of each complex one both parts, next to each other."""
    wide = tensor.detach().to(flambeau.complex128 if tensor.is_complex() else flambeau.float64)
    array = np.array(wide.numpy()).reshape(-1)
    return array.view(np.float64) if array.size else array.real


def of_parts(vector: Any, like: Tensor) -> Tensor:
    """The tensor with these parts, of the shape and dtype of another."""
    values = vector.view(np.complex128) if like.is_complex() and vector.size else vector
    return flambeau.tensor(values).to(like.dtype).reshape(like.shape)


def unit_vectors(count: int) -> Iterator[Any]:
    """The standard basis."""
    for j in range(count):
        unit = np.zeros(count)
        unit[j] = 1.0
        yield unit


# The derivatives along a direction v of one input's parts: vectors of each output's parts


def numerical_derivative(problem: Problem, which: int, v: Any) -> list[Any]:
    """Central differences."""
    original = problem.arguments[which]

    def evaluate(step: float) -> list[Any]:
        changed = list(problem.arguments)
        changed[which] = of_parts(parts(original) + step * v, original).requires_grad_()
        return [parts(t) for t in problem.outputs(changed)]

    high, low = evaluate(problem.eps), evaluate(-problem.eps)
    return [(h - lo) / (2 * problem.eps) for h, lo in zip(high, low, strict=True)]


def forward_derivative(problem: Problem, which: int, v: Any) -> list[Any]:
    """Of dual tensors."""
    forward_ad = flambeau.autograd.forward_ad
    original = problem.arguments[which]
    with forward_ad.dual_level():
        changed = list(problem.arguments)
        changed[which] = forward_ad.make_dual(original.detach(), of_parts(v, original))
        pairs = [forward_ad.unpack_dual(t) for t in problem.outputs(changed)]
        return [np.zeros_like(parts(p)) if t is None else parts(t) for p, t in pairs]


def backward_derivative(output: Tensor, inputs: list[Tensor], u: Any) -> list[Any]:
    """The gradients of ``u^T output``, as the parts of each input."""
    if output.requires_grad:
        found = grad(output, inputs, of_parts(u, output), retain_graph=True, allow_unused=True)
    else:
        found = (None,) * len(inputs)
    return [np.zeros_like(parts(t)) if g is None else parts(g) for g, t in zip(found, inputs, strict=True)]
