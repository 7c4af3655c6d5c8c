"""Batching rules of indexing operators."""

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.func._batching.pointwise import IN_PLACE
from flambeau.func._placeholders import BatchedTensor
from flambeau.func._rules import Call, UnbatchableError, UnsupportedByVmapError, batching

MASK = (
    "vmap: indexing with a boolean mask gives a result whose shape depends on the mask, which may differ between "
    "the {size} elements of the batch. Use flambeau.where(mask, x, value) instead."
)


def _is_basic(key: Any) -> bool:
    """Return True if a key consists of integers, slices, None and Ellipsis, so that it selects a view."""
    items = key if isinstance(key, tuple) else (key,)
    return all(
        k is None or k is Ellipsis or isinstance(k, slice) or (isinstance(k, int) and not isinstance(k, bool))
        for k in items
    )


class _Positions:
    """Index tensors and the dimensions that they index in a tensor with a leading batch dimension.

    Args:
        indices: for each dimension after the batch dimension, the index tensor or None.
    """

    def __init__(self, call: Call, indices: list[Any]) -> None:
        self.call = call
        self.index_dims = [i for i, k in enumerate(indices) if k is not None]
        self.indices = [indices[i] for i in self.index_dims]
        self.dims = max(call.value(k).ndim - call.is_batched(k) for k in self.indices)
        self.order = [p + 1 for p in self.index_dims], list(range(1, len(self.index_dims) + 1))

    def keys(self) -> tuple[Tensor, ...]:
        """Return the index for a tensor whose indexed dimensions follow the batch dimension.

        It consists of the indices of the batch elements and the index tensors.
        """
        elements = flambeau.arange(self.call.size).reshape(self.call.size, *(1,) * self.dims)
        return (elements, *(self._aligned(k) for k in self.indices))

    def _aligned(self, index: Any) -> Any:
        value = self.call.value(index)
        if not self.call.is_batched(index):
            return value
        return value.reshape(self.call.size, *(1,) * (self.dims + 1 - value.ndim), *value.shape[1:])

    def moves(self) -> tuple[list[int], list[int]] | None:
        """Return the arguments of ``movedim`` that move the dimensions of the indices to their position in the result.

        Return None if they stay in front.
        """
        first = self.index_dims[0]
        if first == 0 or self.index_dims[-1] - first + 1 != len(self.index_dims):
            return None
        return list(range(1, 1 + self.dims)), list(range(1 + first, 1 + first + self.dims))

    def arranged(self, values: Tensor, is_batched: bool, target: Tensor) -> Tensor:
        """Return ``values``, expanded and permuted so that it can be written to ``target[self.keys()]``."""
        selected = flambeau.broadcast_shapes(*(k.shape for k in self.indices))
        shape = [self.call.size, *selected, *target.shape[len(self.index_dims) + 1 :]]
        if is_batched:
            values = values.reshape(self.call.size, *(1,) * (len(shape) - values.ndim), *values.shape[1:])
        if moves := self.moves():
            resulting = flambeau.empty(1).expand(shape).movedim(*moves).shape
            values = values.expand(resulting).movedim(*reversed(moves))
        return values


@batching("__getitem__")
def get_item(call: Call) -> Any:
    """Compute ``x[key]``. The key can contain all types of indices except batched masks."""
    x, key = call.values
    items = key if isinstance(key, tuple) else (key,)
    if call.is_batched(x) and not _has_batch(call, items):
        if _is_basic(key):
            _check_length(items, x.ndim)
            return x.value[(slice(None), *items)]
        items = _with_explicit_slices(items, x.ndim)
        if _are_separated(items):
            return _index_separated(x, items)
        return x.value[(slice(None), *items)]
    return _index_per_element(call, x, _with_explicit_slices(items, x.ndim))


def _has_batch(call: Call, items: Any) -> bool:
    return any(call.is_batched(k) or (isinstance(k, (list, tuple)) and _has_batch(call, k)) for k in items)


def _check_length(items: tuple[Any, ...], rank: int) -> None:
    """Raise IndexError if a basic key indexes more than ``rank`` dimensions."""
    used = sum(k is not None and k is not Ellipsis for k in items)
    if used > rank:
        raise IndexError(f"too many indices for tensor of dimension {rank}")


def _indexed_dims(k: Any) -> int:
    """Return the number of dimensions that an item of a key indexes."""
    if k is None or isinstance(k, bool):
        return 0
    is_mask = isinstance(k, Tensor) and k.dtype in (flambeau.bool, flambeau.uint8)
    return k.ndim if is_mask else 1


def _with_explicit_slices(items: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    """Return the key with full slices instead of the ellipsis and of missing items."""
    items = tuple(
        flambeau.stack([flambeau.as_tensor(i) for i in k])
        if isinstance(k, (list, tuple)) and any(isinstance(i, BatchedTensor) for i in k)
        else flambeau.tensor(k)
        if isinstance(k, list)
        else k
        for k in items
    )
    missing = rank - sum(_indexed_dims(k) for k in items if k is not Ellipsis)
    if missing < 0:
        raise IndexError(f"too many indices for tensor of dimension {rank}")
    if not any(k is Ellipsis for k in items):
        items = (*items, Ellipsis)
    at = next(i for i, k in enumerate(items) if k is Ellipsis)
    return (*items[:at], *[slice(None)] * missing, *items[at + 1 :])


def _is_advanced(k: Any) -> bool:
    """Return True for an item of a key that is a tensor, array or boolean. The key has explicit slices."""
    return isinstance(k, (Tensor, bool)) or not (k is None or isinstance(k, (int, slice)))


def _are_separated(items: tuple[Any, ...]) -> bool:
    """Return True if the index tensors are not adjacent. Then their dimensions come first in the result.

    Integers do not count, since indexing applies them first and removes their dimensions.
    """
    remaining = [k for k in items if not isinstance(k, int) or isinstance(k, bool)]
    positions = [i for i, k in enumerate(remaining) if _is_advanced(k)]
    return bool(positions) and positions[-1] - positions[0] + 1 != len(positions)


def _index_separated(x: Any, items: tuple[Any, ...]) -> Any:
    """Index with separated index tensors. Their dimensions precede the batch dimension, which is moved to the front."""
    indices = [k for k in items if _is_advanced(k)]
    dims = max(1 if isinstance(k, Tensor) and k.dtype is flambeau.bool else getattr(k, "ndim", 1) for k in indices)
    return x.value[(slice(None), *items)].movedim(dims, 0)


def _index_per_element(call: Call, x: Any, items: tuple[Any, ...]) -> Any:
    """Index with index tensors that differ between elements."""
    basic, indices = _split_key(call, items)
    positions = _Positions(call, indices)
    result = call.batch(x)[(slice(None), *basic)].movedim(*positions.order)[positions.keys()]
    moves = positions.moves()
    return result.movedim(*moves) if moves else result


def _split_key(call: Call, items: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
    """Split a key into a basic key and index tensors.

    The basic key has a full slice in place of each index tensor. The second list has, for each dimension of the view
    that the basic key selects, the index tensor or None. A mask that is not batched is converted to indices.
    """
    basic: list[Any] = []
    indices: list[Any] = []
    for k in items:
        if isinstance(k, Tensor) and k.dtype in (flambeau.bool, flambeau.uint8):
            if call.is_batched(k):
                raise UnsupportedByVmapError(MASK.format(size=call.size))
            for index in k.nonzero().unbind(1):
                basic.append(slice(None))
                indices.append(index)
        elif isinstance(k, Tensor) or not (k is None or isinstance(k, (int, slice))):
            basic.append(slice(None))
            indices.append(k if isinstance(k, Tensor) else flambeau.as_tensor(k))
        elif isinstance(k, bool):
            raise NotImplementedError(
                "vmap: True or False in an index that also has batched tensors is not implemented"
            )
        else:
            basic.append(k)
            if k is None or isinstance(k, slice):
                indices.append(None)
    return basic, indices


@batching("__setitem__")
def set_item(call: Call) -> None:
    """Run ``x[key] = value`` on a view or at indices. A batched mask selects between the old and the new value."""
    x, key, value = call.values
    items = key if isinstance(key, tuple) else (key,)
    if not call.is_batched(x):
        raise RuntimeError(IN_PLACE.format(name="__setitem__"))
    if len(items) == 1 and call.is_batched(items[0]) and items[0].dtype is flambeau.bool:
        _write_mask(call, x, items[0], value)
    elif _is_basic(key):
        _check_length(items, x.ndim)
        _write_view(call, x.value[(slice(None), *items)], value)
    else:
        _write_indices(call, x, _with_explicit_slices(items, x.ndim), value)


def _write_view(call: Call, view: Tensor, value: Any) -> None:
    if not isinstance(value, Tensor):
        view[...] = value
        return
    source = call.value(value)
    while call.is_batched(value) and source.ndim > view.ndim and source.shape[1] == 1:
        source = source.squeeze(1)
    if call.is_batched(value):
        source = source.reshape(call.size, *(1,) * (view.ndim - source.ndim), *source.shape[1:])
    view[...] = source


def _write_mask(call: Call, x: Any, mask: Any, value: Any) -> None:
    chosen = mask.value.reshape(*mask.value.shape, *(1,) * (x.ndim - mask.ndim))
    if isinstance(value, Tensor) and value.ndim > 0:
        raise UnbatchableError(MASK.format(size=call.size))
    source = call.value(value)
    if call.is_batched(value):
        source = source.reshape(call.size, *(1,) * x.ndim)
    x.value.copy_(flambeau.where(chosen, source, x.value))


def _write_indices(call: Call, x: Any, items: tuple[Any, ...], value: Any) -> None:
    basic, indices = _split_key(call, items)
    positions = _Positions(call, indices)
    view = x.value[(slice(None), *basic)].movedim(*positions.order)
    source = call.value(value) if isinstance(value, Tensor) else flambeau.as_tensor(value, dtype=x.dtype)
    view[positions.keys()] = positions.arranged(source, call.is_batched(value), view).to(x.dtype)


@batching("index_put")
def index_put(call: Call) -> Tensor:
    """Apply ``index_put`` to a batch, with an additional index tensor that selects the batch element."""
    x, indices, values, accumulate = call.values
    indices = [k.nonzero().unbind(1) if _is_unbatched_mask(call, k) else (k,) for k in indices]
    indices = [k for group in indices for k in group]
    if any(k is not None and k.dtype is flambeau.bool for k in indices):
        raise UnbatchableError(MASK.format(size=call.size))
    positions = _Positions(call, indices)
    target = call.batch(x).movedim(*positions.order)
    source = positions.arranged(call.value(values), call.is_batched(values), target)
    written = flambeau.index_put(target, positions.keys(), source, accumulate)
    return written.movedim(*reversed(positions.order))


def _is_unbatched_mask(call: Call, k: Any) -> bool:
    return k is not None and k.dtype in (flambeau.bool, flambeau.uint8) and not call.is_batched(k)
