"""Search, sort and set functions."""

from collections.abc import Callable
from typing import NamedTuple

import flambeau
from flambeau import Tensor
from flambeau.array_api._promotion import Scalar, normal, operands, positions


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the index of the first largest element along an axis, or in the flattened array.

    >>> fb.array_api.argmax(fb.tensor([[1, 9], [8, 2]]), axis=1)
    tensor([1, 0])
    """
    return _index_of(flambeau.argmax, x, axis, keepdims)


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the index of the first smallest element along an axis, or in the flattened array.

    >>> fb.array_api.argmin(fb.tensor([[1, 9], [8, 2]]))
    tensor(0)
    """
    return _index_of(flambeau.argmin, x, axis, keepdims)


def _index_of(search: Callable[..., Tensor], x: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    if axis is not None:
        return search(x, normal(axis, x.ndim), keepdims)
    index = search(x.reshape(-1), 0)
    return index.reshape([1] * x.ndim) if keepdims else index


def argsort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Return the indices that sort the array along an axis.

    >>> fb.array_api.argsort(fb.tensor([3, 1, 2]), descending=True)
    tensor([0, 2, 1])
    """
    return flambeau.argsort(x, normal(axis, x.ndim) if x.ndim else 0, descending, stable=stable)


def sort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Sort the elements along an axis.

    >>> fb.array_api.sort(fb.tensor([3, 1, 2]), descending=True)
    tensor([3, 2, 1])
    """
    return flambeau.sort(x, normal(axis, x.ndim) if x.ndim else 0, descending, stable=stable)[0]


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """Return the indices of the nonzero elements, one array per axis. Raise ValueError for a 0-D array.

    >>> fb.array_api.nonzero(fb.tensor([[0, 5], [6, 0]]))
    (tensor([0, 1]), tensor([1, 0]))
    """
    if x.ndim == 0:
        raise ValueError("nonzero() needs an array with at least one dimension")
    return tuple(flambeau.nonzero(x).unbind(1))


def searchsorted(x1: Tensor, x2: Tensor | Scalar, /, *, side: str = "left", sorter: Tensor | None = None) -> Tensor:
    """Return the positions at which to insert ``x2`` into the sorted 1-D array ``x1`` to keep it sorted.

    >>> fb.array_api.searchsorted(fb.tensor([1, 3, 5]), fb.tensor([3, 4]))
    tensor([1, 2])
    """
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted(): side must be 'left' or 'right', not {side!r}")
    ordered, values = operands("searchsorted", x1 if sorter is None else take_sorted(x1, sorter), x2)
    return flambeau.searchsorted(ordered, values, right=side == "right")


def take_sorted(x: Tensor, sorter: Tensor) -> Tensor:
    """Return the elements of a 1-D array in the order that ``sorter`` defines."""
    return x[positions(sorter)]


def where(condition: Tensor, x1: Tensor | Scalar, x2: Tensor | Scalar, /) -> Tensor:
    """Select elements from ``x1`` if the condition is true and from ``x2`` otherwise.

    >>> fb.array_api.where(fb.tensor([True, False]), fb.tensor([1, 2]), 0.5)
    tensor([1.0000, 0.5000])
    """
    return flambeau.where(condition, *operands("where", x1, x2))


def isin(x1: Tensor | Scalar, x2: Tensor | Scalar, /, *, invert: bool = False) -> Tensor:
    """Test for each element of ``x1`` if it is in ``x2``, or with ``invert`` if it is not.

    >>> fb.array_api.isin(fb.tensor([1, 2, 3]), fb.tensor([3, 1]))
    tensor([ True, False,  True])
    """
    elements, candidates = operands("isin", x1, x2)
    ordered = candidates.reshape(-1).sort()[0]
    if ordered.numel() == 0:
        return flambeau.full(elements.shape, invert, dtype=flambeau.bool)
    insertion_point = flambeau.searchsorted(ordered, elements).clamp(max=ordered.numel() - 1)
    return (ordered[insertion_point] == elements) != invert


class UniqueAllResult(NamedTuple):
    """Result of ``unique_all``."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCountsResult(NamedTuple):
    """Result of ``unique_counts``."""

    values: Tensor
    counts: Tensor


class UniqueInverseResult(NamedTuple):
    """Result of ``unique_inverse``."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Tensor, /) -> UniqueAllResult:
    """Return the sorted distinct elements, the indices of their first occurrences, inverse indices, and counts.

    Each NaN is distinct from the others.

    >>> fb.array_api.unique_all(fb.tensor([5, 7, 5])).indices
    tensor([0, 1])
    """
    flat = x.reshape(-1)
    order = _order(flat)
    ordered = flat[order]
    first = flambeau.ones(flat.numel(), dtype=flambeau.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    (starts,) = nonzero(first)
    inverse = flambeau.empty(flat.numel(), dtype=flambeau.int64)
    inverse[order] = first.to(flambeau.int64).cumsum(0) - 1
    ends = flambeau.cat([starts[1:], flambeau.full((min(1, len(starts)),), flat.numel())])
    return UniqueAllResult(ordered[starts], order[starts], inverse.reshape(x.shape), ends - starts)


def _order(x: Tensor) -> Tensor:
    """Return the indices that stably sort a 1-D array. Complex numbers are sorted by real, then imaginary part."""
    if not x.dtype.is_complex:
        return flambeau.argsort(x, stable=True)
    by_imaginary = flambeau.argsort(x.imag, stable=True)
    return by_imaginary[flambeau.argsort(x.real[by_imaginary], stable=True)]


def unique_counts(x: Tensor, /) -> UniqueCountsResult:
    """Return the sorted distinct elements and the number of occurrences of each.

    >>> fb.array_api.unique_counts(fb.tensor([5, 7, 5]))
    UniqueCountsResult(values=tensor([5, 7]), counts=tensor([2, 1]))
    """
    result = unique_all(x)
    return UniqueCountsResult(result.values, result.counts)


def unique_inverse(x: Tensor, /) -> UniqueInverseResult:
    """Return the sorted distinct elements and, for each element of ``x``, its index among them.

    >>> fb.array_api.unique_inverse(fb.tensor([5, 7, 5])).inverse_indices
    tensor([0, 1, 0])
    """
    result = unique_all(x)
    return UniqueInverseResult(result.values, result.inverse_indices)


def unique_values(x: Tensor, /) -> Tensor:
    """Return the sorted distinct elements.

    >>> fb.array_api.unique_values(fb.tensor([5, 7, 5]))
    tensor([5, 7])
    """
    return unique_all(x).values
