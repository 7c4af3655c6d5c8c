"""The standard's linear algebra: functions of matrices in the last two axes, over any others."""

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
    """What ``eigh`` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class EigResult(NamedTuple):
    """What ``eig`` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    """What ``qr`` returns."""

    Q: Tensor
    R: Tensor


class SlogdetResult(NamedTuple):
    """What ``slogdet`` returns."""

    sign: Tensor
    logabsdet: Tensor


class SVDResult(NamedTuple):
    """What ``svd`` returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    """The triangular L (or upper U) with L L^H = x, for positive definite matrices."""
    return flambeau.linalg.cholesky(x, upper=upper)


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The cross product along an axis of size 3."""
    x1, x2 = operands("cross", x1, x2)
    if x1.shape[normal(axis, x1.ndim)] != 3 or x2.shape[normal(axis, x2.ndim)] != 3:
        raise ValueError(f"cross(): axis {axis} must have size 3, got shapes {list(x1.shape)} and {list(x2.shape)}")
    return flambeau.linalg.cross(x1, x2, dim=axis)


def det(x: Tensor, /) -> Tensor:
    """The determinant."""
    return flambeau.linalg.det(x)


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """The elements of a diagonal, ``offset`` above the main one."""
    return flambeau.diagonal(x, offset, -2, -1)


def eig(x: Tensor, /) -> EigResult:
    """Eigenvalues and, in columns, eigenvectors of a square matrix; complex."""
    return EigResult(*flambeau.linalg.eig(x))


def eigh(x: Tensor, /) -> EighResult:
    """Eigenvalues, ascending, and eigenvectors of a symmetric or Hermitian matrix."""
    return EighResult(*flambeau.linalg.eigh(x))


def eigvals(x: Tensor, /) -> Tensor:
    """The eigenvalues of a square matrix; complex."""
    return flambeau.linalg.eigvals(x)


def eigvalsh(x: Tensor, /) -> Tensor:
    """The eigenvalues, ascending, of a symmetric or Hermitian matrix."""
    return flambeau.linalg.eigvalsh(x)


def inv(x: Tensor, /) -> Tensor:
    """The inverse."""
    return flambeau.linalg.inv(x)


def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: float | Literal["fro", "nuc"] | None = "fro") -> Tensor:
    """A norm of each matrix."""
    return flambeau.linalg.matrix_norm(x, "fro" if ord is None else ord, keepdim=keepdims)


def matrix_power(x: Tensor, n: int, /) -> Tensor:
    """The n-th power of a square matrix; of its inverse for a negative n."""
    return flambeau.linalg.matrix_power(x, n)


def matrix_rank(x: Tensor, /, *, rtol: float | Tensor | None = None) -> Tensor:
    """How many singular values exceed the largest times ``rtol``."""
    values = flambeau.linalg.svdvals(x)
    return (values > values.amax(-1, keepdim=True) * _tolerance(x, rtol)).sum(-1)


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The products of all elements of two vectors."""
    return flambeau.outer(*operands("outer", x1, x2))


def pinv(x: Tensor, /, *, rtol: float | Tensor | None = None) -> Tensor:
    """The Moore-Penrose inverse, singular values below the largest times ``rtol`` counting as 0."""
    return flambeau.linalg.pinv(x, rtol=_tolerance(x, rtol).squeeze(-1))


def _tolerance(x: Tensor, rtol: float | Tensor | None) -> Tensor:
    """The relative tolerance, one for each matrix, by default eps times the larger size."""
    values = flambeau.finfo(x.real.dtype if x.dtype.is_complex else x.dtype).eps * max(x.shape[-2:])
    return flambeau.as_tensor(values if rtol is None else rtol).unsqueeze(-1)


def qr(x: Tensor, /, *, mode: Literal["reduced", "complete"] = "reduced") -> QRResult:
    """Q with orthonormal columns and R upper triangular, Q R = x."""
    return QRResult(*flambeau.linalg.qr(x, mode))


def slogdet(x: Tensor, /) -> SlogdetResult:
    """The sign of the determinant and the logarithm of its absolute value."""
    return SlogdetResult(*flambeau.linalg.slogdet(x))


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The solution X of x1 X = x2; a vector x2 is one right-hand side for all matrices."""
    x1, x2 = operands("solve", x1, x2)
    if x2.ndim == 1:
        return flambeau.linalg.solve(x1, x2.unsqueeze(-1)).squeeze(-1)
    batch = broadcast(x1.shape[:-2], x2.shape[:-2])
    return flambeau.linalg.solve(x1.expand(*batch, *x1.shape[-2:]), x2.expand(*batch, *x2.shape[-2:]))


def svd(x: Tensor, /, *, full_matrices: bool = True) -> SVDResult:
    """The singular value decomposition x = U diag(S) Vh."""
    return SVDResult(*flambeau.linalg.svd(x, full_matrices=full_matrices))


def svdvals(x: Tensor, /) -> Tensor:
    """The singular values, descending."""
    return flambeau.linalg.svdvals(x)


def trace(x: Tensor, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """The sum of a diagonal."""
    return _sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def vector_norm(
    x: Tensor, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, ord: float = 2
) -> Tensor:
    """The norm of vectors along the axes, together (all unless given)."""
    if axis == ():
        return flambeau.linalg.vector_norm(x.unsqueeze(-1), ord, -1)
    return flambeau.linalg.vector_norm(x, ord, list(axes(axis, x.ndim)), keepdims)
