"""Compressed rows (CSR) and columns (CSC): where each begins, and the other index of each element."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from flambeau import _core
from flambeau._core import Size, Tensor
from flambeau.sparse._coo import version_of
from flambeau.sparse._tensor import SparseTensor, shell


class CompressedTensor(SparseTensor):
    """Offsets ``(rows + 1,)``, indices ``(nnz,)`` and values ``(nnz, *dense sizes)``, of rows or of columns."""

    __slots__ = ("_idx", "_ptr")
    _ptr: Tensor
    _idx: Tensor

    compressed_dim: ClassVar[int]  # 0: rows, 1: columns

    @classmethod
    def of(cls, offsets: Tensor, indices: Tensor, values: Tensor, size: Any) -> Self:
        """The tensor of these parts, which fit each other."""
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
        """Two: rows and columns."""
        return 2

    def values(self) -> Tensor:
        """The values, ``(nnz, *dense sizes)``."""
        return self._val

    def _values(self) -> Tensor:
        """The values without history."""
        return self._val.detach()


class CsrTensor(CompressedTensor):
    """Compressed rows."""

    __slots__ = ()
    compressed_dim = 0
    is_sparse_csr: ClassVar[bool] = True

    @property
    def layout(self) -> _core.layout:
        return _core.sparse_csr

    def crow_indices(self) -> Tensor:
        """Where each row begins, and the end: ``(rows + 1,)``."""
        return self._ptr

    def col_indices(self) -> Tensor:
        """The column of each value, ``(nnz,)``."""
        return self._idx


class CscTensor(CompressedTensor):
    """Compressed columns."""

    __slots__ = ()
    compressed_dim = 1

    @property
    def layout(self) -> _core.layout:
        return _core.sparse_csc

    def ccol_indices(self) -> Tensor:
        """Where each column begins, and the end: ``(columns + 1,)``."""
        return self._ptr

    def row_indices(self) -> Tensor:
        """The row of each value, ``(nnz,)``."""
        return self._idx


KINDS: dict[Any, type[CompressedTensor]] = {_core.sparse_csr: CsrTensor, _core.sparse_csc: CscTensor}
