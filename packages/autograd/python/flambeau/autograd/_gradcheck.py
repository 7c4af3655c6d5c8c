"""Derivatives against finite differences."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import flambeau
from flambeau import Tensor
from flambeau.autograd._backward import grad


class GradcheckError(RuntimeError):
    """The analytical and the numerical derivative differ."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
) -> bool:
    """Compares the Jacobian that ``backward`` gives with central differences ``(f(x + eps) - f(x - eps)) / (2 eps)``.

    Complex numbers count as their two parts, in inputs and outputs: the derivative need not be that of a holomorphic
    function.

    Args:
        func: takes the inputs, returns a tensor or a tuple of tensors.
        inputs: float64 and complex128 tensors with ``requires_grad`` are checked; the others are passed on.
        eps, atol, rtol: the step, and how far the two may differ: ``|a - n| <= atol + rtol * |n|``.
        nondet_tol: how far two backward runs may differ.
    Returns: True; else GradcheckError (or False, if ``raise_exception`` is off).
    """
    arguments = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = [i for i, a in enumerate(arguments) if isinstance(a, Tensor) and a.requires_grad]
    if not checked:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    for i in checked:
        if arguments[i].dtype not in (flambeau.float64, flambeau.complex128):
            raise ValueError(f"gradcheck needs float64 or complex128 inputs, but input {i} is {arguments[i].dtype}")
    try:
        _check(func, arguments, checked, eps, atol, rtol, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _outputs(func: Callable[..., Any], arguments: list[Any]) -> list[Tensor]:
    result = func(*arguments)
    listed = list(result) if isinstance(result, (tuple, list)) else [result]
    return [t for t in listed if isinstance(t, Tensor) and (t.is_floating_point() or t.is_complex())]


def _parts(tensor: Tensor) -> Any:
    """The elements as a vector of real numbers: of each complex one both parts, next to each other."""
    array = np.array(tensor.detach().numpy()).reshape(-1)
    return array.view(array.real.dtype) if array.size else array.real


def _check(
    func: Callable[..., Any],
    arguments: list[Any],
    checked: list[int],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
) -> None:
    outputs = _outputs(func, arguments)
    numerical = {i: _numerical(func, arguments, i, eps) for i in checked}
    for k, output in enumerate(outputs):
        analytical = _analytical(output, [arguments[i] for i in checked])
        again = _analytical(output, [arguments[i] for i in checked])
        for i, a, b in zip(checked, analytical, again, strict=True):
            if np.abs(a - b).max(initial=0.0) > nondet_tol:
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input gives different results"
                )
            n = numerical[i][k]
            if not np.allclose(a, n, rtol, atol, equal_nan=False):
                raise GradcheckError(
                    f"Jacobian mismatch for output {k} with respect to input {i},\nnumerical:\n{n}\nanalytical:\n{a}"
                )


def _analytical(output: Tensor, inputs: list[Tensor]) -> list[Any]:
    rows: list[list[Any]] = [[] for _ in inputs]
    directions = (1, 1j) if output.is_complex() else (1,)
    for j, direction in itertools.product(range(output.numel()), directions):
        seed = flambeau.zeros(output.numel(), dtype=output.dtype)
        seed[j] = direction
        if not output.requires_grad:
            found: Sequence[Any] = [None] * len(inputs)
        else:
            found = grad(output, inputs, seed.reshape(output.shape), retain_graph=True, allow_unused=True)
        for row, g, t in zip(rows, found, inputs, strict=True):
            row.append(np.zeros(_parts(t).size) if g is None else _parts(g))
    return [np.stack(r) if r else np.zeros((0, _parts(t).size)) for r, t in zip(rows, inputs, strict=True)]


def _numerical(func: Callable[..., Any], arguments: list[Any], which: int, eps: float) -> list[Any]:
    original = arguments[which]
    values = np.array(original.detach().numpy())
    columns: list[list[Any]] = []

    def evaluate(shifted: Any) -> list[Any]:
        changed = list(arguments)
        changed[which] = flambeau.tensor(shifted).requires_grad_()
        return [_parts(t) for t in _outputs(func, changed)]

    flat = _parts(original)
    for j in range(flat.size):
        up, down = flat.copy(), flat.copy()
        up[j] += eps
        down[j] -= eps
        high, low = (evaluate(moved.view(values.dtype).reshape(values.shape)) for moved in (up, down))
        columns.append([(h - lo) / (2 * eps) for h, lo in zip(high, low, strict=True)])
    if not columns:
        return [np.zeros((_parts(t).size, 0)) for t in _outputs(func, arguments)]
    return [np.stack(parts, axis=1) for parts in zip(*columns, strict=True)]


def _random_like(tensor: Tensor, generator: np.random.Generator) -> Tensor:
    values = generator.standard_normal(list(tensor.shape))
    if tensor.is_complex():
        return flambeau.tensor(values + 1j * generator.standard_normal(list(tensor.shape)))
    return flambeau.tensor(values)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
) -> bool:
    """``gradcheck`` of the gradient: the second derivatives with respect to the inputs and to ``grad_outputs``.

    ``grad_outputs`` are random (with a fixed seed) unless given.
    """
    arguments = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    outputs = _outputs(func, arguments)
    generator = np.random.default_rng(0)
    if grad_outputs is None:
        seeds = [_random_like(t, generator).requires_grad_() for t in outputs]
    else:
        seeds = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    count = len(arguments)

    def first_derivative(*all_inputs: Any) -> tuple[Tensor | None, ...]:
        own, gradients = list(all_inputs[:count]), all_inputs[count:]
        sources = [a for a in own if isinstance(a, Tensor) and a.requires_grad]
        recorded = [(t, g) for t, g in zip(_outputs(func, own), gradients, strict=True) if t.requires_grad]
        results, used = [t for t, _ in recorded], [g for _, g in recorded]
        return grad(results, sources, used, create_graph=True, allow_unused=True, materialize_grads=True)

    return gradcheck(
        first_derivative,
        [*arguments, *seeds],
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
    )
