"""The compressed layouts: rows (CSR, BSR) or columns (CSC, BSC) of elements or of blocks."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import flambeau
from flambeau import _core
from flambeau._core import Size, Tensor
from flambeau.sparse._coo import CooTensor, from_cache, looked_up, unflattened, version_of
from flambeau.sparse._tensor import SparseTensor, shell


class CompressedTensor(SparseTensor):
    """Sparse matrix or batch of sparse matrices, of size ``(*batch, rows, columns, *dense)``.

    The entries are elements (CSR, CSC) or blocks of elements (BSR, BSC). They are grouped by row (CSR, BSR) or by
    column (CSC, BSC), the compressed dimension. All matrices of a batch have the same number of entries ``nnz``. The
    parts are:

    - offsets ``(*batch, count + 1)``: the first entry of each row or column, and the end,
    - indices ``(*batch, nnz)``: the column or row of each entry,
    - values ``(*batch, nnz, *block, *dense)``.

    With blocks, offsets and indices refer to rows and columns of blocks.
    """

    __slots__ = ("_idx", "_ptr")
    _ptr: Tensor
    _idx: Tensor

    compressed_dim: ClassVar[int]  # 0: rows, 1: columns
    block_dims: ClassVar[int]  # 2: the entries are blocks, 0: elements
    part_names: ClassVar[tuple[str, str]]  # the methods that return the offsets and the indices
    layout: ClassVar[_core.layout]

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

    @property
    def _batch_dims(self) -> int:
        return self._ptr.ndim - 1

    @property
    def _blocksize(self) -> tuple[int, ...]:
        """The numbers of rows and columns of a block, or ``()`` for a layout without blocks."""
        first = self._ptr.ndim
        return tuple(self._val.shape[first : first + self.block_dims])

    def _nnz(self) -> int:
        """Return the number of entries (elements or blocks) of each matrix."""
        return self._idx.shape[-1]

    def sparse_dim(self) -> int:
        """Return 2, the number of sparse dimensions."""
        return 2

    def dense_dim(self) -> int:
        """Return the number of dense dimensions, which come last."""
        return self._val.ndim - self._ptr.ndim - self.block_dims

    def values(self) -> Tensor:
        """Return the values, of shape ``(*batch, nnz, *block, *dense)``."""
        return self._val

    def _values(self) -> Tensor:
        """Return the values, detached from the graph."""
        return self._val.detach()

    def _of_values(self, gradient: Any) -> Tensor:
        if gradient._ptr is self._ptr and gradient._idx is self._idx:
            return gradient._val  # type: ignore[no-any-return]
        elements = CooTensor.of(gradient._element_indices(), gradient._elements(), gradient._size, False)
        return looked_up(elements, self._element_indices()).reshape(self._val.shape)

    def _elements(self) -> Tensor:
        return self._val.flatten(0, self._batch_dims + self.block_dims)

    def _element_indices(self) -> Tensor:
        indices: Tensor = from_cache(self, "element indices", _find_element_indices)
        return indices


class RowCompressedTensor(CompressedTensor):
    """Base class of CSR and BSR tensors."""

    __slots__ = ()
    compressed_dim, part_names = 0, ("crow_indices", "col_indices")

    def crow_indices(self) -> Tensor:
        """Return the offsets, of shape ``(*batch, rows + 1)``: the first entry of each row, and the end."""
        return self._ptr

    def col_indices(self) -> Tensor:
        """Return the column of each entry, of shape ``(*batch, nnz)``."""
        return self._idx


class ColumnCompressedTensor(CompressedTensor):
    """Base class of the layouts that compress columns."""

    __slots__ = ()
    compressed_dim, part_names = 1, ("ccol_indices", "row_indices")

    def ccol_indices(self) -> Tensor:
        """Return the offsets, of shape ``(*batch, columns + 1)``: the first entry of each column, and the end."""
        return self._ptr

    def row_indices(self) -> Tensor:
        """Return the row of each entry, of shape ``(*batch, nnz)``."""
        return self._idx


class CsrTensor(RowCompressedTensor):
    """Sparse tensor in the CSR layout."""

    __slots__ = ()
    layout, block_dims = _core.sparse_csr, 0
    is_sparse_csr: ClassVar[bool] = True


class CscTensor(ColumnCompressedTensor):
    """Sparse tensor in the CSC layout."""

    __slots__ = ()
    layout, block_dims = _core.sparse_csc, 0


class BsrTensor(RowCompressedTensor):
    """Sparse tensor in the BSR layout."""

    __slots__ = ()
    layout, block_dims = _core.sparse_bsr, 2


class BscTensor(ColumnCompressedTensor):
    """Sparse tensor in the BSC layout."""

    __slots__ = ()
    layout, block_dims = _core.sparse_bsc, 2


KINDS: dict[Any, type[CompressedTensor]] = {kind.layout: kind for kind in (CsrTensor, CscTensor, BsrTensor, BscTensor)}


def kind_of(layout: Any) -> type[CompressedTensor]:
    """Return the class of a compressed layout. Raise RuntimeError for other layouts."""
    if layout not in KINDS:
        raise RuntimeError(f"expected sparse compressed tensor layout but got {layout}")
    return KINDS[layout]


def layout_name(layout: _core.layout) -> str:
    """Return the name of a layout, such as ``"sparse_csr"``."""
    return str(layout).rpartition(".")[2]


def offsets_of(sorted_indices: Tensor, count: int) -> Tensor:
    """Return the position of the first entry of each index below ``count``, and the end: shape ``(count + 1,)``."""
    numbers = flambeau.arange(count + 1, device=sorted_indices.device)
    return flambeau.searchsorted(sorted_indices, numbers)


def numbers_of(offsets: Tensor) -> Tensor:
    """Return the row or column number of each entry, given the offsets. This is the inverse of `offsets_of`.

    In a batch, the row or column numbers continue from one matrix to the next.
    """
    lengths = offsets.diff().reshape(-1)
    return flambeau.arange(lengths.shape[0], device=offsets.device).repeat_interleave(lengths)


def entry_indices(matrix: CompressedTensor) -> Tensor:
    """Return the COO indices of the entries, of shape ``(batch dims + 2, entries)``, in the order of the values."""
    batch, count = matrix._size[: matrix._batch_dims], matrix._ptr.shape[-1] - 1
    *numbers, compressed = unflattened(numbers_of(matrix._ptr), (*batch, count))
    plain = matrix._idx.reshape(-1).long()
    pair = (compressed, plain) if matrix.compressed_dim == 0 else (plain, compressed)
    return flambeau.stack((*numbers, *pair))


def _find_element_indices(matrix: CompressedTensor) -> Tensor:
    indices = entry_indices(matrix)
    if not matrix.block_dims:
        return indices
    height, width = matrix._blocksize
    first = indices[:, :, None, None]  # indices of the first element of each block
    row = first[-2:-1] * height + flambeau.arange(height, device=indices.device)[:, None]
    column = first[-1:] * width + flambeau.arange(width, device=indices.device)
    shape = (-1, -1, height, width)
    parts = (first[:-2].expand(shape), row.expand(shape), column.expand(shape))
    return flambeau.cat(parts).flatten(1)
