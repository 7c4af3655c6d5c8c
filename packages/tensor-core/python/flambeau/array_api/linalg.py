"""The linear algebra functions of the standard, for matrices in the last two axes and any leading axes."""

from typing import Any, Literal, NamedTuple

import flambeau
from flambeau import Tensor
from flambeau.array_api._linear_algebra import matmul, matrix_transpose, tensordot, vecdot
from flambeau.array_api._promotion import axes, broadcast, normal, operands
from flambeau.array_api._statistics import sum as _sum

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]


class EighResult(NamedTuple):
    """Result of ``eigh``."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class EigResult(NamedTuple):
    """Result of ``eig``."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    """Result of ``qr``."""

    Q: Tensor
    R: Tensor


class SlogdetResult(NamedTuple):
    """Result of ``slogdet``."""

    sign: Tensor
    logabsdet: Tensor


class SVDResult(NamedTuple):
    """Result of ``svd``."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    """Return the triangular L with L L^H = x, or U with U^H U = x, of positive definite matrices.

    >>> fb.array_api.linalg.cholesky(fb.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return flambeau.linalg.cholesky(x, upper=upper)


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """Return the cross product along an axis of size 3.

    >>> fb.array_api.linalg.cross(fb.tensor([1.0, 0.0, 0.0]), fb.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    x1, x2 = operands("cross", x1, x2)
    if x1.shape[normal(axis, x1.ndim)] != 3 or x2.shape[normal(axis, x2.ndim)] != 3:
        raise ValueError(f"cross(): axis {axis} must have size 3, got shapes {list(x1.shape)} and {list(x2.shape)}")
    return flambeau.linalg.cross(x1, x2, dim=axis)


def det(x: Tensor, /) -> Tensor:
    """Return the determinant.

    >>> fb.array_api.linalg.det(fb.tensor([[2.0, 1.0], [0.0, 3.0]]))
    tensor(6.)
    """
    return flambeau.linalg.det(x)


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """Return the elements of the diagonal that is ``offset`` above the main diagonal.

    >>> fb.array_api.linalg.diagonal(fb.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return flambeau.diagonal(x, offset, -2, -1)


def eig(x: Tensor, /) -> EigResult:
    """Return the complex eigenvalues and eigenvectors (in columns) of a square matrix.

    >>> fb.array_api.linalg.eig(fb.tensor([[0.0, 1.0], [-1.0, 0.0]])).eigenvectors.shape
    flambeau.Size([2, 2])
    """
    return EigResult(*flambeau.linalg.eig(x))


def eigh(x: Tensor, /) -> EighResult:
    """Return the ascending eigenvalues and the eigenvectors of a symmetric or Hermitian matrix.

    >>> fb.array_api.linalg.eigh(fb.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    return EighResult(*flambeau.linalg.eigh(x))


def eigvals(x: Tensor, /) -> Tensor:
    """Return the complex eigenvalues of a square matrix.

    >>> fb.array_api.linalg.eigvals(fb.tensor([[0.0, 1.0], [-1.0, 0.0]])).imag.abs()
    tensor([1., 1.])
    """
    return flambeau.linalg.eigvals(x)


def eigvalsh(x: Tensor, /) -> Tensor:
    """Return the ascending eigenvalues of a symmetric or Hermitian matrix.

    >>> fb.array_api.linalg.eigvalsh(fb.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 2.])
    """
    return flambeau.linalg.eigvalsh(x)


def inv(x: Tensor, /) -> Tensor:
    """Return the inverse.

    >>> fb.array_api.linalg.inv(fb.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return flambeau.linalg.inv(x)


def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: float | Literal["fro", "nuc"] | None = "fro") -> Tensor:
    """Return a norm of each matrix.

    >>> fb.array_api.linalg.matrix_norm(fb.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5.)
    """
    return flambeau.linalg.matrix_norm(x, "fro" if ord is None else ord, keepdim=keepdims)


def matrix_power(x: Tensor, n: int, /) -> Tensor:
    """Return the n-th power of a square matrix. For a negative n, it is a power of the inverse.

    >>> fb.array_api.linalg.matrix_power(fb.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    tensor([[1., 3.],
            [0., 1.]])
    """
    return flambeau.linalg.matrix_power(x, n)


def matrix_rank(x: Tensor, /, *, rtol: float | Tensor | None = None) -> Tensor:
    """Return the number of singular values that are greater than ``rtol`` times the largest singular value.

    >>> fb.array_api.linalg.matrix_rank(fb.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1)
    """
    values = flambeau.linalg.svdvals(x)
    return (values > values.amax(-1, keepdim=True) * _tolerance(x, rtol)).sum(-1)


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Return the outer product of two 1-D arrays.

    >>> fb.array_api.linalg.outer(fb.tensor([1, 2]), fb.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    return flambeau.outer(*operands("outer", x1, x2))


def pinv(x: Tensor, /, *, rtol: float | Tensor | None = None) -> Tensor:
    """Return the pseudoinverse. Singular values below ``rtol`` times the largest are treated as 0.

    >>> fb.array_api.linalg.pinv(fb.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    return flambeau.linalg.pinv(x, rtol=_tolerance(x, rtol).squeeze(-1))


def _tolerance(x: Tensor, rtol: float | Tensor | None) -> Tensor:
    """Return the relative tolerance of each matrix. The default is eps times the larger size."""
    values = flambeau.finfo(x.real.dtype if x.dtype.is_complex else x.dtype).eps * max(x.shape[-2:])
    return flambeau.as_tensor(values if rtol is None else rtol).unsqueeze(-1)


def qr(x: Tensor, /, *, mode: Literal["reduced", "complete"] = "reduced") -> QRResult:
    """Return Q with orthonormal columns and upper triangular R, where Q R = x.

    >>> fb.array_api.linalg.qr(fb.ones(3, 2)).R.shape
    flambeau.Size([2, 2])
    """
    return QRResult(*flambeau.linalg.qr(x, mode))


def slogdet(x: Tensor, /) -> SlogdetResult:
    """Return the sign of the determinant and the logarithm of its absolute value.

    >>> fb.array_api.linalg.slogdet(fb.tensor([[-1.0, 0.0], [0.0, 1.0]]))
    SlogdetResult(sign=tensor(-1.), logabsdet=tensor(0.))
    """
    return SlogdetResult(*flambeau.linalg.slogdet(x))


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Return the solution X of x1 X = x2. A 1-D x2 is the right-hand side for all matrices.

    >>> fb.array_api.linalg.solve(fb.tensor([[2.0, 0.0], [0.0, 4.0]]), fb.tensor([1.0, 1.0]))
    tensor([0.5000, 0.2500])
    """
    x1, x2 = operands("solve", x1, x2)
    if x2.ndim == 1:
        return flambeau.linalg.solve(x1, x2.unsqueeze(-1)).squeeze(-1)
    batch = broadcast(x1.shape[:-2], x2.shape[:-2])
    return flambeau.linalg.solve(x1.expand(*batch, *x1.shape[-2:]), x2.expand(*batch, *x2.shape[-2:]))


def svd(x: Tensor, /, *, full_matrices: bool = True) -> SVDResult:
    """Return the singular value decomposition x = U diag(S) Vh.

    >>> fb.array_api.linalg.svd(fb.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    return SVDResult(*flambeau.linalg.svd(x, full_matrices=full_matrices))


def svdvals(x: Tensor, /) -> Tensor:
    """Return the singular values in descending order.

    >>> fb.array_api.linalg.svdvals(fb.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor([4., 3.])
    """
    return flambeau.linalg.svdvals(x)


def trace(x: Tensor, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """Return the sum of a diagonal.

    >>> fb.array_api.linalg.trace(fb.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    return _sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def vector_norm(
    x: Tensor, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, ord: float = 2
) -> Tensor:
    """Return the norm over the axes (default: all axes), which together form a vector.

    >>> fb.array_api.linalg.vector_norm(fb.tensor([[3.0, 4.0], [6.0, 8.0]]), axis=1)
    tensor([ 5., 10.])
    """
    if axis == ():
        return flambeau.linalg.vector_norm(x.unsqueeze(-1), ord, -1)
    return flambeau.linalg.vector_norm(x, ord, list(axes(axis, x.ndim)), keepdims)
