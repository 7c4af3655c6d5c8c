"""The public functions of ``flambeau.sparse``."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau._core import Tensor
from flambeau.sparse import _products, _reductions
from flambeau.sparse._tensor import SparseTensor


def mm(mat1: Any, mat2: Any, reduce: str | None = None) -> Tensor:
    """Return the product of two matrices. The product is sparse if both matrices are sparse, otherwise strided.

    Args:
        mat1, mat2: sparse or strided matrices of shapes ``(n, m)`` and ``(m, k)`` and of one dtype.
        reduce: reduction of the products of a row's elements, for a CSR ``mat1`` and a strided ``mat2``: ``"sum"`` (the
            same as None), ``"mean"``, ``"amax"`` or ``"amin"``. Only stored elements are included. A row without
            elements gives 0.
    Returns: a matrix of shape ``(n, k)``.
    Raises: RuntimeError if the sizes, dtypes or layouts do not match.
    Gradient: defined for both matrices. The gradient of a sparse matrix has the indices of the matrix. If several
        products equal the extreme value, the first one receives the gradient.

    >>> s = flambeau.sparse_coo_tensor([[0, 1], [1, 0]], [2.0, 3.0], (2, 2))
    >>> flambeau.sparse.mm(s, flambeau.tensor([[1.0], [10.0]]))
    tensor([[20.],
            [ 3.]])
    """
    return flambeau.mm(mat1, mat2) if reduce is None else _products.mm_reduced(mat1, mat2, reduce)


def addmm(mat: Any, mat1: Any, mat2: Any, *, beta: float = 1.0, alpha: float = 1.0) -> Tensor:
    """Return ``beta * mat + alpha * (mat1 @ mat2)`` for a sparse ``mat1``.

    Args:
        mat: tensor that broadcasts to shape ``(n, p)``.
        mat1: sparse tensor of shape ``(n, m)``.
        mat2: tensor of shape ``(m, p)``.
        beta, alpha: factors.
    Gradient: defined for all three tensors.

    >>> s = fb.sparse_coo_tensor([[0, 1], [1, 0]], [2.0, 3.0], (2, 2))
    >>> fb.sparse.addmm(fb.ones(2, 2), s, fb.eye(2), beta=10.0)
    tensor([[10., 12.],
            [13., 10.]])
    """
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
    """Return the logarithm of `softmax` over the stored elements along a dimension.

    Gradient: defined for the values.

    >>> s = fb.sparse_coo_tensor([[0, 0, 1], [0, 2, 1]], [1.0, 1.0, 5.0], (2, 3))
    >>> fb.sparse.log_softmax(s, dim=1).to_dense()
    tensor([[-0.6931,  0.0000, -0.6931],
            [ 0.0000,  0.0000,  0.0000]])
    """
    return _reductions.log_softmax(input, dim, dtype=dtype)


def spmm(input: Any, mat2: Any) -> Tensor:
    """Return ``mm(input, mat2)``.

    >>> s = fb.sparse_coo_tensor([[0, 1], [1, 0]], [2.0, 3.0], (2, 2))
    >>> fb.spmm(s, fb.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[6., 8.],
            [3., 6.]])
    """
    return flambeau.mm(input, mat2)


dsmm = spmm


def resize_as_sparse_(input: Tensor, the_template: Any) -> Tensor:
    """Resize a sparse tensor in place to the size of another sparse tensor.

    >>> s = fb.sparse_coo_tensor([[0], [1]], [2.0], (2, 2))
    >>> fb.resize_as_sparse_(s, fb.sparse_coo_tensor(size=(3, 4))).shape
    flambeau.Size([3, 4])
    """
    return input.resize_as_sparse_(the_template)
