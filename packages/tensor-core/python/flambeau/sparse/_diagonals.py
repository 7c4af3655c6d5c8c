"""Sparse matrices that are given by their diagonals."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import _core
from flambeau._core import Tensor
from flambeau.sparse._construction import sparse_coo_tensor
from flambeau.sparse._conversion import to_sparse
from flambeau.sparse._tensor import SparseTensor

_LAYOUTS = (_core.sparse_coo, _core.sparse_csr, _core.sparse_csc)


def spdiags(diagonals: Tensor, offsets: Tensor, shape: Any, layout: Any = None) -> SparseTensor:
    """Return a sparse matrix with the rows of ``diagonals`` on its diagonals.

    Above the main diagonal (offset k > 0), column ``j`` contains element ``j`` of the row, so that the first k elements
    are not used. Below the main diagonal, row elements are used from the first one on.

    Args:
        diagonals: shape ``(n, length)``, or ``(length,)`` for one diagonal.
        offsets: distinct integers of shape ``(n,)``, or one number. 0 is the main diagonal; positive offsets are above
            it.
        shape: size of the matrix.
        layout: ``sparse_coo`` (the default), ``sparse_csr`` or ``sparse_csc``.
    Returns: a sparse matrix.
    Raises: RuntimeError if the arguments do not match.
    Gradient: defined for ``diagonals``.

    >>> flambeau.sparse.spdiags(flambeau.tensor([[1.0, 2.0, 3.0]]), flambeau.tensor([1]), (3, 3)).to_dense()
    tensor([[0., 2., 0.],
            [0., 0., 3.],
            [0., 0., 0.]])
    """
    rows = diagonals[None] if diagonals.ndim == 1 else diagonals
    diagonal_offsets = offsets.reshape(1) if offsets.ndim == 0 else offsets
    if rows.ndim != 2:
        raise RuntimeError(f"Diagonals must be vector or matrix, got {diagonals.ndim} dimensions")
    if len(shape) != 2:
        raise RuntimeError(f"Output shape must be 2d, got {list(shape)}")
    if diagonal_offsets.ndim != 1:
        raise RuntimeError(f"Offsets must be scalar or vector, got {diagonal_offsets.ndim} dimensions")
    if diagonal_offsets.shape[0] != rows.shape[0]:
        raise RuntimeError(
            f"Number of diagonals ({rows.shape[0]}) does not match the number of offsets ({diagonal_offsets.shape[0]})"
        )
    if layout not in (None, *_LAYOUTS):
        names = [str(kind).rpartition(".")[2] for kind in (*_LAYOUTS, layout)]
        raise RuntimeError(f"Only output layouts ({', '.join(names[:-1])}) are supported, got {names[-1]}")
    if diagonal_offsets.dtype is not flambeau.int64:
        raise RuntimeError(f"Offset Tensor must have dtype Long but got {diagonal_offsets.dtype}")
    if diagonal_offsets.unique().shape[0] != diagonal_offsets.shape[0]:
        raise RuntimeError("Offset tensor contains duplicate values")
    height, width = shape
    column = flambeau.arange(min(rows.shape[1], width), device=rows.device).expand(diagonal_offsets.shape[0], -1)
    row = column - diagonal_offsets[:, None]
    there = ((row >= 0) & (row < height)).reshape(-1).nonzero().reshape(-1)
    indices = flambeau.stack((row.reshape(-1)[there], column.reshape(-1)[there]))
    values = rows[:, : column.shape[1]].reshape(-1).index_select(0, there)
    return to_sparse(sparse_coo_tensor(indices, values, (height, width)), layout=layout)
