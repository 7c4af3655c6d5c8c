"""Iterative computation of a few extreme eigenpairs of a large symmetric matrix (LOBPCG)."""

from collections.abc import Callable
from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._grad_mode import no_grad
from flambeau._numbers import finfo
from flambeau._operator import recorded
from flambeau.linalg import _checks
from flambeau.linalg._matrices import adjoint, symmetric_part


def _orthonormal(S: Tensor, BS: Tensor) -> tuple[Tensor, Tensor]:
    """Return B-orthonormal columns that span the columns of S, and their products with B. ``BS`` is B S.

    Nearly dependent directions are dropped.
    """
    scale = _core.rsqrt(
        (S.conj() * BS).real.sum(-2, keepdim=True) if S.is_complex() else (S * BS).sum(-2, keepdim=True)
    )
    S, BS = S * scale, BS * scale
    values, vectors = _core.linalg_eigh(symmetric_part(adjoint(S) @ BS))
    significant = values > values[-1] * finfo(S.dtype).eps * 10
    transform = vectors[:, significant] * values[significant].rsqrt()
    return S @ transform, BS @ transform


def _iterate(
    A: Tensor,
    B: Tensor | None,
    X: Tensor,
    precondition: Tensor | None,
    steps: int,
    tol: float,
    largest: bool,
    tracker: Callable[..., None] | None,
) -> tuple[Tensor, Tensor]:
    """Return eigenvalues and eigenvectors of a matrix, computed in at most ``steps`` steps from the estimates ``X``."""
    k, P = X.size(-1), None
    sign = -1 if largest else 1
    scale = A.abs().sum(-1).max().item()
    E = X.new_zeros((k,))
    for _ in range(steps + 1):
        S = X if P is None else _core.cat([X, P], -1)
        S, BS = _orthonormal(S, S if B is None else B @ S)
        values, vectors = _core.linalg_eigh(symmetric_part(adjoint(S) @ (A @ S)) * sign)
        previous, E = X, values[:k] * sign
        X, BX = S @ vectors[:, :k], BS @ vectors[:, :k]
        residual = A @ X - BX * E
        size = residual.abs().square().sum(-2).sqrt().max().item()
        if tracker is not None:
            tracker(E, X, residual)
        if size <= tol * scale or not k:
            break
        moved = X - previous @ (adjoint(previous) @ BX)
        direction = residual if precondition is None else precondition @ residual
        P = _core.cat([direction, moved], -1)
        P = P[:, P.abs().amax(-2) > 0]
    return E, X


def lobpcg(
    A: Tensor,
    k: int,
    B: Tensor | None,
    X: Tensor | None,
    precondition: Tensor | None,
    steps: int,
    tol: float | None,
    largest: bool,
    tracker: Callable[..., None] | None,
) -> tuple[Tensor, Tensor]:
    """Implement ``flambeau.lobpcg``: return eigenvalues of shape ``(*, k)`` and eigenvectors of shape ``(*, n, k)``."""
    _checks.check_square("lobpcg", A)
    n = A.size(-1)
    k = X.size(-1) if X is not None else k
    if not 1 <= 3 * k <= n:
        raise ValueError(
            f"LPBPCG algorithm is not applicable when the number of A rows (={n}) is smaller than 3 x the number of "
            f"requested eigenpairs (={k}), or none is requested"
        )
    if B is not None and (A.requires_grad or B.requires_grad):
        raise NotImplementedError("lobpcg has no derivative of the generalised problem; use B=None")
    tol = finfo(A.dtype).eps ** 0.5 if tol is None else tol
    batch = A.shape[:-2]

    def matrix(t: Tensor, i: int) -> Tensor:
        return t.detach().expand(*batch, *t.shape[-2:]).reshape(-1, *t.shape[-2:])[i]

    pairs = []
    with no_grad():
        start = _core.randn(*batch, n, k, dtype=A.dtype) if X is None else X
        for i in range(_core.zeros(batch).numel()):
            # The derivative is that of the symmetric part of A, so the eigenpairs are computed from the same part.
            a, x = symmetric_part(matrix(A, i)) if A.requires_grad else matrix(A, i), matrix(start, i)
            b, preconditioner = (None if t is None else matrix(t, i) for t in (B, precondition))
            pairs.append(_iterate(a, b, x, preconditioner, steps, tol, largest, tracker))
        E = _core.stack([e for e, _ in pairs]).reshape(*batch, k) if pairs else A.new_empty((*batch, k))
        V = _core.stack([v for _, v in pairs]).reshape(*batch, n, k) if pairs else A.new_empty((*batch, n, k))
    return recorded("Lobpcg", (E, V), inputs=(A,), saved=(A, E, V), derivative=_derivative)


def _derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
    """Return the gradient of A. The eigenvector v of the eigenvalue e contributes ``pinv(e I - A) grad_v v^H``."""
    (A, E, V), (grad_E, grad_V) = saved, grads
    total = _core.zeros_like(A) if grad_E is None else (V * grad_E.unsqueeze(-2)) @ adjoint(V)
    if grad_V is not None:
        shifted = E.unsqueeze(-1).unsqueeze(-1) * _core.eye(A.size(-1), dtype=A.dtype)
        shifted = shifted - symmetric_part(A).unsqueeze(-3)
        inverse = _core.linalg_pinv(shifted, hermitian=True, rtol=1e3 * finfo(A.dtype).eps ** 0.5)
        solutions = (inverse @ grad_V.mT.unsqueeze(-1)).squeeze(-1)
        total = total + solutions.mT @ adjoint(V)
    return (symmetric_part(total),)
