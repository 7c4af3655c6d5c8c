"""Batching rules of operators that read or write slices or elements at indices along a dimension."""

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.func._batching.dimensions import behind_batch
from flambeau.func._rules import Call, UnbatchableError, batching, composition


def _values_with_dims(call: Call, *tensors: Any) -> list[Any]:
    """Return the batched values of tensors. A 0-D tensor becomes a vector of one element."""
    out = [call.batch(t) if isinstance(t, Tensor) else t for t in tensors]
    return [t.unsqueeze(1) if isinstance(t, Tensor) and t.ndim == 1 else t for t in out]


@batching("gather scatter scatter_add scatter_reduce")
def along_dimension(call: Call) -> Any:
    """Apply ``gather`` or a scatter operator, whose index has as many dimensions as the input, to a batch."""
    values = dict(zip(call.operator.parameters, call.values, strict=True))
    if call.operator.__name__ == "scatter" and isinstance(values["value"], Tensor):
        values["src"], values["value"] = values["value"].expand(values["index"].shape), None
    rank = values["input"].ndim
    values["dim"] = behind_batch(values["dim"], rank)
    for name in ("input", "index", "src", "value"):
        if isinstance(values.get(name), Tensor):
            values[name] = _values_with_dims(call, values[name])[0]
    result = call.run(values.values())
    if call.operator.__name__ == "gather":
        return result.reshape(call.size) if call.argument("index").ndim == 0 else result
    return result.reshape(call.size) if rank == 0 else result


def _move_to_front(input: Tensor, dim: int) -> Tensor:
    """Move the dimension to the front. A 0-D tensor becomes a vector."""
    return input.movedim(dim, 0) if input.ndim else input.reshape(1)


@composition("index_select")
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Select slices along a dimension."""
    if index.ndim > 1:
        raise IndexError(f"index_select(): Index is supposed to be a vector, got shape {list(index.shape)}")
    if input.ndim == 0:
        return input.reshape(1)[index.reshape(-1)].reshape(())
    return input.movedim(dim, 0)[index.reshape(-1)].movedim(0, dim)


@composition("index_add")
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, alpha: Any = 1) -> Tensor:
    """Add slices along a dimension."""
    return _index_write(input, dim, index, source if alpha == 1 else source * alpha, True)


@composition("index_copy")
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Replace slices along a dimension."""
    return _index_write(input, dim, index, source, False)


@composition("index_fill")
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """Fill slices along a dimension."""
    filling = value if isinstance(value, Tensor) else flambeau.as_tensor(value)
    return _index_write(input, dim, index, filling.to(input.dtype), False)


def _index_write(input: Tensor, dim: int, index: Tensor, source: Tensor, accumulate: bool) -> Tensor:
    target, slices = _move_to_front(input, dim), source
    if source.ndim and input.ndim and source.ndim == input.ndim:
        slices = source.movedim(dim, 0)
    written = flambeau.index_put(target, (index.reshape(-1),), slices, accumulate)
    return written.movedim(0, dim) if input.ndim else written.reshape(())


@composition("take")
def take(input: Tensor, index: Tensor) -> Tensor:
    """Select elements of the flattened tensor."""
    return input.reshape(-1)[index]


@composition("put")
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool) -> Tensor:
    """Write elements of the flattened tensor."""
    flat = flambeau.index_put(input.reshape(-1), (index.reshape(-1),), source.reshape(-1), accumulate)
    return flat.reshape(input.shape)


@composition("take_along_dim")
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None) -> Tensor:
    """Gather along a dimension with broadcast indices."""
    if dim is None:
        return input.reshape(-1).gather(0, indices.reshape(-1))
    at = behind_batch(dim, input.ndim) - 1
    sizes = flambeau.broadcast_shapes(
        *([1 if i == at else size for i, size in enumerate(t.shape)] for t in (input, indices))
    )
    whole = [*sizes[:at], input.shape[at], *sizes[at + 1 :]]
    return input.expand(whole).gather(at, indices.expand(*sizes[:at], indices.shape[at], *sizes[at + 1 :]))


@composition("embedding")
def embedding(weight: Tensor, indices: Tensor, padding_idx: int, scale_grad_by_freq: bool, sparse: bool) -> Tensor:
    """Return the rows of ``weight`` at ``indices``. The row ``padding_idx`` receives no gradient."""
    rows = weight[indices]
    if padding_idx >= 0:
        rows = flambeau.where((indices == padding_idx).unsqueeze(-1), rows.detach(), rows)
    return rows


@composition("one_hot")
def one_hot(input: Tensor, num_classes: int) -> Tensor:
    """Return the one-hot encoding. ``num_classes`` is required, since it cannot be inferred from batched classes."""
    if num_classes < 0:
        raise UnbatchableError("vmap: one_hot requires num_classes if the classes are batched")
    return (input.unsqueeze(-1) == flambeau.arange(num_classes)).long()
