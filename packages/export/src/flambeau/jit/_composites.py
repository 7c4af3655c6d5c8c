"""Operators that are noted as others that they are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor

from ._numbers import plain
from ._operators import run
from ._trace import Trace, rule


def composite(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Says what operators are made of, by a function of their arguments. Where these are refused, they raise."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def traced(trace: Trace, func: Any, **arguments: Any) -> Any:
            _run(func, arguments)
            with trace:
                return function(**arguments)

        rule(*names)(traced)
        return function

    return register


def _run(func: Any, arguments: dict[str, Any]) -> None:
    starred = "tensors" if func.__name__ in ("broadcast_tensors",) else None
    positional = tuple(arguments[starred]) if starred else ()
    run(func, positional, {key: value for key, value in arguments.items() if key != starred})


@composite("isreal")
def _isreal(input: Tensor) -> Tensor:
    return input.imag == 0 if input.is_complex() else flambeau.ones_like(input, dtype=flambeau.bool)


@composite("ldexp")
def _ldexp(input: Tensor, other: Tensor) -> Tensor:
    dtype = flambeau.result_type(input, other)
    return input * flambeau.exp2(other.to(dtype if dtype.is_floating_point else flambeau.get_default_dtype()))


@composite("float_power")
def _float_power(input: Any, exponent: Any) -> Any:
    complex_ones = any((isinstance(x, Tensor) and x.is_complex()) or isinstance(x, complex) for x in (input, exponent))
    dtype = flambeau.complex128 if complex_ones else flambeau.float64
    base, power = (x.to(dtype) if isinstance(x, Tensor) else x for x in (input, exponent))
    return base**power


@composite("nan_to_num")
def _nan_to_num(input: Tensor, nan: float | None, posinf: float | None, neginf: float | None) -> Tensor:
    if not input.is_floating_point():
        return input.clone()
    limits = flambeau.finfo(input.dtype)
    finite = flambeau.where(input.isnan(), nan or 0.0, input)
    finite = flambeau.where(finite == math.inf, limits.max if posinf is None else posinf, finite)
    return flambeau.where(finite == -math.inf, limits.min if neginf is None else neginf, finite)


@composite("isin")
def _isin(elements: Any, test_elements: Any, assume_unique: bool, invert: bool) -> Any:
    elements, tests = (x if isinstance(x, Tensor) else flambeau.tensor(x) for x in (elements, test_elements))
    found = (elements.unsqueeze(-1) == tests.reshape(-1)).any(-1)
    return ~found if invert else found


@composite("addbmm")
def _addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, beta: Any, alpha: Any) -> Any:
    return beta * input + alpha * flambeau.bmm(batch1, batch2).sum(0)


@rule("fftshift", "ifftshift")
def _fftshift(trace: Trace, func: Any, input: Tensor, dim: Any) -> Tensor:
    func(input, dim)
    dims = list(range(input.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    with trace:
        halves = [input.shape[d] // 2 if func.__name__ == "fftshift" else -(input.shape[d] // 2) for d in dims]
        return input.roll(halves, dims)


@composite("select_scatter")
def _select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    out = input.clone()
    out.select(dim, index).copy_(src)
    return out


@composite("diagonal_scatter")
def _diagonal_scatter(input: Tensor, src: Tensor, offset: int, dim1: int, dim2: int) -> Tensor:
    out = input.clone()
    out.diagonal(offset, dim1, dim2).copy_(src)
    return out


@composite("slice_scatter")
def _slice_scatter(input: Tensor, src: Tensor, dim: int, start: Any, end: Any, step: Any) -> Tensor:
    out = input.clone()
    out[(slice(None),) * (dim % out.dim()) + (slice(start, end, step),)].copy_(src)
    return out


@composite("sum_to_size")
def _sum_to_size(input: Tensor, size: Any) -> Tensor:
    extra = input.dim() - len(size)
    summed = [d for d in range(input.dim()) if d < extra or (size[d - extra] == 1 and input.shape[d] != 1)]
    return input.sum(summed, keepdim=True).reshape(tuple(size)) if summed else input.clone()


@rule("einsum")
def _einsum(trace: Trace, func: Any, equation: Any, operands: Any) -> Any:
    """The plan of these sizes, whose reshapes follow the inputs'."""
    from flambeau._operators import einsum

    if not isinstance(equation, str):
        equation, operands = einsum._from_lists(equation, tuple(operands))
    inputs, output, sizes = einsum._read(equation, tuple(t.shape for t in operands))
    shapes = [tensor.shape for tensor in operands]
    lengths: dict[str, Any] = {}
    with trace:
        for labels, tensor in zip(inputs, operands, strict=True):
            for label, length in zip(labels, tensor.shape, strict=True):
                if plain(length) == sizes[label]:
                    lengths.setdefault(label, length)
                if length != (lengths[label] if plain(length) == sizes[label] else 1):
                    raise AssertionError("an equation was read that does not fit")  # and what was read is required
        tensors, steps = list(operands), einsum.plan(inputs, output, sizes, shapes, lengths)
        for step in steps:
            step(tensors)
        return tensors[0]


@rule("isclose")
def _isclose(
    trace: Trace, func: Any, input: Tensor, other: Tensor, rtol: float, atol: float, equal_nan: bool
) -> Tensor:
    func(input, other, rtol, atol, equal_nan)  # where it refuses, it raises
    with trace, flambeau.no_grad():
        same = input == other
        if equal_nan and input.is_floating_point():
            same = same | (input.isnan() & other.isnan())
        if not input.is_floating_point() and not input.is_complex():
            input, other = input.double(), other.double()
        near = (input - other).abs() <= atol + rtol * other.abs()
        return same | (near & (input - other).isfinite())


@rule("atleast_1d", "atleast_2d", "atleast_3d")
def _at_least(trace: Trace, func: Any, tensors: Any) -> Tensor | tuple[Tensor, ...]:
    least = int(func.__name__[-2])
    given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    with trace:
        raised = tuple(_raised(tensor, least) for tensor in given)
    return raised if len(raised) != 1 else raised[0]


def _raised(tensor: Tensor, least: int) -> Tensor:
    if tensor.dim() >= least:
        return tensor
    if least < 3:
        return tensor.reshape(*[1] * (least - 1), -1)
    return _raised(tensor, 2).unsqueeze(-1)


@rule("hstack", "vstack", "row_stack", "dstack", "column_stack")
def _stacked(trace: Trace, func: Any, tensors: Any) -> Tensor:
    func(tensors)
    name = func.__name__
    with trace:
        if name == "column_stack":
            return flambeau.cat([t.reshape(-1, 1) if t.dim() < 2 else t for t in tensors], 1)
        parts = [_raised(t, {"hstack": 1, "dstack": 3}.get(name, 2)) for t in tensors]
        return flambeau.cat(parts, {"hstack": int(parts[0].dim() > 1), "dstack": 2}.get(name, 0))


@rule("broadcast_tensors")
def _broadcast(trace: Trace, func: Any, tensors: Any) -> tuple[Tensor, ...]:
    func(*tensors)
    with trace:
        together = flambeau.zeros((), dtype=flambeau.bool)
        for tensor in tensors:
            together = together | flambeau.zeros_like(tensor, dtype=flambeau.bool)
        return tuple(tensor.expand_as(together) for tensor in tensors)


@rule("trace")
def _diagonal_sum(trace: Trace, func: Any, input: Tensor) -> Tensor:
    func(input)
    with trace:
        return input.diagonal().sum()


@rule("fliplr", "flipud")
def _flipped(trace: Trace, func: Any, input: Tensor) -> Tensor:
    func(input)
    with trace:
        return input.flip(1 if func.__name__ == "fliplr" else 0)


@rule("diagflat")
def _diagonal_of_all(trace: Trace, func: Any, input: Tensor, offset: int) -> Tensor:
    with trace:
        return flambeau.diag_embed(input.reshape(-1), offset, 0, 1)


@rule("allclose", "equal")
def _compared(trace: Trace, func: Any, input: Tensor, other: Tensor, **options: Any) -> Any:
    if not trace.varies([input, other]):
        return func(input, other, **options)
    with trace:
        same = (input == other) if func.__name__ == "equal" else flambeau.isclose(input, other, **options)
        return bool(same.all())
