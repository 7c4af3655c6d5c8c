"""Indexing, gathering and scattering."""

from __future__ import annotations

import math
from typing import Any

import flambeau

from ._graph import Graph, Name, converts
from ._shapes import sliced
from ._sizes import Size, plus
from ._values import Value

END = 2**63 - 1  # end of an open slice


@converts("__getitem__")
def get_item(g: Graph, self: Value, key: Any) -> Name:
    keys = [_as_value(k) for k in (key if isinstance(key, tuple) else [key])]
    consumed = sum(1 for k in keys if k is not None and k is not Ellipsis)
    rest = [slice(None)] * (self.ndim - consumed)
    position = keys.index(Ellipsis) if any(k is Ellipsis for k in keys) else len(keys)
    keys = [*keys[:position], *rest, *keys[position + 1 :]]
    name, keys = _sliced(g, self, keys)
    if not any(isinstance(k, Value) for k in keys):
        return g.reshaped(name, g.result.shape_or_none) if None in keys or 0 in map(_kind, keys) else name
    return _gathered(g, self, name, keys)


def _as_value(key: Any) -> Any:
    is_array = isinstance(key, list) or (hasattr(key, "__array__") and not isinstance(key, Value))
    return Value("", tensor=flambeau.tensor(key)) if is_array else key


def _kind(key: Any) -> int:
    return 0 if isinstance(key, int | Size) and not isinstance(key, bool) else 1


def _sliced(g: Graph, input: Value, keys: list[Any]) -> tuple[Name, list[Any]]:
    """Add one Slice node that applies the slices in ``keys``, and the ints as slices of one element."""
    starts: list[Any] = []
    ends: list[Any] = []
    axes, steps = [], []
    for axis, key in enumerate(k for k in keys if k is not None):
        if isinstance(key, slice) and key != slice(None):
            if any(isinstance(x, Value) for x in (key.start, key.stop, key.step)):
                raise NotImplementedError("slices whose bounds are tensors cannot be exported")
            start, end, step = key.start, key.stop, key.step or 1
        elif _kind(key) == 0:
            start, end, step = key, END if key == -1 else plus(key, 1), 1
        else:
            continue
        axes.append(axis)
        starts.append(start or 0)
        ends.append(END if end is None else end)
        steps.append(step)
    return (sliced(g, input, starts, ends, axes, steps) if axes else g.name(input)), keys


def _gathered(g: Graph, input: Value, name: Name, keys: list[Any]) -> Name:
    """Add nodes that index adjacent dimensions by tensors. The slices in ``keys`` are already applied."""
    if any(k is None or _kind(k) == 0 for k in keys):
        raise NotImplementedError(
            "an index with tensors and with numbers or None cannot be exported: index in two steps"
        )
    indexed_dims = [i for i, k in enumerate(keys) if isinstance(k, Value)]
    if any(keys[i].dtype == flambeau.bool for i in indexed_dims):
        raise NotImplementedError(
            "an index with a mask cannot be exported, because the size of its result depends on the mask: use where() "
            "or masked_fill()"
        )
    if indexed_dims != list(range(indexed_dims[0], indexed_dims[-1] + 1)):
        raise NotImplementedError("an index with tensors in dimensions that are not adjacent cannot be exported")
    if len(indexed_dims) == 1:
        return g.op("Gather", name, keys[indexed_dims[0]], axis=indexed_dims[0])
    first, count = indexed_dims[0], len(indexed_dims)
    shape = flambeau.broadcast_shapes(*(tuple(keys[i].tensor.shape) for i in indexed_dims))
    sizes = g.result.shape[first : first + len(shape)]
    each = [g.op("Expand", g.cast(keys[i], flambeau.int64), g.sizes(sizes)) for i in indexed_dims]
    index = g.op("Concat", *(g.op("Unsqueeze", x, g.constant([-1])) for x in each), axis=-1)
    if first:
        others = [d for d in range(input.ndim) if d not in indexed_dims]
        name = g.op("Transpose", name, perm=[*indexed_dims, *others])
    gathered = g.op("GatherND", name, index)
    if not first:
        return gathered
    moved = list(range(len(shape), len(shape) + first))
    after = list(range(len(shape) + first, len(shape) + input.ndim - count))
    return g.op("Transpose", gathered, perm=[*moved, *range(len(shape)), *after])


@converts("nonzero")
def nonzero(g: Graph, input: Value, **_: Any) -> Name:
    return g.op("Transpose", g.op("NonZero", g.cast(input, flambeau.bool)), perm=[1, 0])


@converts("_nms")
def suppression(g: Graph, boxes: Value, scores: Value, iou_threshold: float, groups: Value | None = None) -> Name:
    """Convert non-maximum suppression. Boxes of different groups are shifted so that they do not overlap."""
    offset_boxes = g.cast(boxes, flambeau.float32)
    if groups is not None:
        span = g.op("Add", _range_of(g, offset_boxes), g.constant(1.0))
        shift = g.op("Mul", g.cast(groups, flambeau.float32), span)
        offset_boxes = g.op("Add", offset_boxes, g.op("Unsqueeze", shift, g.constant([1])))
    count = g.op("Shape", boxes, start=0, end=1)
    ordered = g.op("Unsqueeze", offset_boxes, g.constant([0]))
    ranked = g.op("Unsqueeze", g.cast(scores, flambeau.float32), g.constant([0, 1]))
    chosen = g.op("NonMaxSuppression", ordered, ranked, count, g.constant(float(iou_threshold)))
    return g.op("Gather", chosen, g.constant(2), axis=1)


def _range_of(g: Graph, offset_boxes: Name) -> Name:
    """Return the largest minus the smallest coordinate. The value 0 is included, because there may be no box."""
    flat = g.op("Concat", g.op("Reshape", offset_boxes, g.constant([-1])), g.constant([0.0]), axis=0)
    largest, smallest = (g.op(kind, flat, keepdims=0) for kind in ("ReduceMax", "ReduceMin"))
    return g.op("Sub", largest, smallest)


@converts("index_select")
def index_select(g: Graph, input: Value, dim: int, index: Value) -> Name:
    return g.op("Gather", input, index, axis=dim)


@converts("embedding")
def embedding(g: Graph, weight: Value, indices: Value, **_: Any) -> Name:
    return g.op("Gather", weight, indices)


@converts("gather")
def gather(g: Graph, input: Value, dim: int, index: Value, **_: Any) -> Name:
    if input.ndim and index.ndim:
        return g.op("GatherElements", _cut_to(g, input, index, dim), index, axis=dim)
    return g.op("Gather", g.reshaped(input, [-1]), index)


def _cut_to(g: Graph, input: Value, index: Value, dim: int) -> Name:
    """Slice the input to the index's size in other dimensions, because GatherElements requires equal sizes."""
    axes = [d for d in range(input.ndim) if d != dim % input.ndim and str(input.shape[d]) != str(index.shape[d])]
    if not axes:
        return g.name(input)
    return sliced(g, input, [0] * len(axes), [index.shape[d] for d in axes], axes)


@converts("scatter", "scatter_add")
def scatter(
    g: Graph, input: Value, dim: int, index: Value, src: Any = None, value: Any = None, reduce: str | None = None
) -> Name:
    reduction = {"add": "add", "multiply": "mul", None: "none"}[reduce]
    reduction = "add" if g.operator == "scatter_add" else reduction
    return _scattered(g, input, dim, index, src if value is None else value, reduction)


@converts("scatter_reduce")
def scatter_reduce(g: Graph, input: Value, dim: int, index: Value, src: Value, reduce: str, include_self: bool) -> Name:
    reductions = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}
    if reduce not in reductions or not include_self:
        raise NotImplementedError(
            f"scatter_reduce() with reduce={reduce!r} and include_self={include_self} cannot be exported"
        )
    return _scattered(g, input, dim, index, src, reductions[reduce])


def _scattered(g: Graph, input: Value, dim: int, index: Value, source: Any, reduction: str) -> Name:
    if isinstance(source, Value):
        axes = [d for d in range(index.ndim) if str(source.shape[d]) != str(index.shape[d])]
        name = g.cast(source, input.dtype)
        if axes:
            name = sliced(g, name, [0] * len(axes), [index.shape[d] for d in axes], axes)
    else:
        name = g.op("Expand", g.operand(source, input.dtype), g.sizes(index.shape))
    needed = 18 if reduction in ("max", "min") else 16 if reduction != "none" else 0
    if g.opset < needed:
        raise NotImplementedError(f"scatter with the reduction {reduction!r} needs opset {needed}, got opset {g.opset}")
    return g.op("ScatterElements", input, index, name, axis=dim, reduction=None if reduction == "none" else reduction)


@converts("index_copy")
def index_copy(g: Graph, input: Value, dim: int, index: Value, source: Value) -> Name:
    order = [dim % input.ndim, *(d for d in range(input.ndim) if d != dim % input.ndim)]
    moved = [g.op("Transpose", x, perm=order) if dim % input.ndim else g.name(x) for x in (input, source)]
    scattered = g.op("ScatterND", moved[0], g.op("Unsqueeze", index, g.constant([-1])), moved[1])
    return (
        g.op("Transpose", scattered, perm=[order.index(d) for d in range(input.ndim)])
        if dim % input.ndim
        else scattered
    )


@converts("index_add")
def index_add(g: Graph, input: Value, dim: int, index: Value, source: Value, alpha: Any) -> Name:
    name = g.cast(source, input.dtype)
    if alpha != 1:
        name = g.op("Mul", name, g.operand(alpha, input.dtype))
    lined = [-1 if d == dim % input.ndim else 1 for d in range(input.ndim)]
    indices = g.op("Expand", g.op("Reshape", index, g.constant(lined)), g.sizes(source.shape))
    return g.op("ScatterElements", input, indices, name, axis=dim, reduction="add")


@converts("repeat_interleave")
def repeat_interleave(g: Graph, input: Value, repeats: Any, dim: int | None, **_: Any) -> Name:
    if not isinstance(repeats, int):
        raise NotImplementedError("repeat_interleave() can be exported only with a constant int for repeats")
    axis = (0 if dim is None else dim) % max(input.ndim, 1)
    flat = [math.prod(input.tensor.shape)] if dim is None else list(input.shape)
    name = g.reshaped(input, flat) if dim is None else g.name(input)
    wide = g.op("Unsqueeze", name, g.constant([axis + 1]))
    tiled = g.op("Tile", wide, g.constant([repeats if d == axis + 1 else 1 for d in range(len(flat) + 1)]))
    return g.reshaped(tiled, g.result.shape)
