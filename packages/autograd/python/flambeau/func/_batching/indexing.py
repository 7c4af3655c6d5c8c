"""Reading and writing at computed positions."""

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.func._batching.dimensions import behind_batch
from flambeau.func._batching.pointwise import IN_PLACE
from flambeau.func._placeholders import BatchedTensor, Call, RefusedError, UnbatchableError, batching, composition

MASK = (
    "vmap: indexing with a boolean mask gives a result whose shape depends on the mask, which differs over the batch "
    "of {size}. Use flambeau.where(mask, x, value) instead."
)


def _rows(call: Call, dims: int) -> Tensor:
    """The number of each element of the batch, to be broadcast with indices of that many dimensions."""
    return flambeau.arange(call.size).reshape(call.size, *(1,) * dims)


def _is_basic(key: Any) -> bool:
    items = key if isinstance(key, tuple) else (key,)
    return all(
        k is None or k is Ellipsis or isinstance(k, slice) or (isinstance(k, int) and not isinstance(k, bool))
        for k in items
    )


@batching("__getitem__")
def get_item(call: Call) -> Any:
    """Integers, slices, None, Ellipsis, index tensors; masks where they are the same for the batch."""
    x, key = call.values
    items = key if isinstance(key, tuple) else (key,)
    if call.is_batched(x) and not _has_batch(call, items):
        if _is_basic(key):
            return x.value[(slice(None), *_full(items, x.ndim))]
        items = _explicit(items, x.ndim)
        if _separated(items):
            return _moved(call, x, items)
        return x.value[(slice(None), *items)]
    return _by_batch(call, x, _explicit(items, x.ndim))


def _has_batch(call: Call, items: Any) -> bool:
    return any(call.is_batched(k) or (isinstance(k, (list, tuple)) and _has_batch(call, k)) for k in items)


def _full(items: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    used = sum(k is not None and k is not Ellipsis for k in items)
    if used > rank:
        raise IndexError(f"too many indices for tensor of dimension {rank}")
    return items


def _consumed(k: Any) -> int:
    """How many dimensions an item of a key uses up."""
    if k is None or isinstance(k, bool):
        return 0
    is_mask = isinstance(k, Tensor) and k.dtype in (flambeau.bool, flambeau.uint8)
    return k.ndim if is_mask else 1


def _explicit(items: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    """The key with a slice for everything an ellipsis, or nothing, stands for."""
    items = tuple(
        flambeau.stack([flambeau.as_tensor(i) for i in k])
        if isinstance(k, (list, tuple)) and any(isinstance(i, BatchedTensor) for i in k)
        else flambeau.tensor(k)
        if isinstance(k, list)
        else k
        for k in items
    )
    missing = rank - sum(_consumed(k) for k in items if k is not Ellipsis)
    if missing < 0:
        raise IndexError(f"too many indices for tensor of dimension {rank}")
    if not any(k is Ellipsis for k in items):
        items = (*items, Ellipsis)
    at = next(i for i, k in enumerate(items) if k is Ellipsis)
    return (*items[:at], *[slice(None)] * missing, *items[at + 1 :])


def _is_advanced(k: Any) -> bool:
    return isinstance(k, (Tensor, bool)) or not (k is None or isinstance(k, (int, slice)))


def _separated(items: tuple[Any, ...]) -> bool:
    """Whether index tensors have something between them: then their dimensions come first in the result."""
    places = [i for i, k in enumerate(items) if _is_advanced(k) or (isinstance(k, int) and not isinstance(k, bool))]
    places = [i for i in places if _is_advanced(items[i])]
    return bool(places) and places[-1] - places[0] + 1 != len(places)


def _moved(call: Call, x: Any, items: tuple[Any, ...]) -> Any:
    """Where the dimensions of the indices come first, the batch's is found behind them."""
    indices = [k for k in items if _is_advanced(k)]
    dims = max(1 if isinstance(k, Tensor) and k.dtype is flambeau.bool else getattr(k, "ndim", 1) for k in indices)
    return x.value[(slice(None), *items)].movedim(dims, 0)


def _by_batch(call: Call, x: Any, items: tuple[Any, ...]) -> Any:
    """Index tensors that differ over the batch: an index more, that counts its elements, stands before them."""
    basic, indices = _parts(call, items)
    value = call.batch(x)[(slice(None), *basic)]
    places = [i for i, k in enumerate(indices) if k is not None]
    dims = max(call.value(indices[i]).ndim - call.is_batched(indices[i]) for i in places)
    value = value.movedim([p + 1 for p in places], list(range(1, len(places) + 1)))
    result = value[(_rows(call, dims), *(_aligned(call, indices[i], dims) for i in places))]
    if places[-1] - places[0] + 1 == len(places) and places[0] > 0:  # the indices' dimensions take the place of theirs
        result = result.movedim(list(range(1, dims + 1)), list(range(1 + places[0], 1 + places[0] + dims)))
    return result


def _aligned(call: Call, index: Any, dims: int) -> Any:
    value = call.value(index)
    if not call.is_batched(index):
        return value
    return value.reshape(call.size, *(1,) * (dims + 1 - value.ndim), *value.shape[1:])


def _parts(call: Call, items: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
    """The basic part of a key, with whole dimensions where index tensors stand, and those by dimension of its result.

    A mask that is the same for the batch becomes its indices.
    """
    basic: list[Any] = []
    indices: list[Any] = []
    for k in items:
        if isinstance(k, Tensor) and k.dtype in (flambeau.bool, flambeau.uint8):
            if call.is_batched(k):
                raise RefusedError(MASK.format(size=call.size))
            for index in k.nonzero().unbind(1):
                basic.append(slice(None))
                indices.append(index)
        elif isinstance(k, Tensor) or not (k is None or isinstance(k, (int, slice))):
            basic.append(slice(None))
            indices.append(k if isinstance(k, Tensor) else flambeau.as_tensor(k))
        elif isinstance(k, bool):
            raise NotImplementedError(
                "vmap: True and False in an index beside tensors of the batch are not implemented"
            )
        else:
            basic.append(k)
            if k is None or isinstance(k, slice):
                indices.append(None)
    return basic, indices


@batching("__setitem__")
def set_item(call: Call) -> Any:
    """Writes through the view or the indices; a mask of the batch chooses between the old and the given value."""
    x, key, value = call.values
    items = key if isinstance(key, tuple) else (key,)
    if not call.is_batched(x):
        raise RuntimeError(IN_PLACE.format(name="__setitem__"))
    if len(items) == 1 and call.is_batched(items[0]) and items[0].dtype is flambeau.bool:
        _write_mask(call, x, items[0], value)
    elif _is_basic(key):
        _write_view(call, x.value[(slice(None), *_full(items, x.ndim))], value)
    else:
        _write_indices(call, x, _explicit(items, x.ndim), value)
    return None


def _write_view(call: Call, view: Tensor, value: Any) -> None:
    if not isinstance(value, Tensor):
        view[...] = value
        return
    given = call.value(value)
    while call.is_batched(value) and given.ndim > view.ndim and given.shape[1] == 1:
        given = given.squeeze(1)
    if call.is_batched(value):
        given = given.reshape(call.size, *(1,) * (view.ndim - given.ndim), *given.shape[1:])
    view[...] = given


def _write_mask(call: Call, x: Any, mask: Any, value: Any) -> None:
    chosen = mask.value.reshape(*mask.value.shape, *(1,) * (x.ndim - mask.ndim))
    if isinstance(value, Tensor) and value.ndim > 0:
        raise UnbatchableError(MASK.format(size=call.size))
    given = call.value(value)
    if call.is_batched(value):
        given = given.reshape(call.size, *(1,) * x.ndim)
    x.value.copy_(flambeau.where(chosen, given, x.value))


def _write_indices(call: Call, x: Any, items: tuple[Any, ...], value: Any) -> None:
    basic, indices = _parts(call, items)
    view = x.value[(slice(None), *basic)]
    places = [i for i, k in enumerate(indices) if k is not None]
    dims = max(call.value(indices[i]).ndim - call.is_batched(indices[i]) for i in places)
    view = view.movedim([p + 1 for p in places], list(range(1, len(places) + 1)))
    shape = [call.size, *flambeau.broadcast_shapes(*(indices[i].shape for i in places)), *view.shape[len(places) + 1 :]]
    given = call.value(value) if isinstance(value, Tensor) else flambeau.as_tensor(value, dtype=x.dtype)
    if call.is_batched(value):
        given = given.reshape(call.size, *(1,) * (len(shape) - given.ndim), *given.shape[1:])
    if places[-1] - places[0] + 1 == len(places) and places[0] > 0:
        behind = [*range(1, 1 + dims)], [*range(1 + places[0], 1 + places[0] + dims)]
        resulting = flambeau.empty(1).expand(shape).movedim(*behind).shape
        given = given.expand(resulting).movedim(*reversed(behind))
    view[(_rows(call, dims), *(_aligned(call, indices[i], dims) for i in places))] = given.to(x.dtype)


def _lifted(call: Call, *tensors: Any) -> list[Any]:
    """Values of the batch, with a dimension where there is none."""
    out = [call.batch(t) if isinstance(t, Tensor) else t for t in tensors]
    return [t.unsqueeze(1) if isinstance(t, Tensor) and t.ndim == 1 else t for t in out]


@batching("gather scatter scatter_add scatter_reduce")
def along_dimension(call: Call) -> Any:
    """Positions along a dimension, each tensor with as many dimensions as the input."""
    values = dict(zip(call.operator.parameters, call.values, strict=True))
    if call.operator.__name__ == "scatter" and isinstance(values["value"], Tensor):
        values["src"], values["value"] = values["value"].expand(values["index"].shape), None
    rank = values["input"].ndim
    values["dim"] = behind_batch(values["dim"], rank)
    for name in ("input", "index", "src", "value"):
        if isinstance(values.get(name), Tensor):
            values[name] = _lifted(call, values[name])[0]
    result = call.run(values.values())
    if call.operator.__name__ == "gather":
        return result.reshape(call.size) if call.argument("index").ndim == 0 else result
    return result.reshape(call.size) if rank == 0 else result


def _front(input: Tensor, dim: int) -> Tensor:
    """The dimension first; a tensor without dimensions as a vector."""
    return input.movedim(dim, 0) if input.ndim else input.reshape(1)


@composition("index_select")
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Whole slices along a dimension."""
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if input.ndim == 0:
        return input.reshape(1)[index.reshape(-1)].reshape(())
    return input.movedim(dim, 0)[index.reshape(-1)].movedim(0, dim)


@composition("index_add")
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, alpha: Any = 1) -> Tensor:
    """Adds slices."""
    return _index_write(input, dim, index, source if alpha == 1 else source * alpha, True)


@composition("index_copy")
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Replaces slices."""
    return _index_write(input, dim, index, source, False)


@composition("index_fill")
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """Fills slices."""
    given = value if isinstance(value, Tensor) else flambeau.as_tensor(value)
    return _index_write(input, dim, index, given.to(input.dtype), False)


def _index_write(input: Tensor, dim: int, index: Tensor, source: Tensor, accumulate: bool) -> Tensor:
    target, slices = _front(input, dim), source
    if source.ndim and input.ndim and source.ndim == input.ndim:
        slices = source.movedim(dim, 0)
    written = flambeau.index_put(target, (index.reshape(-1),), slices, accumulate)
    return written.movedim(0, dim) if input.ndim else written.reshape(())


@batching("index_put")
def index_put(call: Call) -> Any:
    """Indices of the batch are joined by one that counts its elements."""
    x, indices, values, accumulate = call.values
    indices = [k.nonzero().unbind(1) if _is_plain_mask(call, k) else (k,) for k in indices]
    indices = [k for group in indices for k in group]
    places = [i for i, k in enumerate(indices) if k is not None]
    dims = max(indices[i].ndim for i in places)
    if any(k is not None and k.dtype is flambeau.bool for k in indices):
        raise UnbatchableError(MASK.format(size=call.size))
    target = call.batch(x)
    order = [p + 1 for p in places], list(range(1, len(places) + 1))
    moved = target.movedim(*order)
    shape = [
        call.size,
        *flambeau.broadcast_shapes(*(indices[i].shape for i in places)),
        *moved.shape[len(places) + 1 :],
    ]
    given = call.value(values)
    if call.is_batched(values):
        given = given.reshape(call.size, *(1,) * (len(shape) - given.ndim), *given.shape[1:])
    if places[-1] - places[0] + 1 == len(places) and places[0] > 0:
        behind = [*range(1, 1 + dims)], [*range(1 + places[0], 1 + places[0] + dims)]
        given = given.expand(flambeau.empty(1).expand(shape).movedim(*behind).shape).movedim(*reversed(behind))
    keys = (_rows(call, dims), *(_aligned(call, indices[i], dims) for i in places))
    return flambeau.index_put(moved, keys, given, accumulate).movedim(*reversed(order))


def _is_plain_mask(call: Call, k: Any) -> bool:
    return k is not None and k.dtype in (flambeau.bool, flambeau.uint8) and not call.is_batched(k)


@composition("masked_fill")
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """The value where the mask is true."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
        value = value.to(input.dtype)
    return flambeau.where(mask, value, input).to(input.dtype)


@composition("searchsorted")
def searchsorted(sorted_sequence: Tensor, input: Any, out_int32: bool, right: bool, side: Any, sorter: Any) -> Any:
    """Of one sequence for all values, each element of the batch is a row."""
    given = input if isinstance(input, Tensor) else flambeau.as_tensor(input, dtype=sorted_sequence.dtype)
    if sorted_sequence.ndim == 1:
        sequence, order = sorted_sequence.unsqueeze(0), None if sorter is None else sorter.unsqueeze(0)
        rows = given.reshape(1, -1)
    else:
        sequence, rows, order = sorted_sequence, given, sorter
    return _search(sequence, rows, out_int32, right, side, order).reshape(given.shape)


def _search(sequence: Tensor, rows: Tensor, out_int32: bool, right: bool, side: Any, order: Any) -> Any:
    """How many elements of each row's sequence are below a value (or not above it)."""
    if order is not None:
        sequence = sequence.gather(-1, order)
    upper = right or side == "right"
    compared = rows.unsqueeze(-1) >= sequence.unsqueeze(-2) if upper else rows.unsqueeze(-1) > sequence.unsqueeze(-2)
    return compared.sum(-1).to(flambeau.int32 if out_int32 else flambeau.int64)


@composition("bucketize")
def bucketize(input: Any, boundaries: Tensor, out_int32: bool, right: bool) -> Tensor:
    """As searchsorted, with one sequence."""
    return flambeau.searchsorted(boundaries, input, out_int32=out_int32, right=right)


@composition("isin")
def isin(elements: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is among others."""
    among = test_elements.reshape(-1) if isinstance(test_elements, Tensor) else flambeau.as_tensor([test_elements])
    given = elements if isinstance(elements, Tensor) else flambeau.as_tensor(elements)
    found = (given.unsqueeze(-1) == among).any(-1)
    return found.logical_not() if invert else found


@composition("take")
def take(input: Tensor, index: Tensor) -> Tensor:
    """Of the flattened tensor."""
    return input.reshape(-1)[index]


@composition("put")
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool) -> Tensor:
    """Into the flattened tensor."""
    flat = flambeau.index_put(input.reshape(-1), (index.reshape(-1),), source.reshape(-1), accumulate)
    return flat.reshape(input.shape)


@composition("take_along_dim")
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None) -> Tensor:
    """As gather, broadcast."""
    if dim is None:
        return input.reshape(-1).gather(0, indices.reshape(-1))
    at = dim % input.ndim
    sizes = flambeau.broadcast_shapes(
        *([1 if i == at else size for i, size in enumerate(t.shape)] for t in (input, indices))
    )
    whole = [*sizes[:at], input.shape[at], *sizes[at + 1 :]]
    return input.expand(whole).gather(at, indices.expand(*sizes[:at], indices.shape[at], *sizes[at + 1 :]))


@composition("embedding")
def embedding(weight: Tensor, indices: Tensor, padding_idx: int, scale_grad_by_freq: bool, sparse: bool) -> Tensor:
    """Rows of the weight; the padding row passes no gradient."""
    rows = weight[indices]
    if padding_idx >= 0:
        rows = flambeau.where((indices == padding_idx).unsqueeze(-1), rows.detach(), rows)
    return rows


@composition("masked_scatter")
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The elements of the source in their order, where the mask is true."""
    input, mask = flambeau.broadcast_tensors(input, mask)
    order = (mask.reshape(-1).cumsum(0) - 1).clamp(min=0)
    return flambeau.where(mask, source.reshape(-1)[order].reshape(input.shape), input)


@composition("one_hot")
def one_hot(input: Tensor, num_classes: int) -> Tensor:
    """Ones at the given classes; their number has to be given."""
    if num_classes < 0:
        raise UnbatchableError("vmap: one_hot needs num_classes where the classes are a tensor of a batch.")
    return (input.unsqueeze(-1) == flambeau.arange(num_classes)).long()
