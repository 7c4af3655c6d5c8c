"""The QR factorization and Householder's reflectors."""

from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator, recorded
from flambeau.linalg import _checks
from flambeau.linalg._triangular import adjoint, conjugate, constant, solve_left

_Qr = _core._return_type("linalg_qr", ("Q", "R"))


def _symmetric_of_triangle(X: Tensor) -> Tensor:
    """``X + X^H`` with the real diagonal counted once."""
    upper = X.triu()
    diagonal = upper.tril()
    both = upper + adjoint(upper.triu(1))
    return both - (diagonal - adjoint(diagonal)) * 0.5 if X.dtype.is_complex else both


def _square_gradient(Q: Tensor, R: Tensor, grad_Q: Tensor | None, grad_R: Tensor | None) -> Tensor:
    """Of A = QR with square R: (gQ + Q S) R^-H, S from triu(gR R^H - Q^H gQ)."""
    middle: Any = None
    if grad_R is not None:
        middle = grad_R @ adjoint(R)
    if grad_Q is not None:
        inner = adjoint(Q) @ grad_Q
        middle = -inner if middle is None else middle - inner
    total = Q @ _symmetric_of_triangle(middle)
    if grad_Q is not None:
        total = grad_Q + total
    return adjoint(solve_left(R, adjoint(total), True, False))


@operator(out=True)
def qr(A: Tensor, mode: str = "reduced") -> Any:
    """``A = QR``: orthonormal columns times an upper triangular matrix, by Householder's reflections.

    Args:
        A: ``(*, m, n)``; k is the smaller of m and n.
        mode: "reduced" gives Q ``(*, m, k)`` and R ``(*, k, n)``; "complete" gives ``(*, m, m)`` and ``(*, m, n)``; "r"
            gives R alone, and an empty Q.
    Returns: a named tuple ``(Q, R)``. The diagonal of R may be negative.
    Gradient: A, any order, where the leading k columns of A are independent; not of "r", nor of "complete" with more
        rows than columns. Source: Walter, Lehmann 2010, arXiv:1009.6112; Roberts, Roberts 2020, arXiv:2009.10071.
    """
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    _checks.matrix("qr", A)
    m, n = A.shape[-2:]
    k = min(m, n)
    packed, tau = _core._qr_factor(A)
    width = m if mode == "complete" else k
    Q = A.new_empty((0,)) if mode == "r" else _core._householder_product(packed, tau, width)
    R = (packed if mode == "complete" else packed.narrow(-2, 0, k)).triu()

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
        if mode == "r":
            raise RuntimeError(
                "The derivative of linalg.qr depends on Q, which is not computed when mode='r'; use mode='reduced'"
            )
        if mode == "complete" and m > n:
            raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")
        (Q, R), (grad_Q, grad_R) = saved, grads
        if n <= m:
            return (_square_gradient(Q, R, grad_Q, grad_R),)
        # A = [X Y], R = [R1 R2]: X = Q R1 is square, and R2 = Q^H Y.
        if grad_R is None:
            rest = A_rest = None
            grad_R1 = None
        else:
            rest, grad_R1 = grad_R.narrow(-1, m, n - m), grad_R.narrow(-1, 0, m)
            A_rest = Q @ R.narrow(-1, m, n - m)
            through = A_rest @ adjoint(rest)
            grad_Q = through if grad_Q is None else grad_Q + through
        grad_X = _square_gradient(Q, R.narrow(-1, 0, m), grad_Q, grad_R1)
        grad_Y = Q @ rest if rest is not None else Q.new_zeros((*Q.shape[:-1], n - m))
        return (_core.cat([grad_X, grad_Y], -1),)

    return recorded("LinalgQr", _Qr((Q, R)), inputs=(A,), saved=(Q, R), derivative=derivative)


def reflectors(A: Tensor, k: int) -> Tensor:
    """The columns v of the reflectors ``1 - tau v v^H`` that are packed below the diagonal of A."""
    V = A.narrow(-1, 0, k)
    return V.tril(-1) + _core.eye(A.size(-2), k, dtype=A.dtype)


def reflect(A: Tensor, tau: Tensor, C: Tensor, turned: bool) -> Tensor:
    """``Q C`` or ``Q^H C``; where a gradient is wanted one reflection after the other."""
    k = tau.size(-1)
    if not (_core.is_grad_enabled() and (A.requires_grad or tau.requires_grad or C.requires_grad)):
        return _core._apply_reflectors(A, tau, C, turned)
    if not k:
        return constant(C.clone(), A, tau, C) if not C.requires_grad else C.clone()
    V = reflectors(A, k)
    factors = conjugate(tau) if turned else tau
    for i in range(k) if turned else reversed(range(k)):
        v = V.narrow(-1, i, 1)
        C = C - (factors.narrow(-1, i, 1).unsqueeze(-1) * v) @ (adjoint(v) @ C)
    return C


def reflectors_fit(name: str, A: Tensor, tau: Tensor) -> None:
    """RuntimeError unless tau has a factor for each of the reflectors in A."""
    if tau.dim() != A.dim() - 1 or (tau.dim() > 1 and tau.shape[:-1] != A.shape[:-2]):
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input and its batch: tau has shape "
            f"{list(tau.shape)}, input {list(A.shape)}"
        )
    if tau.dtype is not A.dtype:
        raise RuntimeError(f"{name}: tau dtype {tau.dtype} does not match input dtype {A.dtype}")


@operator(out=True)
def householder_product(input: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of ``H_1 H_2 ... H_k``, ``H_i = 1 - tau_i v_i v_i^H``: Q from what geqrf gives.

    Args:
        input: ``(*, m, n)``, m >= n: v_i lies in column i below the diagonal, its leading 1 left out.
        tau: ``(*, k)``, k <= n.
    Gradient: both, any order.
    """
    _checks.matrix("householder_product", input, "input")
    m, n = input.shape[-2:]
    if m < n:
        raise RuntimeError(
            "linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if n < (tau.size(-1) if tau.dim() else 0):
        raise RuntimeError("linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    reflectors_fit("linalg.householder_product", input, tau)
    if not (_core.is_grad_enabled() and (input.requires_grad or tau.requires_grad)):
        return _core._householder_product(input, tau, n)
    identity = _core.eye(m, n, dtype=input.dtype).expand(input.shape)
    return reflect(input, tau, identity, False)
