"""Randomised low-rank factorizations: Halko, Martinsson, Tropp 2011, arXiv:0909.4061."""

from flambeau import _core
from flambeau._core import Tensor, linalg_qr as qr
from flambeau.linalg._matrices import adjoint


def _range_basis(A: Tensor, q: int, niter: int, M: Tensor | None) -> Tensor:
    """Return q orthonormal columns that approximately span the range of A - M, found with random vectors."""

    def times(X: Tensor) -> Tensor:
        return A @ X if M is None else A @ X - M @ X

    def adjoint_times(X: Tensor) -> Tensor:
        return adjoint(A) @ X if M is None else adjoint(A) @ X - adjoint(M) @ X

    Q: Tensor = qr(times(_core.randn(A.size(-1), q, dtype=A.dtype)))[0]
    for _ in range(niter):
        Q = qr(times(qr(adjoint_times(Q))[0]))[0]
    return Q


def svd_lowrank(A: Tensor, q: int, niter: int, M: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Implement ``flambeau.svd_lowrank``: return U, S, V of rank q for A - M."""
    m, n = A.shape[-2:]
    if not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    M = M.expand(A.shape) if M is not None else None
    if m < n:
        V, S, U = svd_lowrank(adjoint(A), q, niter, None if M is None else adjoint(M))
        return U, S, V
    Q = _range_basis(A, q, niter, M)
    adjoint_q = adjoint(Q)
    if M is None:
        projected = adjoint_q @ A
    elif A.layout is _core.strided:
        projected = adjoint_q @ (A - M)
    else:
        projected = adjoint_q @ A - adjoint_q @ M
    U, S, Vh = _core.linalg_svd(projected, False)
    return Q @ U, S, adjoint(Vh)


def pca_lowrank(A: Tensor, q: int | None, center: bool, niter: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return `svd_lowrank` of A, centred if ``center``."""
    m, n = A.shape[-2:]
    q = min(6, m, n) if q is None else q
    if not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter, None)
