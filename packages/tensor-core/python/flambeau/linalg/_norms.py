"""Matrix norms, general norms and condition numbers."""

import math
from collections.abc import Sequence
from typing import Any

from flambeau import _core
from flambeau._core import Tensor, linalg_inv_ex as inv_ex, linalg_svdvals as svdvals, linalg_vector_norm as vector_norm
from flambeau._operator import operator
from flambeau.linalg import _checks

Order = float | str | None

_SPECTRAL = (2, -2)
_SUMS = (1, -1, math.inf, -math.inf)


def _is_number(ord: Any) -> bool:
    return not isinstance(ord, str) and ord is not None


def _two_dims(name: str, A: Tensor, dim: Any) -> tuple[int, int]:
    if isinstance(dim, int) or len(dim) != 2:
        raise RuntimeError(f"linalg.{name}: dim must be a 2-tuple. Got {dim}")
    first, second = (_normalize_dim(A, d) for d in dim)
    if first == second:
        raise RuntimeError(f"linalg.{name}: dims must be different. Got ({dim[0]}, {dim[1]})")
    return first, second


def _normalize_dim(A: Tensor, dim: int) -> int:
    dims = A.dim()
    if not -dims <= dim < dims:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-dims}, {dims - 1}], but got {dim})")
    return dim % dims


def _max_or_min(t: Tensor, dim: int, ord: float, keepdim: bool) -> Tensor:
    """Reduce with max for a positive order and with min for a negative order. The maximum of no elements is 0."""
    if ord > 0 and not t.size(dim):
        return t.sum(dim, keepdim)
    return t.amax(dim, keepdim) if ord > 0 else t.amin(dim, keepdim)


def _singular_norm(A: Tensor, ord: Any, dims: tuple[int, int], keepdim: bool) -> Tensor:
    last = A.ndim - 1
    S = svdvals(A if dims == (last - 1, last) else A.movedim(dims, (-2, -1)))
    result = S.sum(-1) if ord == "nuc" else _max_or_min(S, -1, ord, False)
    if keepdim:
        for d in sorted(dims):
            result = result.unsqueeze(d)
    return result


def _sum_norm(A: Tensor, ord: float, dims: tuple[int, int], keepdim: bool) -> Tensor:
    summed, compared = dims if abs(ord) == 1 else (dims[1], dims[0])
    result = _max_or_min(A.abs().sum(summed, keepdim=True), compared, ord, True)
    return result if keepdim else result.squeeze(dims)


@operator(out="exact")
def matrix_norm(
    A: Tensor, ord: Order = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Return the norm of every matrix.

    Args:
        A: floating or complex tensor of shape ``(*, m, n)``.
        ord: "fro" (Frobenius norm), "nuc" (sum of the singular values), 2 and -2 (largest and smallest singular value),
            1 and -1 (largest and smallest column sum of absolute values), inf and -inf (the same for row sums).
        dim: the two dimensions that contain the matrices.
        keepdim: if True, keep the two dimensions with size 1.
        dtype: dtype to which A is converted first.
    Returns: a real tensor without the two dimensions, or with size 1 in them if ``keepdim``.
    Raises: RuntimeError for an unsupported ``ord``, dtype or ``dim``; IndexError if ``dim`` is out of range.
    Gradient: defined for A.

    >>> flambeau.linalg.matrix_norm(flambeau.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5.)
    """
    if ord == "fro" and dim == (-2, -1) and A.dim() > 1:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if A.dim() < 2:
        raise RuntimeError(
            f"linalg.matrix_norm: The input tensor A must have at least 2 dimensions, got shape {list(A.shape)}"
        )
    if isinstance(ord, str):
        if ord not in ("fro", "nuc"):
            raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    elif ord not in _SPECTRAL and ord not in _SUMS:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    _half_or_inexact("matrix_norm", A, dtype)
    dims = _two_dims("matrix_norm", A, dim)
    if ord == "fro":
        return vector_norm(A, 2, dims, keepdim, dtype=dtype)
    if dtype is not None:
        A = A.to(dtype)
    if ord in _SUMS:
        return _sum_norm(A, ord, dims, keepdim)
    return _singular_norm(A, ord, dims, keepdim)


def _half_or_inexact(name: str, A: Tensor, dtype: Any) -> None:
    if not (A.dtype.is_floating_point or A.dtype.is_complex):
        raise RuntimeError(f"linalg.{name}: Expected a floating point or complex tensor as input. Got {A.dtype}")
    if dtype is not None and A.dtype.is_complex and not dtype.is_complex:
        raise RuntimeError(f"linalg.{name}: dtype {dtype} is real, but the input is complex ({A.dtype})")


@operator(out="exact")
def norm(
    A: Tensor,
    ord: Order = None,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Tensor:
    """Return a vector norm or a matrix norm, depending on the number of dimensions.

    Args:
        A: floating or complex tensor.
        ord: None for the 2-norm of the elements as one vector. Otherwise an order of `vector_norm` (for one dimension)
            or of `matrix_norm` (for two dimensions).
        dim: one dimension for vector norms, two for matrix norms. None means all dimensions.
        keepdim: if True, keep the reduced dimensions with size 1.
        dtype: dtype to which A is converted first.
    Raises: RuntimeError if ``ord`` is given, ``dim`` is None, and A is neither 1-D nor 2-D.
    Gradient: defined for A.

    >>> flambeau.linalg.norm(flambeau.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    dims = None if dim is None else ((dim,) if isinstance(dim, int) else tuple(dim))
    if dims is None and A.dim() not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.dim()}D."
        )
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    width = len(dims) if dims is not None else A.dim()
    if width == 2:
        return matrix_norm(A, ord, dims if dims is not None else (0, 1), keepdim, dtype=dtype)
    if isinstance(ord, str):
        raise RuntimeError(f"linalg.norm: Order {ord} is not supported for vectors")
    return vector_norm(A, ord, dims, keepdim, dtype=dtype)


@operator(out=True, autocast="float32")
def cond(A: Tensor, p: Order = None) -> Tensor:
    """Return the condition number ``norm(A, p) * norm(A^-1, p)`` of every matrix.

    Args:
        A: tensor of shape ``(*, n, n)``. For p None, 2 or -2 also ``(*, m, n)``.
        p: an order of `matrix_norm`. None means 2.
    Returns: a real tensor of shape ``(*)``. It is inf for a singular matrix.
    Gradient: defined for A.

    >>> fb.linalg.cond(fb.tensor([[2.0, 0.0], [0.0, 8.0]]))
    tensor(4.)
    """
    _checks.check_matrix("cond", A)
    if p is None or p in _SPECTRAL:
        S = svdvals(A)
        if not S.size(-1):
            return S.new_zeros(S.shape[:-1])
        largest, smallest = S.select(-1, 0), S.select(-1, -1)
        result = smallest / largest if p == -2 else largest / smallest
        return _core.where(result.isnan(), math.inf, result)
    if (isinstance(p, str) and p not in ("fro", "nuc")) or (_is_number(p) and p not in _SUMS):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    _checks.check_square("cond", A)
    if not A.numel():
        return vector_norm(A, 2, (-2, -1)) * 0
    if p == "nuc":
        S = svdvals(A)
        return S.sum(-1) * S.reciprocal().sum(-1)
    inverse, info = inv_ex(A)
    result = matrix_norm(A, p) * matrix_norm(inverse, p)
    return _core.where(info == 0, result, math.inf)
