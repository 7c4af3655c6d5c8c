"""Least squares and the pseudo-inverse."""

from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._core import linalg_solve_triangular as solve_triangular
from flambeau._numbers import finfo
from flambeau._operator import operator, recorded
from flambeau.linalg import _checks
from flambeau.linalg._matrices import adjoint, triangle
from flambeau.linalg._norms import thresholds

_Lstsq = _core._return_type("linalg_lstsq", ("solution", "residuals", "rank", "singular_values"))
_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _inverted(S: Tensor, threshold: Tensor) -> Tensor:
    return _core.where(S.abs() > threshold.unsqueeze(-1), S.reciprocal(), 0)


def pseudo_inverse(A: Tensor, atol: Any, rtol: Any, hermitian: bool) -> Tensor:
    """The derivative: Golub, Pereyra 1973, for matrices of constant rank."""
    values = A.detach()
    if hermitian:
        L, V = _core.linalg_eigh(values)
        P = (V * _inverted(L, thresholds("pinv", L.abs(), A, atol, rtol)).unsqueeze(-2)) @ adjoint(V)
    else:
        U, S, Vh = _core.linalg_svd(values, False)
        P = (adjoint(Vh) * _inverted(S, thresholds("pinv", S, A, atol, rtol)).unsqueeze(-2)) @ adjoint(U)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
        A, P = saved
        return (_gradient(A, P, grads[0]),)

    inverse: Tensor = P
    return recorded("LinalgPinv", inverse, inputs=(A,), saved=(A, P), derivative=derivative)


def _gradient(A: Tensor, P: Tensor, grad: Tensor) -> Tensor:
    """Of A, from that of its pseudo-inverse P."""
    G, Ph = adjoint(grad), adjoint(P)
    if A.size(-2) <= A.size(-1):
        K = G @ P
        outer = K @ Ph
        return outer - adjoint(P @ K) - (A @ P) @ outer + (Ph @ P) @ (G - K @ A)
    K = P @ G
    outer = Ph @ K
    return outer - adjoint(K @ P) + ((G - A @ K) @ P) @ Ph - (outer @ P) @ A


@operator(out=True)
def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The Moore-Penrose pseudo-inverse of every matrix, from its singular values.

    Args:
        A: ``(*, m, n)``.
        rcond: an older name of rtol.
        hermitian: A is Hermitian, and only its lower triangle is read.
        atol, rtol: singular values up to ``max(atol, rtol * largest)`` count as zero: numbers, or tensors that
            broadcast to the batch; by default 0, and (if atol is 0 too) the larger of m and n times the dtype's eps.
    Returns: ``(*, n, m)``.
    Gradient: A, any order, where its rank does not change. Source: Golub, Pereyra 1973.
    """
    (_checks.square if hermitian else _checks.matrix)("pinv", A)
    if not A.numel():
        return A.mT * 1
    return pseudo_inverse(A, atol, rcond if rtol is None else rtol, hermitian)


def _full_rank(A: Tensor, B: Tensor) -> Tensor:
    """The solution for an A of full rank, by QR: least squares, or the smallest exact one."""
    m, n = A.shape[-2:]
    if m >= n:
        packed, tau = _core.geqrf(A)
        return solve_triangular(
            packed.narrow(-2, 0, n), _core.ormqr(packed, tau, B, True, True).narrow(-2, 0, n), upper=True
        )
    packed, tau = _core.geqrf(adjoint(A))
    Y = solve_triangular(adjoint(triangle(packed.narrow(-2, 0, m), True)), B, upper=False)
    return _core.ormqr(packed, tau, _core.cat([Y, Y.new_zeros((*Y.shape[:-2], n - m, Y.size(-1)))], -2))


def _smallest(A: Tensor, B: Tensor, rcond: float) -> tuple[Tensor, Tensor, Tensor]:
    """The least-squares solution of least norm, the rank, the singular values."""
    U, S, Vh = _core.linalg_svd(A, False)
    largest = S.amax(-1) if S.size(-1) else S.new_zeros(S.shape[:-1])
    threshold = largest * rcond
    X = adjoint(Vh) @ (_inverted(S, threshold).unsqueeze(-1) * (adjoint(U) @ B))
    return X, (threshold.unsqueeze(-1) < S).sum(-1), S


@operator(out=True, autocast="float32")
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """The X that makes ``norm(A X - B)`` smallest; among several the smallest X, unless the driver is "gels".

    Args:
        A: ``(*, m, n)``.
        B: ``(*, m, k)``, or ``(*, m)``.
        rcond: singular values up to rcond times the largest count as zero; by default eps times the larger of m and n.
        driver: "gels" (QR, for A of full rank), "gelsy" (the default), "gelsd", "gelss" (singular values).
    Returns: a named tuple ``(solution, residuals, rank, singular_values)``. residuals: the sums of squares of
        ``A X - B``, empty unless m > n and every A has full rank, and with "gelsy"; rank: empty with "gels";
        singular_values: empty except with "gelsd" and "gelss".
    Gradient: A and B, any order, where the rank does not change.
    """
    _checks.matrix("lstsq", A)
    _checks.inexact("lstsq", B)
    if B.dim() < 1:
        raise RuntimeError("linalg.lstsq: other must have at least 1 dimension.")
    if A.dim() - B.dim() not in (0, 1):
        raise RuntimeError(
            f"linalg.lstsq: input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) <= 1: "
            f"{list(A.shape)} and {list(B.shape)}"
        )
    _checks.same_dtype("lstsq", A, B)
    driver = "gelsy" if driver is None else driver
    if driver not in _DRIVERS:
        raise RuntimeError(f"linalg.lstsq: parameter `driver` should be one of {_DRIVERS}, got {driver}")
    vector = A.dim() - 1 == B.dim() and B.shape == A.shape[:-1]
    if A.dim() - 1 == B.dim():
        B = B.unsqueeze(-1)
    if A.size(-2) != B.size(-2):
        raise RuntimeError(
            f"linalg.lstsq: input.size(-2) should match other.size({-1 if vector else -2}): {list(A.shape)} and "
            f"{list(B.shape)}"
        )
    return _least_squares(A, B, rcond, driver, vector)


def _solution(A: Tensor, B: Tensor, rcond: float, driver: str) -> tuple[Tensor, Tensor, Tensor]:
    """X, rank, singular values; ``X = pinv(A) B`` gives the derivative."""
    if driver == "gels":
        X = _full_rank(A.detach(), B.detach())
        rank, S = _core.empty((0,), dtype=_core.int64), X.abs().new_empty((0,))
    else:
        X, rank, S = _smallest(A.detach(), B.detach(), rcond)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor | None, Tensor | None]:
        A, B = saved
        P = pseudo_inverse(A, 0.0, rcond, False)
        grad_A = _gradient(A, P, grads[0] @ adjoint(B)) if needs[0] else None
        return grad_A, adjoint(P) @ grads[0] if needs[1] else None

    return recorded("LinalgLstsq", X, inputs=(A, B), saved=(A, B), derivative=derivative), rank, S


def _least_squares(A: Tensor, B: Tensor, rcond: float | None, driver: str, vector: bool) -> Any:
    m, n = A.shape[-2:]
    rcond = finfo(A.dtype).eps * max(m, n) if rcond is None else rcond
    X, rank, S = _solution(A, B, rcond, driver)
    if driver == "gelsy":
        S = S.new_empty((0,))
    residuals = S.new_empty((0,))
    if m > n and driver != "gelsy" and (driver == "gels" or bool((rank == n).all())):
        residuals = (A @ X - B).abs().square().sum(-2)
    return _Lstsq((X.squeeze(-1) if vector else X, residuals, rank, S))
