"""The functions of matrices that flambeau has at its top level: most are flambeau.linalg's under other names.

flambeau.linalg loads at the first call.
"""

from typing import TYPE_CHECKING, Any

import flambeau
from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator

if TYPE_CHECKING:
    import flambeau.linalg
    from flambeau._core import _LinalgSlogdet


@operator(method=True, out=True)
def det(input: Tensor) -> Tensor:
    """The determinant of every matrix, as flambeau.linalg.det."""
    return flambeau.linalg.det(input)


@operator(method=True, out=True)
def slogdet(input: Tensor) -> "_LinalgSlogdet":
    """Sign and logarithm of the absolute value of the determinant, as flambeau.linalg.slogdet."""
    return flambeau.linalg.slogdet(input)


@operator(method=True)
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant of every matrix ``(*, n, n)``: -inf where it is 0, NaN where it is negative.

    Gradient: input, any order, where it is not singular.
    """
    sign, logarithm = flambeau.linalg.slogdet(input)
    if input.dtype.is_complex:
        return sign.log() + logarithm
    return _core.where(sign == -1, flambeau.nan, logarithm)


@operator(method=True, autocast="float32")
def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of every matrix, as flambeau.linalg.matrix_exp."""
    return flambeau.linalg.matrix_exp(input)


@operator(method=True, out=True)
def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """A norm: of vectors for a number p, "fro" for the root of the sum of squares, "nuc" for the singular values' sum.

    Args:
        dim: over which dimensions; all by default.
        dtype: what the input is converted to first.
    Gradient: input.

    >>> flambeau.norm(flambeau.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if p == "nuc":
        return flambeau.linalg.matrix_norm(
            input, "nuc", (0, 1) if dim is None and input.dim() == 2 else dim, keepdim, dtype=dtype
        )
    if p == "fro" or p is None:
        p = 2.0
    elif isinstance(p, str):
        raise RuntimeError(f"Only valid values for string p are 'fro' and 'nuc', got '{p}'")
    return _core.linalg_vector_norm(input, p, dim, keepdim, dtype=dtype)


@operator(out=True)
def nuclear_norm(input: Tensor, dim: Any = (-2, -1), keepdim: bool = False) -> Tensor:
    """The sum of the singular values of every matrix, as ``flambeau.linalg.matrix_norm(input, "nuc", dim)``."""
    return flambeau.linalg.matrix_norm(input, "nuc", dim, keepdim)


@operator(out=True)
def frobenius_norm(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The root of the sum of squares over ``dim``, or over all; as ``norm``."""
    return _core.linalg_vector_norm(input, 2, dim, keepdim)


@operator(out=True)
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector's elements, as the columns of Vandermonde's matrix.

    Args:
        x: ``(n,)``.
        N: how many powers; n if it is None.
        increasing: from ``x^0`` to ``x^(N - 1)``, else the other way round.
    Raises: RuntimeError if x is not a vector or N is negative. Gradient: x.

    >>> flambeau.vander(flambeau.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    if x.dim() != 1:
        raise RuntimeError(f"vander(): x must be a one-dimensional tensor, got shape {list(x.shape)}")
    count = x.size(0) if N is None else N
    if count < 0:
        raise RuntimeError(f"vander(): N must be non-negative, got {N}")
    if not (x.dtype.is_floating_point or x.dtype.is_complex):
        x = x.to(_core.int64)
    exponents = _core.arange(count)
    return x.unsqueeze(-1) ** (exponents if increasing else exponents.flip(0))


@operator(out=True)
def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices, in the order that takes the fewest multiplications, as flambeau.linalg.multi_dot."""
    for t in matrices:
        if t.dim() != 2:
            raise RuntimeError(f"chain_matmul(): tensor dimension is {t.dim()}, expected 2; got shape {list(t.shape)}")
    return matrices[0] if len(matrices) == 1 else flambeau.linalg.multi_dot(matrices)


@operator(out=True)
def svd_lowrank(A: Tensor, q: int = 6, niter: int = 2, M: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """An approximate ``A - M = U diag(S) V^H`` of rank q, from the range of A on random vectors.

    Args:
        A: ``(*, m, n)``.
        q: the rank, rather larger than the one looked for.
        niter: how many times the range is refined.
        M: broadcast to A's shape and subtracted.
    Returns: ``(U, S, V)`` of ``(*, m, q)``, ``(*, q)``, ``(*, n, q)``.
    Gradient: A and M. Source: Halko, Martinsson, Tropp 2011, arXiv:0909.4061, algorithm 5.1.
    """
    return flambeau.linalg._lowrank.svd_lowrank(A, q, niter, M)


@operator()
def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool | int = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """Principal components: svd_lowrank of A ``(*, m, n)``, whose columns are centred first where ``center``.

    ``q`` is the smaller of 6, m and n by default. Returns ``(U, S, V)``: the columns of V are the principal directions.
    Gradient: A.
    """
    return flambeau.linalg._lowrank.pca_lowrank(A, q, bool(center), niter)


@operator()
def lobpcg(
    A: Tensor,
    k: int | None = None,
    B: Tensor | None = None,
    X: Tensor | None = None,
    n: int | None = None,
    iK: Tensor | None = None,
    niter: int | None = None,
    tol: float | None = None,
    largest: bool | None = None,
    method: str | None = None,
    tracker: Any = None,
) -> tuple[Tensor, Tensor]:
    """A few of the largest (or smallest) eigenvalues of a large symmetric matrix, and their eigenvectors.

    Args:
        A: ``(*, m, m)``, symmetric.
        k: how many, at most a third of m; 1 by default, or as many as X has columns.
        B: positive definite: solve ``A x = e B x``.
        X: ``(*, m, k)`` to start from; random by default.
        n: ignored: the search space is chosen by the algorithm.
        iK: an approximate inverse of A, which makes it quicker.
        niter: the most steps; 1000 by default.
        tol: of the residual over the norm of A; the root of eps by default.
        largest: False looks for the smallest eigenvalues.
        method: "basic" or "ortho"; both are served by the same orthogonal iteration.
        tracker: called with the eigenvalues, the eigenvectors and the residual after every step.
    Returns: ``(*, k)`` eigenvalues, and ``(*, m, k)`` eigenvectors, as columns.
    Gradient: A, without B. Source: Knyazev 2001, "Toward the optimal preconditioned eigensolver".
    """
    if method not in (None, "basic", "ortho"):
        raise ValueError(f"lobpcg: method must be 'basic' or 'ortho', got {method!r}")
    steps = 1000 if niter is None or niter < 0 else niter
    up = True if largest is None else largest
    return flambeau.linalg._iterative.lobpcg(A, 1 if k is None else k, B, X, iK, steps, tol, up, tracker)
