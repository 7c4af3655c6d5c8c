"""The COO (coordinate) layout, which stores each element with its indices along the sparse dimensions."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import flambeau
from flambeau import _core
from flambeau._core import Size, Tensor
from flambeau.sparse._tensor import SparseTensor, shell

NOT_COALESCED = "Cannot get {what} on an uncoalesced tensor, please call .coalesce() first"


class CooTensor(SparseTensor):
    """Sparse tensor with indices ``(sparse_dim, nnz)`` and values ``(nnz, *dense sizes)``.

    Values with equal indices are added.
    """

    __slots__ = ("_coal", "_ind")
    _ind: Tensor
    _coal: bool

    is_sparse: ClassVar[bool] = True

    @staticmethod
    def of(indices: Tensor, values: Tensor, size: Any, coalesced: bool) -> CooTensor:
        """Create a tensor from valid parts, without checks."""
        made: CooTensor = shell(CooTensor, size, values.dtype)
        made._ind, made._val, made._size = indices, values, Size(size)
        made._coal = coalesced or values.shape[0] < 2
        made._known = {}
        return made

    def _like(self, values: Tensor) -> Self:
        made: Any = shell(type(self), self._size, values.dtype)
        made._ind, made._val, made._size, made._coal = self._ind, values, self._size, self._coal
        made._known = self._known
        return made  # type: ignore[no-any-return]

    def _versions(self) -> int:
        return version_of(self._ind)

    @property
    def layout(self) -> _core.layout:
        return _core.sparse_coo

    def sparse_dim(self) -> int:
        """Return the number of sparse dimensions, which come first."""
        return self._ind.shape[0]

    _dimI = sparse_dim  # noqa: N815  # PyTorch's name
    _dimV = SparseTensor.dense_dim  # noqa: N815

    def is_coalesced(self) -> bool:
        """Return True if the indices are known to be sorted and unique."""
        return self._coal

    def _coalesced_(self, coalesced: bool) -> Self:
        self._coal = coalesced
        return self

    def indices(self) -> Tensor:
        """Return the indices, of shape ``(sparse_dim, nnz)``. Raise RuntimeError unless coalesced."""
        if not self._coal:
            raise RuntimeError(NOT_COALESCED.format(what="indices"))
        return self._ind

    def values(self) -> Tensor:
        """Return the values, of shape ``(nnz, *dense sizes)``. Raise RuntimeError unless coalesced."""
        if not self._coal:
            raise RuntimeError(NOT_COALESCED.format(what="values"))
        return self._val

    def _indices(self) -> Tensor:
        """Return the indices, coalesced or not."""
        return self._ind.detach()

    def _values(self) -> Tensor:
        """Return the values, detached from the graph, coalesced or not."""
        return self._val.detach()

    def _as_gradient(self, of_values: Tensor) -> CooTensor:
        if self._coal:
            return self._like(of_values)
        merging = from_cache(self, "merging", merging_of)
        values = of_values if merging.firsts is None else of_values.index_select(0, merging.firsts)
        return CooTensor.of(merging.indices, values, self._size, True)

    def _elements(self) -> Tensor:
        return self._val

    def _element_indices(self) -> Tensor:
        return self._ind

    def coalesce(self) -> CooTensor:
        """Sort the indices in row-major order and add the values of equal indices. Return self if already coalesced.

        Gradient: defined for the values. Each value receives the gradient of its sum.
        """
        if self._coal:
            return self
        merging = from_cache(self, "merging", merging_of)
        values = self._val if merging.order is None else self._val.index_select(0, merging.order)
        if merging.groups is not None:
            values = summed(values, merging.groups, merging.indices.shape[1])
        return CooTensor.of(merging.indices, values, self._size, True)


class Merging:
    """Steps with which `coalesce` merges entries of equal indices. An attribute is None if its step is not needed.

    Attributes:
        order: permutation that sorts the entries by index.
        groups: for each sorted entry, the number of the sum to which it belongs.
        firsts: position of the first entry of each sum.
        indices: the sorted and unique indices.
    """

    __slots__ = ("firsts", "groups", "indices", "order")

    def __init__(self, order: Tensor | None, groups: Tensor | None, firsts: Tensor | None, indices: Tensor) -> None:
        self.order, self.groups, self.firsts, self.indices = order, groups, firsts, indices


def from_cache(tensor: SparseTensor, name: str, find: Any) -> Any:
    """Return ``find(tensor)``, cached until the indices are changed in place."""
    versions = tensor._versions()
    entry = tensor._known.get(name)
    if entry is None or entry[0] != versions:
        entry = tensor._known[name] = versions, find(tensor)
    return entry[1]


def version_of(indices: Tensor) -> int:
    """Return the version counter of a tensor, or 0 for an inference tensor, which has no counter."""
    return 0 if indices.is_inference() else indices._version


def flat_keys(indices: Any, sizes: Any) -> Tensor:
    """Return the row-major flat index of each column of ``indices``, of shape ``(nnz,)`` in int64."""
    if len(sizes) == 0:
        return flambeau.zeros(indices.shape[1], dtype=flambeau.int64, device=indices.device)
    keys: Tensor = indices[0]
    for dim in range(1, len(sizes)):
        keys = keys * sizes[dim] + indices[dim]
    return keys


def unflattened(keys: Tensor, sizes: Any) -> list[Tensor]:
    """Return the indices along each dimension, as the inverse of `flat_keys` for at least one dimension."""
    indices: list[Tensor] = []
    for length in reversed(sizes[1:]):
        indices.insert(0, keys % max(1, length))
        keys = keys // max(1, length)
    return [keys, *indices]


def merging_of(tensor: CooTensor) -> Merging:
    """Compute how `coalesce` merges the entries."""
    indices = tensor._ind
    keys = flat_keys(indices, tensor._size[: indices.shape[0]])
    if bool((keys[1:] > keys[:-1]).all()):
        return Merging(None, None, None, indices)
    keys, order = flambeau.sort(keys, stable=True)
    begins = flambeau.ones(keys.shape[0], dtype=flambeau.bool, device=keys.device)
    begins[1:] = keys[1:] != keys[:-1]
    if bool(begins.all()):
        return Merging(order, None, order, indices.index_select(1, order))
    firsts = order.index_select(0, begins.nonzero().reshape(-1))
    return Merging(order, begins.cumsum(0) - 1, firsts, indices.index_select(1, firsts))


def summed(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return the sum of each group, of shape ``(count, *dense sizes)``. For bool, the sum is the logical or."""
    if values.dtype is flambeau.bool:
        return summed(values.to(flambeau.int64), groups, count) > 0
    empty = flambeau.zeros((count, *values.shape[1:]), dtype=values.dtype, device=values.device)
    return empty.index_add(0, groups, values)


def looked_up(tensor: CooTensor, indices: Tensor) -> Tensor:
    """Return the elements at ``indices``, of shape ``(n, *dense sizes)``. Gradient: defined for the values."""
    merged = tensor.coalesce()
    sizes = merged._size[: merged.sparse_dim()]
    keys, wanted = flat_keys(merged._ind, sizes), flat_keys(indices, sizes)
    insertion_point = flambeau.searchsorted(keys, wanted)
    is_present = flambeau.cat((keys, keys.new_full((1,), -1))).index_select(0, insertion_point) == wanted
    values = flambeau.cat((merged._val, merged._val.new_zeros((1, *merged._val.shape[1:]))))
    return values.index_select(0, insertion_point.where(is_present, keys.shape[0]))
