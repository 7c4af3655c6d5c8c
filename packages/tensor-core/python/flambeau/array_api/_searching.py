"""Searching, sorting and sets."""

from collections.abc import Callable
from typing import NamedTuple

import flambeau
from flambeau import Tensor
from flambeau.array_api._promotion import Scalar, normal, operands, positions


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the first largest element along an axis, or in the flattened array."""
    return _index_of(flambeau.argmax, x, axis, keepdims)


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the first smallest element along an axis, or in the flattened array."""
    return _index_of(flambeau.argmin, x, axis, keepdims)


def _index_of(search: Callable[..., Tensor], x: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    if axis is not None:
        return search(x, normal(axis, x.ndim), keepdims)
    index = search(x.reshape(-1), 0)
    return index.reshape([1] * x.ndim) if keepdims else index


def argsort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The indices that sort along an axis."""
    return flambeau.argsort(x, normal(axis, x.ndim) if x.ndim else 0, descending, stable=stable)


def sort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements in order along an axis."""
    return flambeau.sort(x, normal(axis, x.ndim) if x.ndim else 0, descending, stable=stable)[0]


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """The indices of the elements that are not 0, one array for each axis; ValueError without axes."""
    if x.ndim == 0:
        raise ValueError("nonzero() needs an array with at least one dimension")
    return tuple(flambeau.nonzero(x).unbind(1))


def searchsorted(x1: Tensor, x2: Tensor | Scalar, /, *, side: str = "left", sorter: Tensor | None = None) -> Tensor:
    """Where to insert the values ``x2`` into the sorted vector ``x1`` to keep its order."""
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted(): side must be 'left' or 'right', not {side!r}")
    ordered, values = operands("searchsorted", x1 if sorter is None else take_sorted(x1, sorter), x2)
    return flambeau.searchsorted(ordered, values, right=side == "right")


def take_sorted(x: Tensor, sorter: Tensor) -> Tensor:
    """The vector in the order that ``sorter`` gives."""
    return x[positions(sorter)]


def where(condition: Tensor, x1: Tensor | Scalar, x2: Tensor | Scalar, /) -> Tensor:
    """``x1`` where the condition is true, else ``x2``."""
    return flambeau.where(condition, *operands("where", x1, x2))


def isin(x1: Tensor | Scalar, x2: Tensor | Scalar, /, *, invert: bool = False) -> Tensor:
    """Whether each element of ``x1`` is among those of ``x2`` (with ``invert``: is not)."""
    elements, candidates = operands("isin", x1, x2)
    ordered = candidates.reshape(-1).sort()[0]
    if ordered.numel() == 0:
        return flambeau.full(elements.shape, invert, dtype=flambeau.bool)
    place = flambeau.searchsorted(ordered, elements).clamp(max=ordered.numel() - 1)
    return (ordered[place] == elements) != invert


class UniqueAllResult(NamedTuple):
    """What ``unique_all`` returns."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCountsResult(NamedTuple):
    """What ``unique_counts`` returns."""

    values: Tensor
    counts: Tensor


class UniqueInverseResult(NamedTuple):
    """What ``unique_inverse`` returns."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Tensor, /) -> UniqueAllResult:
    """The distinct elements in order, where each occurs first, which one each element is, and how often each occurs.

    Every NaN is distinct from the others.
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
    """The stable order of a vector; of complex numbers by the real, then by the imaginary part."""
    if not x.dtype.is_complex:
        return flambeau.argsort(x, stable=True)
    by_imaginary = flambeau.argsort(x.imag, stable=True)
    return by_imaginary[flambeau.argsort(x.real[by_imaginary], stable=True)]


def unique_counts(x: Tensor, /) -> UniqueCountsResult:
    """The distinct elements in order, and how often each occurs."""
    result = unique_all(x)
    return UniqueCountsResult(result.values, result.counts)


def unique_inverse(x: Tensor, /) -> UniqueInverseResult:
    """The distinct elements in order, and which of them each element is."""
    result = unique_all(x)
    return UniqueInverseResult(result.values, result.inverse_indices)


def unique_values(x: Tensor, /) -> Tensor:
    """The distinct elements in order."""
    return unique_all(x).values
