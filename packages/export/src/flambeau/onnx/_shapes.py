"""Shape operators and rearrangement of elements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import flambeau
from flambeau._tracing._structure import leaves

from ._graph import Graph, Name, converts
from ._sizes import Size, plus, times
from ._values import Value

RESHAPES = ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "ravel", "view_as", "reshape_as")


@converts(*RESHAPES)
def reshape(g: Graph, input: Value, **_: Any) -> Name:
    if g.result.dtype != input.dtype:
        raise NotImplementedError(f"view() of {input.dtype} as {g.result.dtype} cannot be exported")
    return g.reshaped(input, g.result.shape_or_none)


TRANSPOSES = ("permute", "transpose", "t", "T", "mT", "movedim")


@converts(*TRANSPOSES)
def transpose(g: Graph, input: Value, **arguments: Any) -> Name:
    distinct = flambeau.empty(tuple(range(input.ndim)))  # each size is the index of its dimension
    if g.operator in ("T", "mT"):
        moved = getattr(distinct, g.operator)
    else:
        moved = getattr(flambeau.Tensor, g.operator)(distinct, *arguments.values())
    return g.op("Transpose", input, perm=list(moved.shape)) if input.ndim > 1 else g.name(input)


@converts("expand", "expand_as", "broadcast_to")
def expand(g: Graph, input: Value, **_: Any) -> Name:
    return g.op("Expand", input, g.sizes(g.result.shape))


@converts("broadcast_tensors")
def broadcast(g: Graph, tensors: Sequence[Value], **_: Any) -> list[Name]:
    return [g.op("Expand", t, g.sizes(result.shape)) for t, result in zip(tensors, g.results, strict=True)]


@converts("meshgrid")
def meshgrid(g: Graph, tensors: Sequence[Value], indexing: str | None) -> list[Name]:
    axes = list(range(len(tensors)))
    if indexing == "xy" and len(axes) > 1:
        axes[:2] = [1, 0]
    grids = []
    for tensor, axis, result in zip(tensors, axes, g.results, strict=True):
        lined = g.op("Reshape", tensor, g.constant([-1 if d == axis else 1 for d in range(len(axes))]))
        grids.append(g.op("Expand", lined, g.sizes(result.shape)))
    return grids


@converts("repeat", "tile")
def repeat(g: Graph, input: Value, repeats: Any = (), dims: Any = ()) -> Name:
    times = list(repeats or dims)
    dims_more = len(times) - input.ndim
    name = g.name(input)
    if dims_more > 0:
        name = g.reshaped(input, [*[1] * dims_more, *input.shape])
    return g.op("Tile", name, g.sizes([*[1] * -dims_more, *times]))


@converts("cat")
def cat(g: Graph, tensors: Sequence[Value], dim: int) -> Name:
    parts = [t for t in tensors if t.ndim > 1 or t.shape != (0,)] or tensors[:1]
    return g.op("Concat", *(g.cast(t, g.result.dtype) for t in parts), axis=dim)


@converts("stack")
def stack(g: Graph, tensors: Sequence[Value], dim: int) -> Name:
    axis = dim % g.result.ndim
    parts = [g.op("Unsqueeze", g.cast(t, g.result.dtype), g.constant([axis])) for t in tensors]
    return g.op("Concat", *parts, axis=axis)


# Parts


def sliced(
    g: Graph, input: Any, starts: Sequence[Any], ends: Sequence[Any], axes: Sequence[int], steps: Any = None
) -> Name:
    by = None if steps is None else g.constant(steps)
    return g.op("Slice", input, g.sizes(starts), g.sizes(ends), g.constant(list(axes)), by)


@converts("split", "split_with_sizes", "chunk", "tensor_split")
def split(g: Graph, dim: int, input: Value | None = None, tensor: Value | None = None, **_: Any) -> list[Name]:
    whole = input or tensor
    if len(g.results) == 1 or whole is None:
        return [g.name(whole)] if whole else []
    sizes = g.sizes([part.shape[dim] for part in g.results])
    return g.several(len(g.results), "Split", whole, sizes, axis=dim)


@converts("unbind")
def unbind(g: Graph, input: Value, dim: int) -> list[Name]:
    return [g.op("Gather", input, g.constant(i), axis=dim) for i in range(len(g.results))]


@converts("narrow")
def narrow(g: Graph, input: Value, dim: int, start: Any, length: Any) -> Name:
    if isinstance(start, Value):
        raise NotImplementedError("narrow() with a tensor as start cannot be exported")
    return sliced(g, input, [start], [plus(start, length)], [dim])


@converts("select")
def select(g: Graph, input: Value, dim: int, index: Any) -> Name:
    return g.op("Gather", input, g.operand(index, flambeau.int64), axis=dim)


@converts("flip")
def flip(g: Graph, input: Value, dims: Any) -> Name:
    axes = [d % input.ndim for d in dims]
    return sliced(g, input, [-1] * len(axes), [-(2**63) + 1] * len(axes), axes, [-1] * len(axes))


@converts("roll")
def roll(g: Graph, input: Value, shifts: Any, dims: Any) -> Name:
    shifts, dims = ((x,) if isinstance(x, int | Size) else tuple(x or ()) for x in (shifts, dims))
    name = g.name(input) if dims else g.reshaped(input, [-1])
    sizes = [input.shape[dim] for dim in dims] if dims else [_product(input.shape)]
    for shift, size, dim in zip(shifts, sizes, dims or (0,), strict=True):
        if not isinstance(shift, int):
            raise NotImplementedError("roll() with a shift that depends on the sizes of the inputs cannot be exported")
        if size == 0 or (isinstance(size, int) and shift % size == 0):
            continue
        start, end, axis = g.constant([0]), g.constant([2**62]), g.constant([dim])
        split = g.constant([-(shift % size)]) if isinstance(size, int) else _negative_remainder(g, shift, size)
        back, front = g.op("Slice", name, split, end, axis), g.op("Slice", name, start, split, axis)
        name = g.op("Concat", back, front, axis=dim)
    return name if dims else g.reshaped(name, input.shape)


def _product(sizes: Iterable[int | Size]) -> int | Size:
    result: int | Size = 1
    for size in sizes:
        result = times(result, size)
    return result


def _negative_remainder(g: Graph, number: int, size: Size) -> Name:
    return g.op("Neg", g.op("Mod", g.constant([number]), g.sizes([size])))


@converts("tril", "triu")
def triangle(g: Graph, input: Value, diagonal: int) -> Name:
    as_ints = input.dtype == flambeau.bool
    name = g.cast(input, flambeau.int64) if as_ints else g.name(input)
    result = g.op("Trilu", name, g.operand(diagonal, flambeau.int64), upper=int(g.operator == "triu"))
    return g.cast(result, flambeau.bool, flambeau.int64) if as_ints else result


@converts("diagonal")
def diagonal(g: Graph, input: Value, offset: int, dim1: int, dim2: int) -> Name:
    shape = input.tensor.shape
    if any(isinstance(input.shape[d], Size) for d in (dim1, dim2)):
        raise NotImplementedError("diagonal() of dynamic dimensions cannot be exported")
    positions = flambeau.arange(shape[dim1] * shape[dim2]).reshape(shape[dim1], shape[dim2]).diagonal(offset)
    others = [d for d in range(input.ndim) if d not in (dim1 % input.ndim, dim2 % input.ndim)]
    moved = g.op("Transpose", input, perm=[*others, dim1 % input.ndim, dim2 % input.ndim])
    flat = g.reshaped(moved, [*(input.shape[d] for d in others), shape[dim1] * shape[dim2]])
    return g.op("Gather", flat, g.constant(positions), axis=len(others))


MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@converts("pad")
def pad(g: Graph, input: Value, pad: Sequence[Any], mode: str, value: Any) -> Name:
    if mode == "circular" and g.opset < 19:
        raise NotImplementedError(f"pad() with mode='circular' needs opset 19, got opset {g.opset}")
    missing = [0] * (input.ndim - len(pad) // 2)
    amounts = g.sizes([*missing, *pad[-2::-2], *missing, *pad[::-2]])
    fill = None if mode != "constant" else g.operand(value or 0, input.dtype)
    return g.op("Pad", input, amounts, fill, mode=MODES[mode])


# Tensors computed from sizes


@converts("arange")
def arange(g: Graph, start: Any, end: Any, step: Any, **_: Any) -> Name:
    first, last = (0, start) if end is None else (start, end)
    dtype = g.result.dtype
    return g.op("Range", g.operand(first, dtype), g.operand(last, dtype), g.operand(step, dtype))


FILLED = {"zeros": 0, "new_zeros": 0, "zeros_like": 0, "empty": 0, "new_empty": 0, "empty_like": 0}
FILLED |= {"ones": 1, "new_ones": 1, "ones_like": 1}


@converts(*FILLED, "full", "new_full", "full_like")
def filled(g: Graph, fill_value: Any = None, **_: Any) -> Name:
    number = FILLED.get(g.operator, fill_value)
    return g.op("Expand", g.operand(number, g.result.dtype), g.sizes(g.result.shape))


@converts("tensor", "new_tensor", "scalar_tensor")
def tensor(g: Graph, data: Any = None, **_: Any) -> Name:
    if not leaves(data, Size) and not leaves(data, Value):
        return g.constant(data, dtype=g.result.dtype)
    if isinstance(data, Size | Value):
        return g.operand(data, g.result.dtype)
    if isinstance(data, list | tuple) and all(isinstance(x, int | Size) for x in data):
        return g.cast(g.sizes(data), g.result.dtype, flambeau.int64)
    raise NotImplementedError("tensor() of nested lists that depend on the inputs cannot be exported")
