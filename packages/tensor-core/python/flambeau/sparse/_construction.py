"""Constructors of sparse tensors from indices and values."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import _core
from flambeau._core import Tensor
from flambeau.sparse import _compressed_invariants, _invariants
from flambeau.sparse._compressed import CompressedTensor, kind_of
from flambeau.sparse._coo import CooTensor
from flambeau.sparse._tensor import SparseTensor


def _values(values: Any, dtype: Any, device: Any, requires_grad: bool, pin_memory: bool) -> Tensor:
    result = flambeau.as_tensor(values, dtype=dtype, device=device)
    if isinstance(result, SparseTensor):
        raise TypeError(f"values must be a strided tensor, got the layout {result.layout}")
    if pin_memory:
        result = result.pin_memory()
    if requires_grad:
        return result.detach().requires_grad_()
    # Return an alias, so that the tensor keeps its shape if the program changes the shape of ``values`` in place.
    return result.view_as(result) if result.requires_grad and flambeau.is_grad_enabled() else result.detach()


def _indices(indices: Any, device: Any) -> Tensor:
    result = flambeau.as_tensor(indices, device=device).detach()
    return result if result.dtype is flambeau.int64 else result.to(flambeau.int64)


def _size(size: Any) -> tuple[int, ...]:
    sizes = tuple(int(length) for length in size)
    if any(length < 0 for length in sizes):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(sizes)}: {list(sizes)}")
    return sizes


def sparse_coo_tensor(
    indices: Any = None,
    values: Any = None,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> CooTensor:
    """Create a sparse tensor in the COO (coordinate) layout.

    Args:
        indices: integers of shape ``(sparse_dim, nnz)``. Without values, the size of an empty tensor.
        values: shape ``(nnz, *dense sizes)``. Values with equal indices are added.
        size: sizes of the sparse and then of the dense dimensions. The default is the smallest size that contains the
            indices.
        dtype, device: dtype and device of the tensor. The defaults are the dtype and device of the values.
        pin_memory: if True, keep the values in page-locked memory.
        requires_grad: if True, the values become a leaf that requires grad. Otherwise gradients flow to ``values``.
        check_invariants: True also verifies ``is_coalesced``. False skips the check of the range of the indices.
        is_coalesced: True declares that the indices are sorted and unique.
    Returns: a sparse tensor.
    Raises: RuntimeError if the parts do not match, or if an index is out of range.

    >>> s = flambeau.sparse_coo_tensor([[0, 1, 1], [2, 0, 2]], [3.0, 4.0, 5.0], (2, 3))
    >>> s.to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 5.]])
    """
    if values is None:
        return _empty_coo(indices if size is None else size, dtype, device, requires_grad)
    stored = _values(values, dtype, device, requires_grad, pin_memory)
    if stored.ndim == 0:
        stored = stored.reshape(1)
    where = _indices(indices, stored.device)
    if where.ndim == 1 and where.numel() == 0:
        where = where.reshape(0 if size is None else len(size), 0)
    if where.ndim != 2:
        if where.ndim == 1 and size is not None:
            raise RuntimeError(
                f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(size)}, sparse_dim = "
                f"{where.shape[0]}, dense_dim = {stored.ndim - 1}"
            )
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(where.shape)}")
    _invariants.check_coo_parts(where, stored, None if size is None else _size(size))
    inferred = size is None
    sizes = _inferred(where, stored) if inferred else _size(size)
    if check_invariants is not False and not inferred:
        _invariants.check_coo_range(where, sizes)
    wanted = _invariants.check_enabled(check_invariants)
    if wanted and is_coalesced:
        _invariants.check_coalesced(where, sizes)
    return CooTensor.of(where, stored, sizes, bool(is_coalesced))


def _inferred(indices: Tensor, values: Tensor) -> tuple[int, ...]:
    if indices.shape[1] == 0:
        return (0,) * indices.shape[0] + tuple(values.shape[1:])
    least = indices.amin(1).tolist()
    for dim, smallest in enumerate(least):
        if smallest < 0:
            raise RuntimeError(f"found negative index {smallest} for dim {dim}")
    return (*(largest + 1 for largest in indices.amax(1).tolist()), *values.shape[1:])


def _empty_coo(size: Any, dtype: Any, device: Any, requires_grad: bool, sparse_dim: int | None = None) -> CooTensor:
    if size is None:
        raise TypeError("sparse_coo_tensor() needs indices and values, or a size")
    sizes = _size(size)
    count = len(sizes) if sparse_dim is None else sparse_dim
    values = flambeau.zeros((0, *sizes[count:]), dtype=dtype, device=device, requires_grad=requires_grad)
    indices = flambeau.zeros((count, 0), dtype=flambeau.int64, device=values.device)
    return CooTensor.of(indices, values, sizes, True)


def sparse_compressed_tensor(
    compressed_indices: Any,
    plain_indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> CompressedTensor:
    """Create a sparse matrix or a batch of sparse matrices in a compressed layout.

    The layouts compress rows (``sparse_csr``, ``sparse_bsr``) or columns (``sparse_csc``, ``sparse_bsc``). The entries
    are elements, or blocks of elements (``sparse_bsr``, ``sparse_bsc``), whose indices count rows and columns of
    blocks.

    Args:
        compressed_indices: int32 or int64 of shape ``(*batch, count + 1)``: the first entry of each row or column, and
            the end.
        plain_indices: shape ``(*batch, nnz)``: the column or row of each entry.
        values: shape ``(*batch, nnz, *dense sizes)``, or ``(*batch, nnz, *blocksize, *dense sizes)`` for blocks.
        size: size ``(*batch, rows, columns, *dense sizes)``. The default is the smallest size that contains the
            indices.
        dtype, device, pin_memory, requires_grad: see `sparse_coo_tensor`.
        layout: one of the four layouts.
        check_invariants: True also verifies that plain indices are sorted and unique within each row or column. False
            skips all checks of index values.
    Returns: a sparse tensor.
    Raises: RuntimeError if the parts do not match.

    >>> x = fb.sparse_compressed_tensor([0, 1, 3], [1, 0, 2], [5.0, 6.0, 7.0], (2, 3), layout=fb.sparse_csr)
    >>> x.to_dense()
    tensor([[0., 5., 0.],
            [6., 0., 7.]])
    """
    kind = kind_of(layout)
    stored = _values(values, dtype, device, requires_grad, pin_memory)
    offsets, indices = _offsets(compressed_indices, stored.device), _offsets(plain_indices, stored.device)
    if size is None:
        size = _compressed_invariants.estimated_size(kind.of(offsets, indices, stored, ()))
    result = kind.of(offsets, indices, stored, _size(size))
    _compressed_invariants.check_parts(result)
    if check_invariants is not False:
        _compressed_invariants.check_indices(result, order=_invariants.check_enabled(check_invariants))
    return result


def _offsets(indices: Any, device: Any) -> Tensor:
    dtype = None if hasattr(indices, "dtype") else flambeau.int64
    return flambeau.as_tensor(indices, dtype=dtype, device=device).detach()


def sparse_csr_tensor(
    crow_indices: Any, col_indices: Any, values: Any, size: Any = None, **options: Any
) -> CompressedTensor:
    """Create a sparse matrix in the CSR layout. See `sparse_compressed_tensor`.

    >>> flambeau.sparse_csr_tensor([0, 1, 3], [2, 0, 2], [3.0, 4.0, 5.0], (2, 3)).to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 5.]])
    """
    return sparse_compressed_tensor(
        crow_indices, col_indices, values, size, **_of_layout("sparse_csr_tensor", _core.sparse_csr, options)
    )


def sparse_csc_tensor(
    ccol_indices: Any, row_indices: Any, values: Any, size: Any = None, **options: Any
) -> CompressedTensor:
    """Create a sparse matrix in the CSC layout. See `sparse_compressed_tensor`.

    >>> fb.sparse_csc_tensor([0, 1, 2, 3], [1, 0, 1], [6.0, 5.0, 7.0], (2, 3)).to_dense()
    tensor([[0., 5., 0.],
            [6., 0., 7.]])
    """
    return sparse_compressed_tensor(
        ccol_indices, row_indices, values, size, **_of_layout("sparse_csc_tensor", _core.sparse_csc, options)
    )


def sparse_bsr_tensor(
    crow_indices: Any, col_indices: Any, values: Any, size: Any = None, **options: Any
) -> CompressedTensor:
    """Create a sparse matrix in the BSR layout. See `sparse_compressed_tensor`.

    >>> flambeau.sparse_bsr_tensor([0, 1, 2], [1, 0], [[[1, 2]], [[3, 4]]], (2, 4)).to_dense()
    tensor([[0, 0, 1, 2],
            [3, 4, 0, 0]])
    """
    return sparse_compressed_tensor(
        crow_indices, col_indices, values, size, **_of_layout("sparse_bsr_tensor", _core.sparse_bsr, options)
    )


def sparse_bsc_tensor(
    ccol_indices: Any, row_indices: Any, values: Any, size: Any = None, **options: Any
) -> CompressedTensor:
    """Create a sparse matrix in the BSC layout. See `sparse_compressed_tensor`.

    >>> fb.sparse_bsc_tensor([0, 1, 2], [1, 0], [[[1, 2]], [[3, 4]]], (2, 4)).to_dense()
    tensor([[0, 0, 3, 4],
            [1, 2, 0, 0]])
    """
    return sparse_compressed_tensor(
        ccol_indices, row_indices, values, size, **_of_layout("sparse_bsc_tensor", _core.sparse_bsc, options)
    )


def _of_layout(name: str, layout: Any, options: dict[str, Any]) -> dict[str, Any]:
    if options.setdefault("layout", layout) is not layout:
        raise RuntimeError(f"{name}() creates tensors of the layout {layout}, but got layout={options['layout']}")
    return options
