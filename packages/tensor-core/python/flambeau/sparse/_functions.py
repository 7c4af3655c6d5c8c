"""The public functions of ``flambeau.sparse``."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau._core import Tensor
from flambeau.sparse import _products, _reductions
from flambeau.sparse._tensor import SparseTensor


def mm(mat1: Any, mat2: Any, reduce: str | None = None) -> Tensor:
    """The product of two matrices: dense where one of them is, else sparse.

    Args:
        mat1, mat2: ``(n, m)`` and ``(m, k)``, of one dtype; sparse or strided.
        reduce: how the products of a row's elements are combined, for a CSR ``mat1`` and a strided ``mat2``: ``"sum"``
            (as None), ``"mean"``, ``"amax"`` or ``"amin"``. Elements that are not stored do not count; a row without
            elements gives 0.
    Returns: strided ``(n, k)``, or sparse where both are.
    Raises: RuntimeError for sizes, dtypes or layouts that do not fit.
    Gradient: both; a sparse matrix's has its indices. That of an extreme goes to the first of equal products.

    >>> s = flambeau.sparse_coo_tensor([[0, 1], [1, 0]], [2.0, 3.0], (2, 2))
    >>> flambeau.sparse.mm(s, flambeau.tensor([[1.0], [10.0]]))
    tensor([[20.],
            [ 3.]])
    """
    return flambeau.mm(mat1, mat2) if reduce is None else _products.mm_reduced(mat1, mat2, reduce)


def addmm(mat: Any, mat1: Any, mat2: Any, *, beta: float = 1.0, alpha: float = 1.0) -> Tensor:
    """Return ``beta * mat + alpha * (mat1 @ mat2)`` for a sparse ``mat1``. Gradient: defined for all three."""
    return flambeau.addmm(mat, mat1, mat2, beta=beta, alpha=alpha)


def sum(input: Any, dim: Any = None, dtype: Any = None) -> Tensor:
    """Return the sum of the elements of a sparse tensor, over all or some dimensions.

    Args:
        input: a sparse tensor.
        dim: one or several dimensions. None means all.
        dtype: dtype of the sum.
    Returns: a strided tensor if no sparse dimension remains, otherwise a sparse tensor.
    Gradient: defined for the values.

    >>> s = flambeau.sparse_coo_tensor([[0, 1, 1], [2, 0, 2]], [3.0, 4.0, 5.0], (2, 3))
    >>> flambeau.sparse.sum(s), flambeau.sparse.sum(s, 0).to_dense()
    (tensor(12.), tensor([4., 0., 8.]))
    """
    if not isinstance(input, SparseTensor):
        raise RuntimeError(f"sparse.sum: expected a sparse tensor, got the layout {input.layout}")
    return _reductions.sum(input, dim, dtype=dtype)


def softmax(input: Any, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the softmax over the stored elements along a dimension. Missing elements count as minus infinity.

    Gradient: defined for the values.

    >>> s = flambeau.sparse_coo_tensor([[0, 0, 1], [0, 2, 1]], [1.0, 1.0, 5.0], (2, 3))
    >>> flambeau.sparse.softmax(s, dim=1).to_dense()
    tensor([[0.5000, 0.0000, 0.5000],
            [0.0000, 1.0000, 0.0000]])
    """
    return _reductions.softmax(input, dim, dtype=dtype)


def log_softmax(input: Any, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the logarithm of `softmax`."""
    return _reductions.log_softmax(input, dim, dtype=dtype)


def spmm(input: Any, mat2: Any) -> Tensor:
    """Return ``mm(input, mat2)``."""
    return flambeau.mm(input, mat2)


dsmm = spmm
hspmm = hsmm = _products.hspmm
smm = _products.smm
sspaddmm = _products.sspaddmm
sampled_addmm = _products.sampled_addmm


def resize_as_sparse_(input: Tensor, the_template: Any) -> Tensor:
    """Resize a sparse tensor in place to the size of another one."""
    return input.resize_as_sparse_(the_template)
