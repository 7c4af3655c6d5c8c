"""Directional derivatives of functions, computed with finite differences, in reverse mode and in forward mode.

A complex number in an input or output is treated as two real numbers, so functions do not need to be holomorphic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import flambeau
from flambeau import Tensor, _core
from flambeau.autograd._backward import grad


@dataclass
class Problem:
    """The function to differentiate, its arguments, the step of the finite differences, and the tolerances."""

    func: Callable[..., Any]
    arguments: list[Any]
    checked: list[int]  # positions of the arguments that require grad
    eps: float
    atol: float
    rtol: float

    def sources(self) -> list[Tensor]:
        return [self.arguments[i] for i in self.checked]

    def outputs(self, arguments: list[Any] | None = None) -> list[Tensor]:
        """Return the outputs that require grad for these arguments, or all outputs if no output requires grad."""
        results = outputs_of(self.func, self.arguments if arguments is None else arguments)
        return [results[i] for i in self._differentiable[0]]

    @property
    def is_constant(self) -> bool:
        """True if no output requires grad."""
        return not self._differentiable[1]

    @cached_property
    def _differentiable(self) -> tuple[list[int], bool]:
        results = outputs_of(self.func, self.arguments)
        indices = [i for i, t in enumerate(results) if t.requires_grad]
        return indices or list(range(len(results))), bool(indices)


def outputs_of(func: Callable[..., Any], arguments: list[Any]) -> list[Tensor]:
    """Return the floating-point and complex tensors in the result of a function."""
    result = func(*arguments)
    listed = list(result) if isinstance(result, (tuple, list)) else [result]
    return [t for t in listed if isinstance(t, Tensor) and (t.is_floating_point() or t.is_complex())]


# Tensors as vectors of real numbers


def parts(tensor: Tensor) -> np.ndarray:
    """Return the elements of a tensor as a vector of real numbers. Real and imaginary parts alternate.

    For a sparse tensor, return its stored values in the order of their indices.
    """
    plain = tensor.detach()
    if _core._is_dispatching_class(type(plain)):  # NumPy cannot share the memory of such a tensor
        plain = flambeau.tensor([each.item() for each in plain.reshape(-1).unbind()], dtype=flambeau.complex128)
        plain = plain if tensor.is_complex() else plain.real
    if plain.layout is not flambeau.strided:
        plain = (plain.coalesce() if plain.layout is flambeau.sparse_coo else plain).values()
    wide = plain.to(flambeau.complex128 if tensor.is_complex() else flambeau.float64)
    array = np.array(wide.numpy()).reshape(-1)
    return array.view(np.float64) if array.size else array.real


def of_parts(vector: Any, like: Tensor) -> Tensor:
    """Convert a vector that `parts` returned to a tensor with the shape, dtype and (if sparse) indices of ``like``."""
    if like.layout is flambeau.sparse_coo:
        merged: Any = like.detach().coalesce()
        values = of_parts(vector, merged.values())
        return flambeau.sparse_coo_tensor(merged.indices(), values, like.shape, is_coalesced=True)
    if like.layout is not flambeau.strided:
        by_rows = like.layout in (flambeau.sparse_csr, flambeau.sparse_bsr)
        held: Any = like.detach()
        indices = (held.crow_indices(), held.col_indices()) if by_rows else (held.ccol_indices(), held.row_indices())
        values = of_parts(vector, held.values())
        return flambeau.sparse_compressed_tensor(*indices, values, like.shape, layout=like.layout)
    values = vector.view(np.complex128) if like.is_complex() and vector.size else vector
    return flambeau.tensor(values).to(like.dtype).reshape(like.shape)


def unit_vectors(count: int) -> Iterator[Any]:
    """Yield the vectors of the standard basis."""
    for j in range(count):
        unit = np.zeros(count)
        unit[j] = 1.0
        yield unit


# Derivatives along a direction v of one input. The result is a list with one real vector for each output.


def numerical_derivative(problem: Problem, which: int, v: Any) -> list[Any]:
    """Compute the derivative along direction ``v`` of argument ``which`` with central differences."""
    original = problem.arguments[which]

    def evaluate(step: float) -> list[Tensor]:
        with _argument_set_to(problem, which, of_parts(parts(original) + step * v, original)) as arguments:
            return [t.detach().clone() for t in problem.outputs(arguments)]

    high, low = evaluate(problem.eps), evaluate(-problem.eps)
    for h, lo in zip(high, low, strict=True):
        for what in ("shape", "dtype"):
            if getattr(h, what) != getattr(lo, what):
                raise AssertionError(
                    f"Expected `func` to return outputs with the same {what} when inputs are perturbed by "
                    f"{problem.eps}, but got: {what}s {getattr(h, what)} and {getattr(lo, what)}."
                )
    return [(parts(h) - parts(lo)) / (2 * problem.eps) for h, lo in zip(high, low, strict=True)]


@contextmanager
def _argument_set_to(problem: Problem, which: int, values: Tensor) -> Iterator[list[Any]]:
    """Set the values of one argument during the block, and yield the arguments.

    The values are written into the tensor itself, so that a function that refers to the tensor sees them. A sparse or
    expanded tensor is replaced with a new tensor.
    """
    original = problem.arguments[which]
    plain = original.detach()
    if plain.layout is not flambeau.strided or 0 in plain.stride():
        changed = list(problem.arguments)
        changed[which] = values.requires_grad_()
        yield changed
        return
    former = plain.clone()
    try:
        plain.copy_(values)
        yield problem.arguments
    finally:
        plain.copy_(former)


def forward_derivative(problem: Problem, which: int, v: Any) -> list[Any]:
    """Compute the derivative along direction ``v`` of argument ``which`` with dual tensors. Other tangents are zero."""
    forward_ad = flambeau.autograd.forward_ad
    with forward_ad.dual_level():
        changed = list(problem.arguments)
        for i in problem.checked:
            original = problem.arguments[i].detach()
            # Clone the tangent, so that it is not a view. A jvp that returns the tangent itself, but must return a view
            # of the tangent, then raises an error.
            tangent = of_parts(v, original).clone() if i == which else flambeau.zeros_like(original)
            changed[i] = forward_ad.make_dual(original, tangent)
        pairs = [forward_ad.unpack_dual(t) for t in problem.outputs(changed)]
        return [np.zeros_like(parts(p)) if t is None else parts(t) for p, t in pairs]


def backward_derivative(output: Tensor, inputs: list[Tensor], u: Any) -> list[Any]:
    """Return the gradients of ``u^T output`` as real vectors, one for each input."""
    if output.requires_grad:
        gradients = grad(output, inputs, of_parts(u, output), retain_graph=True, allow_unused=True)
    else:
        gradients = (None,) * len(inputs)
    return [np.zeros_like(parts(t)) if g is None else parts(g) for g, t in zip(gradients, inputs, strict=True)]
