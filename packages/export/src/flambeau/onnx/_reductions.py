"""Reductions, cumulative sums and softmax."""

from __future__ import annotations

from typing import Any

import flambeau

from ._graph import Graph, Name, converts
from ._values import Value

REDUCTIONS = {"sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "amax": "ReduceMax", "amin": "ReduceMin"}


def _axes(dim: Any) -> list[int] | None:
    if dim is None or dim == () or dim == []:
        return None
    return [dim] if isinstance(dim, int) else list(dim)


@converts(*REDUCTIONS)
def reduction(g: Graph, input: Value, dim: Any, keepdim: bool, dtype: Any = None) -> Name:
    return _reduced(g, REDUCTIONS[g.operator], g.cast(input, g.result.dtype), dim, keepdim)


def _reduced(g: Graph, kind: str, name: Name, dim: Any, keepdim: bool) -> Name:
    axes = _axes(dim)
    if axes is None or (g.opset < 18 and kind != "ReduceSum"):
        return g.op(kind, name, axes=axes, keepdims=int(keepdim))
    return g.op(kind, name, g.constant(axes), keepdims=int(keepdim))


@converts("logsumexp")
def logsumexp(g: Graph, input: Value, dim: Any, keepdim: bool) -> Name:
    return _reduced(g, "ReduceLogSumExp", g.cast(input, g.result.dtype), dim, keepdim)


@converts("any", "all")
def truth(g: Graph, input: Value, dim: Any, keepdim: bool) -> Name:
    as_numbers = g.cast(g.cast(input, flambeau.bool), flambeau.int32, flambeau.bool)
    kind = "ReduceMax" if g.operator == "any" else "ReduceMin"
    return g.cast(_reduced(g, kind, as_numbers, dim, keepdim), flambeau.bool, flambeau.int32)


@converts("max", "min")
def extreme(g: Graph, input: Value, dim: Any, keepdim: bool) -> str | list[str]:
    kind = g.operator.capitalize()
    if isinstance(dim, Value):  # the binary operator
        return g.op(kind, g.cast(input, g.result.dtype), g.cast(dim, g.result.dtype))
    values = _reduced(g, f"Reduce{kind}", g.name(input), dim, keepdim)
    if len(g.results) == 1:
        return values
    return [values, g.op(f"Arg{kind}", input, axis=dim, keepdims=int(keepdim))]


@converts("argmax", "argmin")
def position(g: Graph, input: Value, dim: int | None, keepdim: bool) -> Name:
    kind = "ArgMax" if g.operator == "argmax" else "ArgMin"
    if dim is not None:
        return g.op(kind, input, axis=dim, keepdims=int(keepdim))
    index = g.op(kind, g.op("Reshape", input, g.constant([-1])), axis=0, keepdims=0)
    return g.reshaped(index, g.result.shape) if keepdim else index


@converts("cumsum")
def cumsum(g: Graph, input: Value, dim: int, dtype: Any) -> Name:
    return g.op("CumSum", g.cast(input, g.result.dtype), g.constant(dim))


@converts("softmax", "log_softmax")
def softmax(g: Graph, input: Value, dim: int, dtype: Any) -> Name:
    kind = "Softmax" if g.operator == "softmax" else "LogSoftmax"
    if input.ndim == 0:
        raise NotImplementedError(f"{g.operator}() of a 0-dimensional tensor cannot be exported")
    return g.op(kind, g.cast(input, g.result.dtype), axis=dim)
