"""Matrix functions of the top-level namespace. Most are aliases of functions in flambeau.linalg.

flambeau.linalg is imported on the first call.
"""

from typing import TYPE_CHECKING, Any

import flambeau
from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator
from flambeau._settings import warn_once

if TYPE_CHECKING:
    import flambeau.linalg
    from flambeau._core import _LinalgSlogdet


@operator(method=True, out="exact")
def det(input: Tensor) -> Tensor:
    """Return the determinant of every matrix. See flambeau.linalg.det.

    >>> fb.det(fb.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor(8.)
    """
    return flambeau.linalg.det(input)


@operator(method=True, out="exact")
def slogdet(input: Tensor) -> "_LinalgSlogdet":
    """Return the sign and the logarithm of the absolute value of the determinant. See flambeau.linalg.slogdet.

    >>> fb.slogdet(fb.tensor([[2.0, 0.0], [0.0, -4.0]]))
    flambeau.return_types.linalg_slogdet(
    sign=tensor(-1.),
    logabsdet=tensor(2.0794))
    """
    return flambeau.linalg.slogdet(input)


@operator(method=True)
def logdet(input: Tensor) -> Tensor:
    """Return the logarithm of the determinant of every matrix.

    Args:
        input: tensor of shape ``(*, n, n)``.
    Returns: a tensor of shape ``(*)``: -inf if the determinant is 0, and NaN if it is negative.
    Gradient: defined for a nonsingular input, to any order.

    >>> fb.logdet(fb.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor(2.0794)
    """
    sign, logarithm = flambeau.linalg.slogdet(input)
    if input.dtype.is_complex:
        return sign.log() + logarithm
    return _core.where(sign == -1, flambeau.nan, logarithm)


@operator(method=True, autocast="float32")
def matrix_exp(input: Tensor) -> Tensor:
    """Return the exponential of every matrix. See flambeau.linalg.matrix_exp.

    >>> fb.matrix_exp(fb.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return flambeau.linalg.matrix_exp(input)


@operator(method=True, out="exact")
def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """Return a norm of the elements.

    Args:
        input: floating or complex tensor.
        p: a number for the vector norm of this order, "fro" for the square root of the sum of squares, or "nuc" for the
            sum of the singular values.
        dim: dimensions to reduce. None means all.
        keepdim: if True, keep the reduced dimensions with size 1.
        dtype: dtype to which the input is converted first.
    Gradient: defined for input.

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


@operator(out="exact")
def nuclear_norm(input: Tensor, dim: Any = (-2, -1), keepdim: bool = False) -> Tensor:
    """Return the sum of the singular values of every matrix. See flambeau.linalg.matrix_norm.

    >>> fb.nuclear_norm(fb.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(7.)
    """
    return flambeau.linalg.matrix_norm(input, "nuc", dim, keepdim)


@operator(out="exact")
def frobenius_norm(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Return the square root of the sum of squares over ``dim``, or over all elements. See ``norm``.

    >>> fb.frobenius_norm(fb.tensor([[3.0, 0.0], [0.0, 4.0]]), dim=(0, 1))
    tensor(5.)
    """
    return _core.linalg_vector_norm(input, 2, dim, keepdim)


@operator(out=True)
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Return the Vandermonde matrix of a vector. Its columns are powers of the vector.

    Args:
        x: tensor of shape ``(n,)``.
        N: number of powers. None means n.
        increasing: if True, the powers are ``x^0`` to ``x^(N - 1)``, otherwise in reverse order.
    Returns: a tensor of shape ``(n, N)``.
    Raises: RuntimeError if x is not a vector or N is negative. Gradient: defined for x.

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
    """Return the product of matrices, in the order with the fewest multiplications. See flambeau.linalg.multi_dot.

    >>> fb.chain_matmul(fb.ones(2, 3), fb.ones(3, 4), fb.ones(4, 1)).shape
    flambeau.Size([2, 1])
    """
    warn_once(
        "chain_matmul is deprecated and will be removed in a future release. Use linalg.multi_dot, which accepts a "
        "list of tensors instead of separate arguments."
    )
    for t in matrices:
        if t.dim() != 2:
            raise RuntimeError(f"chain_matmul(): tensor dimension is {t.dim()}, expected 2; got shape {list(t.shape)}")
    return matrices[0] if len(matrices) == 1 else flambeau.linalg.multi_dot(matrices)


@operator(out=True)
def svd_lowrank(A: Tensor, q: int = 6, niter: int = 2, M: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return an approximate factorization ``A - M = U diag(S) V^H`` of rank q, found with random vectors.

    Args:
        A: tensor of shape ``(*, m, n)``.
        q: rank of the approximation. It should be somewhat larger than the rank of interest.
        niter: number of subspace iterations.
        M: tensor that is broadcast to A's shape and subtracted from A.
    Returns: ``(U, S, V)`` of shapes ``(*, m, q)``, ``(*, q)``, ``(*, n, q)``.
    Gradient: defined for A and M. Source: Halko, Martinsson, Tropp 2011, arXiv:0909.4061, algorithm 5.1.

    >>> U, S, V = fb.svd_lowrank(fb.ones(5, 4), q=2)
    >>> U.shape, S.shape, V.shape
    (flambeau.Size([5, 2]), flambeau.Size([2]), flambeau.Size([4, 2]))
    """
    return flambeau.linalg._lowrank.svd_lowrank(A, q, niter, M)


@operator()
def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool | int = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the principal components of A, computed with svd_lowrank.

    Args:
        A: tensor of shape ``(*, m, n)``.
        q: rank of the approximation. The default is the minimum of 6, m and n.
        center: if True, subtract the mean of each column first.
        niter: number of subspace iterations.
    Returns: ``(U, S, V)``. The columns of V are the principal directions.
    Gradient: defined for A.

    >>> U, S, V = fb.pca_lowrank(fb.ones(5, 4), q=2)
    >>> U.shape, S.shape, V.shape
    (flambeau.Size([5, 2]), flambeau.Size([2]), flambeau.Size([4, 2]))
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
    """Return a few of the largest or smallest eigenvalues of a large symmetric matrix, and their eigenvectors.

    Args:
        A: symmetric tensor of shape ``(*, m, m)``.
        k: number of eigenvalues, at most a third of m. The default is 1, or the number of columns of X.
        B: positive definite matrix of the generalised problem ``A x = e B x``.
        X: initial vectors of shape ``(*, m, k)``. The default is random.
        n: ignored; the algorithm chooses the size of the search space.
        iK: preconditioner, an approximate inverse of A.
        niter: largest number of steps (default: 1000).
        tol: tolerance for the residual relative to the norm of A. The default is the square root of eps.
        largest: if False, compute the smallest eigenvalues.
        method: "basic" or "ortho". Both use the same orthogonal iteration.
        tracker: function that is called with the eigenvalues, the eigenvectors and the residual after every step.
    Returns: eigenvalues of shape ``(*, k)``, and eigenvectors of shape ``(*, m, k)`` as columns.
    Gradient: defined for A if B is None. Source: Knyazev 2001, "Toward the optimal preconditioned eigensolver".

    >>> values, vectors = fb.lobpcg(fb.diag(fb.arange(1.0, 13.0)), k=1)
    >>> values.shape, vectors.shape
    (flambeau.Size([1]), flambeau.Size([12, 1]))
    """
    if method not in (None, "basic", "ortho"):
        raise ValueError(f"lobpcg: method must be 'basic' or 'ortho', got {method!r}")
    steps = 1000 if niter is None or niter < 0 else niter
    up = True if largest is None else largest
    return flambeau.linalg._iterative.lobpcg(A, 1 if k is None else k, B, X, iK, steps, tol, up, tracker)
