"""The compressed layouts: compressed sparse rows (CSR) and columns (CSC)."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from flambeau import _core
from flambeau._core import Size, Tensor
from flambeau.sparse._coo import version_of
from flambeau.sparse._tensor import SparseTensor, shell


class CompressedTensor(SparseTensor):
    """Sparse tensor with offsets ``(rows + 1,)``, indices ``(nnz,)`` and values ``(nnz, *dense sizes)``.

    CSC uses columns instead of rows.
    """

    __slots__ = ("_idx", "_ptr")
    _ptr: Tensor
    _idx: Tensor

    compressed_dim: ClassVar[int]  # 0: rows, 1: columns

    @classmethod
    def of(cls, offsets: Tensor, indices: Tensor, values: Tensor, size: Any) -> Self:
        """Create a tensor from valid parts, without checks."""
        made: Any = shell(cls, size, values.dtype)
        made._ptr, made._idx, made._val, made._size = offsets, indices, values, Size(size)
        made._known = {}
        return made  # type: ignore[no-any-return]

    def _like(self, values: Tensor) -> Self:
        made = self.of(self._ptr, self._idx, values, self._size)
        made._known = self._known
        return made

    def _versions(self) -> tuple[int, int]:
        return version_of(self._ptr), version_of(self._idx)

    def sparse_dim(self) -> int:
        """Return 2, the number of sparse dimensions."""
        return 2

    def values(self) -> Tensor:
        """Return the values, of shape ``(nnz, *dense sizes)``."""
        return self._val

    def _values(self) -> Tensor:
        """Return the values, detached from the graph."""
        return self._val.detach()


class CsrTensor(CompressedTensor):
    """Sparse tensor in the CSR layout."""

    __slots__ = ()
    compressed_dim = 0
    is_sparse_csr: ClassVar[bool] = True

    @property
    def layout(self) -> _core.layout:
        return _core.sparse_csr

    def crow_indices(self) -> Tensor:
        """Return the offset of each row in the values, and the end: shape ``(rows + 1,)``."""
        return self._ptr

    def col_indices(self) -> Tensor:
        """Return the column of each value, of shape ``(nnz,)``."""
        return self._idx


class CscTensor(CompressedTensor):
    """Sparse tensor in the CSC layout."""

    __slots__ = ()
    compressed_dim = 1

    @property
    def layout(self) -> _core.layout:
        return _core.sparse_csc

    def ccol_indices(self) -> Tensor:
        """Return the offset of each column in the values, and the end: shape ``(columns + 1,)``."""
        return self._ptr

    def row_indices(self) -> Tensor:
        """Return the row of each value, of shape ``(nnz,)``."""
        return self._idx


KINDS: dict[Any, type[CompressedTensor]] = {_core.sparse_csr: CsrTensor, _core.sparse_csc: CscTensor}
