"""Batching rules of operators that join or split tensors."""

from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.func._batching.dimensions import behind_batch
from flambeau.func._rules import Call, batching, check_arguments, composition


@batching("cat", "concat", "concatenate")
def cat(call: Call) -> Any:
    """Apply ``cat`` to batched tensors. Like ``cat`` itself, ignore 1-D tensors without elements."""
    tensors, dim = call.values
    ranks = {t.ndim for t in tensors if t.shape != (0,)} or {1}
    if len(ranks) > 1:
        raise RuntimeError(f"Tensors must have same number of dimensions: got {sorted(ranks)}")
    rank = ranks.pop()
    dtypes = {t.dtype for t in tensors}
    joined = [t for t in tensors if t.ndim == rank] if len(dtypes) == 1 else tensors
    return call.run(([call.batch(t) for t in joined], behind_batch(dim, rank)))


@batching("stack")
def stack(call: Call) -> Any:
    """Apply ``stack`` to batched tensors. ``dim`` is a dimension of the result."""
    tensors, dim = call.values
    return call.run(([call.batch(t) for t in tensors], behind_batch(dim, tensors[0].ndim + 1)))


def _tensors(tensors: Any) -> list[Tensor]:
    """Return the tensors that were passed as ``*tensors``: one tensor, several tensors, or one sequence of tensors."""
    if isinstance(tensors, Tensor):
        return [tensors]
    return list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else list(tensors)


def _at_least(t: Tensor, rank: int) -> Tensor:
    """Add dimensions of size 1 until there are ``rank``: a vector becomes a row, a matrix gets a last dimension."""
    if t.ndim == 0:
        return t.reshape((1,) * rank)
    if t.ndim == 1 and rank > 1:
        t = t.unsqueeze(0)
    return t.unsqueeze(-1) if t.ndim == 2 and rank == 3 else t


def _all_at_least(tensors: Any, rank: int) -> Tensor | tuple[Tensor, ...]:
    listed = _tensors(tensors)
    results = tuple(_at_least(t, rank) for t in listed)
    return results if len(results) > 1 else results[0]


composition("atleast_1d")(lambda tensors: _all_at_least(tensors, 1))
composition("atleast_2d")(lambda tensors: _all_at_least(tensors, 2))
composition("atleast_3d")(lambda tensors: _all_at_least(tensors, 3))


@composition("hstack")
def hstack(tensors: Any) -> Tensor:
    """Concatenate along the second dimension, or along the first for vectors."""
    listed = [_at_least(t, 1) for t in _tensors(tensors)]
    return flambeau.cat(listed, 0 if listed[0].ndim == 1 else 1)


composition("vstack", "row_stack")(lambda tensors: flambeau.cat([_at_least(t, 2) for t in _tensors(tensors)], 0))
composition("dstack")(lambda tensors: flambeau.cat([_at_least(t, 3) for t in _tensors(tensors)], 2))
composition("column_stack")(
    lambda tensors: flambeau.cat([t.reshape(-1, 1) if t.ndim < 2 else t for t in _tensors(tensors)], 1)
)


@composition("broadcast_tensors")
def broadcast_tensors(tensors: Any) -> tuple[Tensor, ...]:
    """Broadcast tensors to their common shape."""
    listed = _tensors(tensors)
    shape = flambeau.broadcast_shapes(*(t.shape for t in listed))
    return tuple(t.expand(shape) for t in listed)


def _splits(name: str, dim_of: Any) -> Callable[..., tuple[Tensor, ...]]:
    def split(t: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
        check_arguments(name, t, indices_or_sections)
        return t.tensor_split(indices_or_sections, dim_of(t))

    return split


for _name, _dim_of in (("hsplit", lambda t: min(t.ndim - 1, 1)), ("vsplit", lambda t: 0), ("dsplit", lambda t: 2)):
    composition(_name)(_splits(_name, _dim_of))


@composition("meshgrid")
def meshgrid(tensors: Any, indexing: str | None) -> tuple[Tensor, ...]:
    """Return coordinate grids. If ``indexing`` is ``"xy"``, swap the first two dimensions."""
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be one of 'xy' or 'ij', but received: {indexing}")
    listed = [t.reshape(-1) for t in _tensors(tensors)]
    shape = [t.shape[0] for t in listed]
    last = len(listed) - 1
    grids = [t.reshape(-1, *(1,) * (last - i)).expand(shape) for i, t in enumerate(listed)]
    return tuple(g.transpose(0, 1) if indexing == "xy" and last > 0 else g for g in grids)


@composition("cartesian_prod")
def cartesian_prod(tensors: Any) -> Tensor:
    """Return the Cartesian product of vectors: a matrix whose rows are all combinations of elements."""
    listed = _tensors(tensors)
    grids = meshgrid(tuple(listed), "ij")
    return flambeau.stack(grids, -1).reshape(-1, len(listed)) if len(listed) > 1 else listed[0].clone()
