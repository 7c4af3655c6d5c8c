"""The LU factorization and what follows from it: systems, inverses, determinants."""

from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator, recorded
from flambeau.linalg import _checks
from flambeau.linalg._triangular import adjoint, solve_left

_LuFactor = _core._return_type("linalg_lu_factor", ("LU", "pivots"))
_LuFactorEx = _core._return_type("linalg_lu_factor_ex", ("LU", "pivots", "info"))
_Lu = _core._return_type("linalg_lu", ("P", "L", "U"))


def parts(LU: Tensor) -> tuple[Tensor, Tensor]:
    """L with its unit diagonal and U."""
    m, n = LU.shape[-2:]
    k = min(m, n)
    L = LU.narrow(-1, 0, k).tril(-1) + _core.eye(m, k, dtype=LU.dtype)
    return L, LU.narrow(-2, 0, k).triu()


def permutation(pivots: Tensor, rows: int, dtype: Any) -> Tensor:
    """P of ``A = P L U`` as a matrix."""
    order = _core._lu_permutation(pivots, rows)  # row i of P^T A is row order[i] of A
    return (order.unsqueeze(-2) == _core.arange(rows).unsqueeze(-1)).to(dtype)


def factor(A: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """LU in one matrix, pivots, info.

    The derivative: with ``A = P L U``, ``dL = L tril(L^-1 P^T dA U^-1, -1)``, ``dU = triu(...) U``; where there are
    more rows or columns than pivots, what is left over is a triangular solve with them.
    """
    LU, pivots, info = _core._lu_factor(A)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
        (LU,), grad = saved, grads[0]
        m, n = LU.shape[-2:]
        k = min(m, n)
        L, U = parts(LU)
        grad_L, grad_U = grad.narrow(-1, 0, k).tril(-1), grad.narrow(-2, 0, k).triu()
        L1, U1 = L.narrow(-2, 0, k), U.narrow(-1, 0, k)
        lower, upper = adjoint(L1) @ grad_L.narrow(-2, 0, k), grad_U.narrow(-1, 0, k) @ adjoint(U1)
        rest = None
        if n > k:
            grad_U2 = grad_U.narrow(-1, k, n - k)
            lower = lower - grad_U2 @ adjoint(U.narrow(-1, k, n - k))
            rest = solve_left(adjoint(L1), grad_U2, True, True)
        if m > k:
            grad_L2 = grad_L.narrow(-2, k, m - k)
            upper = upper - adjoint(L.narrow(-2, k, m - k)) @ grad_L2
            rest = adjoint(solve_left(U1, adjoint(grad_L2), True, False))
        middle = lower.tril(-1) + upper.triu()
        result = adjoint(solve_left(U1, adjoint(solve_left(adjoint(L1), middle, True, True)), True, False))
        if rest is not None:
            result = _core.cat([result, rest], -1 if n > k else -2)
        return (permutation(pivots, m, LU.dtype) @ result,)

    return recorded("LinalgLuFactorEx", (LU, pivots, info), inputs=(A,), saved=(LU,), derivative=derivative)


def _pivoted(name: str, pivot: bool) -> None:
    if not pivot:
        raise RuntimeError(f"linalg.{name}: LU without pivoting is not implemented on the CPU")


@operator(out=True)
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """``A = P L U`` by partial pivoting, as lu_factor, and what went wrong.

    Args:
        A: ``(*, m, n)``.
        check_errors: raise LinAlgError where U has a zero on its diagonal.
    Returns: a named tuple ``(LU, pivots, info)``; info, int32, is 0 or the first zero on the diagonal of U, counted
        from 1.
    Gradient: A, any order.
    """
    _pivoted("lu_factor_ex", pivot)
    _checks.matrix("lu_factor_ex", A)
    LU, pivots, info = factor(A)
    if check_errors:
        _checks.successful("lu_factor_ex", info, _checks.SINGULAR)
    return _LuFactorEx((LU, pivots, info))


@operator(out=True)
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """``A = P L U`` by partial pivoting, for lu_solve.

    Args:
        A: ``(*, m, n)``.
        pivot: must be True.
    Returns: a named tuple ``(LU, pivots)``: U in and above the diagonal of LU, L below it, its diagonal of ones left
        out; pivots ``(*, min(m, n))``, int32: at step i the rows i and pivots[i] were exchanged, counted from 1.
    Gradient: A, any order.
    """
    _pivoted("lu_factor", pivot)
    _checks.matrix("lu_factor", A)
    LU, pivots, info = factor(A)
    _checks.successful("lu_factor", info, _checks.ZERO_PIVOT)
    return _LuFactor((LU, pivots))


@operator(out=True)
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """``A = P L U``: a permutation, a lower triangular matrix with ones on its diagonal and an upper triangular one.

    Args:
        A: ``(*, m, n)``.
        pivot: must be True.
    Returns: a named tuple ``(P, L, U)`` of ``(*, m, m)``, ``(*, m, k)``, ``(*, k, n)``, k the smaller of m and n.
    Gradient: A, any order.
    """
    _pivoted("lu", pivot)
    _checks.matrix("lu", A)
    LU, pivots, _ = factor(A)
    return _Lu((permutation(pivots, A.size(-2), A.dtype), *parts(LU)))


def solve_factored(LU: Tensor, pivots: Tensor, B: Tensor, conjugate: bool) -> Tensor:
    """X with ``A X = B``, or ``A^H X = B``, from A's factors."""
    X = _core._lu_solve(LU, pivots, B, conjugate)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor | None, Tensor | None]:
        (LU, B, X), grad = saved, grads[0]
        grad_B = solve_factored(LU, pivots, grad, not conjugate)
        if not needs[0]:
            return None, grad_B
        L, U = parts(LU)
        P = permutation(pivots, LU.size(-1), LU.dtype)
        if conjugate:  # X = P Z, L^H Z = Y, U^H Y = B
            Y, Z = solve_left(adjoint(U), B, False, False), P.mT @ X
            grad_Y = solve_left(L, P.mT @ grad, False, True)
            return -((Z @ adjoint(grad_Y)).tril(-1) + (Y @ adjoint(grad_B)).triu()), grad_B
        Y, grad_Y = U @ X, solve_left(adjoint(U), grad, False, False)  # L Y = P^T B
        grad_Z = solve_left(adjoint(L), grad_Y, True, True)
        return -((grad_Z @ adjoint(Y)).tril(-1) + (grad_Y @ adjoint(X)).triu()), grad_B

    return recorded("LinalgLuSolve", X, inputs=(LU, B), saved=(LU, B, X), derivative=derivative)


@operator(out=True)
def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The solution X of ``A X = B`` from the factors that lu_factor gave.

    Args:
        LU, pivots: of A, ``(*, n, n)`` and ``(*, n)``, int32.
        B: ``(*, n, k)``, or ``(*, k, n)`` with ``left=False``; the batches broadcast.
        left: False solves ``X A = B``.
        adjoint: solve with ``A^H`` in place of A.
    Gradient: LU and B, any order.
    """
    _checks.square("lu_solve", LU, "LU")
    _checks.matrix("lu_solve", B, "B")
    _checks.same_dtype("lu_solve", LU, B)
    if pivots.dtype is not _core.int32:
        raise RuntimeError(f"linalg.lu_solve: pivots should be a Tensor of scalar type Int. Got {pivots.dtype}")
    if LU.size(-1) != B.size(-2 if left else -1):
        raise RuntimeError(
            f"linalg.lu_solve: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({list(LU.shape)} and {list(B.shape)})"
        )
    if pivots.shape != LU.shape[:-1]:
        raise RuntimeError(
            f"linalg.lu_solve: Number of pivots per batch should be same as the dimension of the matrix: the pivots "
            f"have shape {list(pivots.shape)}, LU {list(LU.shape)}"
        )
    if left:
        return solve_factored(LU, pivots, B, adjoint)
    return _turned(solve_factored(LU, pivots, _turned(B), not adjoint))


_turned = adjoint  # lu_solve has a parameter of that name


def solve_matrix(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """X with ``A X = B`` for matrices B, and the factors of A; its derivative Giles 2008, section 2.3.1."""
    LU, pivots, info = _core._lu_factor(A)
    X = _core._lu_solve(LU, pivots, B, False)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor | None, Tensor | None]:
        A, X = saved
        if _core.is_grad_enabled():
            grad_B = solve_matrix(adjoint(A), grads[0])[0]
        else:
            grad_B = _core._lu_solve(LU, pivots, grads[0], True)
        return -(grad_B @ adjoint(X)) if needs[0] else None, grad_B

    X = recorded("LinalgSolveEx", X, inputs=(A, B), saved=(A, X), derivative=derivative)
    return X, LU, pivots, info


_SolveEx = _core._return_type("linalg_solve_ex", ("result", "info"))
_InvEx = _core._return_type("linalg_inv_ex", ("inverse", "info"))


def _solved(name: str, A: Tensor, B: Tensor, left: bool) -> tuple[Tensor, Tensor]:
    _checks.square(name, A)
    _checks.inexact(name, B)
    _checks.same_dtype(name, A, B)
    vector = B.dim() == 1 or (A.dim() - 1 == B.dim() and B.shape == A.shape[:-1])
    if vector:
        if not left:
            raise RuntimeError(
                f"linalg.{name}: Vector broadcasting of the left hand side is not supported for left=False. In this "
                f"case linalg.{name} is equivalent to B / A.squeeze(-1)"
            )
        B = B.unsqueeze(-1)
    if B.dim() < 2 or A.size(-1) != B.size(-2 if left else -1):
        raise RuntimeError(
            f"linalg.{name}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({list(A.shape)} and {list(B.shape)})"
        )
    X, _, _, info = solve_matrix(A, B) if left else solve_matrix(A.mT, B.mT)
    if not left:
        X = X.mT
    return X.squeeze(-1) if vector else X, info


@operator(out=True)
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """The solution of ``A X = B`` as solve gives it, and what went wrong instead of an error.

    Returns: a named tuple ``(result, info)``; info, int32, is 0 or the first zero on the diagonal of A's factor U,
        counted from 1: the result is of no use then.
    Gradient: A and B, any order.
    """
    X, info = _solved("solve_ex", A, B, left)
    if check_errors:
        _checks.successful("solve_ex", info, _checks.SINGULAR)
    return _SolveEx((X, info))


@operator(out=True)
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The solution X of ``A X = B``, or of ``X A = B`` with ``left=False``.

    Args:
        A: ``(*, n, n)``.
        B: ``(*, n, k)`` (``(*, k, n)`` with ``left=False``); or a vector ``(n,)``, or a batch of them ``(*, n)`` of the
            very batch of A. The batches of matrices broadcast.
    Raises: LinAlgError if a matrix is singular; RuntimeError where shapes or dtypes do not fit.
    Gradient: A and B, any order. Source of the derivative: Giles 2008, section 2.3.1.

    >>> A = flambeau.tensor([[3.0, 1.0], [1.0, 2.0]])
    >>> flambeau.linalg.solve(A, flambeau.tensor([9.0, 8.0]))
    tensor([2., 3.])
    """
    X, info = _solved("solve", A, B, left)
    _checks.successful("solve", info, _checks.SINGULAR)
    return X


def _inverted(name: str, A: Tensor) -> tuple[Tensor, Tensor]:
    _checks.square(name, A)
    inverse, info = _core._inverse(A)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
        turned = adjoint(saved[0])
        return (-(turned @ grads[0] @ turned),)

    return recorded("LinalgInvEx", (inverse, info), inputs=(A,), saved=(inverse,), derivative=derivative)


@operator(out=True)
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """The inverse, and what went wrong instead of an error.

    Returns: a named tuple ``(inverse, info)``; info, int32, is 0 or the first zero on the diagonal of A's factor U,
        counted from 1: the inverse is of no use then.
    Gradient: A, any order.
    """
    inverse, info = _inverted("inv_ex", A)
    if check_errors:
        _checks.successful("inv_ex", info, _checks.SINGULAR_INVERSE)
    return _InvEx((inverse, info))


@operator(out=True)
def inv(A: Tensor) -> Tensor:
    """The inverse of every matrix ``(*, n, n)``. To solve a system, solve is quicker and more accurate.

    Raises: LinAlgError if a matrix is singular.
    Gradient: A, any order.

    >>> flambeau.linalg.inv(flambeau.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    inverse, info = _inverted("inv", A)
    _checks.successful("inv", info, _checks.SINGULAR_INVERSE)
    return inverse
