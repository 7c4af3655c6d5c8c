"""The Cholesky factorization and triangular systems."""

from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator, recorded
from flambeau.linalg import _checks

_CholeskyEx = _core._return_type("linalg_cholesky_ex", ("L", "info"))


def adjoint(t: Tensor) -> Tensor:
    """The conjugate transpose of every matrix, as a view where there is nothing to conjugate."""
    return t.mT.conj() if t.dtype.is_complex else t.mT


def conjugate(t: Tensor) -> Tensor:
    """The complex conjugate; real numbers as they are."""
    return t.conj() if t.dtype.is_complex else t


def constant(result: Tensor, *inputs: Tensor) -> Tensor:
    """A result that does not depend on the inputs' values, with gradients of zeros."""

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor, ...]:
        return tuple(_core.zeros(shape, dtype=dtype) for shape, dtype in kinds)

    kinds = [(t.shape, t.dtype) for t in inputs]
    return recorded("LinalgConstant", result, inputs=inputs, derivative=derivative)


def symmetric_part(t: Tensor) -> Tensor:
    """``(t + t^H) / 2``."""
    return (t + adjoint(t)) * 0.5


def triangle(t: Tensor, upper: bool, strict: bool = False) -> Tensor:
    """The upper or lower part, without the diagonal where ``strict``."""
    return t.triu(int(strict)) if upper else t.tril(-int(strict))


def solve_left(A: Tensor, B: Tensor, upper: bool, unit: bool) -> Tensor:
    """X with ``A X = B`` for matrices B; batches broadcast."""
    X = _core._solve_triangular(A, B, upper, unit)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor | None, Tensor | None]:
        A, X = saved
        grad_B = solve_left(adjoint(A), grads[0], not upper, unit)
        grad_A = triangle(-(grad_B @ adjoint(X)), upper, unit) if needs[0] else None
        return grad_A, grad_B

    return recorded("LinalgSolveTriangular", X, inputs=(A, B), saved=(A, X), derivative=derivative)


@operator(out=True)
def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """The solution X of ``A X = B`` (``X A = B`` with ``left=False``) for a triangular A.

    Only the triangle that ``upper`` names is read, and not its diagonal where ``unitriangular``: it is taken as 1. A
    zero on the diagonal gives infinities, not an error.

    Args:
        A: ``(*, n, n)``, real or complex floating.
        B: ``(*, n, k)``, or ``(*, k, n)`` with ``left=False``; the batches broadcast.
    Returns: of the shape of B with the batches broadcast.
    Raises: RuntimeError where shapes or dtypes do not fit.
    Gradient: both, any order.

    >>> A = flambeau.tensor([[2.0, 0.0], [1.0, 4.0]])
    >>> flambeau.linalg.solve_triangular(A, flambeau.tensor([[2.0], [5.0]]), upper=False)
    tensor([[1.],
            [1.]])
    """
    _checks.square("solve_triangular", A)
    _checks.matrix("solve_triangular", B, "B")
    _checks.same_dtype("solve_triangular", A, B)
    if A.size(-1) != B.size(-2 if left else -1):
        raise RuntimeError(
            f"linalg.solve_triangular: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'}"
            f" ({list(A.shape)} and {list(B.shape)})"
        )
    if left:
        return solve_left(A, B, upper, unitriangular)
    return solve_left(A.mT, B.mT, not upper, unitriangular).mT


def factor(A: Tensor, upper: bool) -> tuple[Tensor, Tensor]:
    """The Cholesky factor and info.

    The derivative: Murray 2016, arXiv:1602.07527.
    """
    L, info = _core._cholesky_factor(A, upper)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
        (L,), (grad,) = saved, grads[:1]
        if upper:
            L, grad = adjoint(L), adjoint(grad)
        inner = adjoint(L) @ grad
        middle = (inner.tril() + adjoint(inner.tril(-1))) * 0.5  # as PyTorch: the diagonal's imaginary parts, too
        return (adjoint(solve_left(adjoint(L), adjoint(solve_left(adjoint(L), middle, True, False)), True, False)),)

    return recorded("LinalgCholeskyEx", (L, info), inputs=(A,), saved=(L,), derivative=derivative)


@operator(out=True)
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """The Cholesky factor of a Hermitian positive-definite matrix, and what went wrong instead of an error.

    Args:
        A: ``(*, n, n)``; only its lower triangle is read (its upper one with ``upper``).
        upper: give U with ``A = U^H U`` instead of L with ``A = L L^H``.
        check_errors: raise LinAlgError after all.
    Returns: a named tuple ``(L, info)``; info, int32, is 0 or the order of the first minor that is not positive
        definite.
    Gradient: A, any order.
    """
    _checks.square("cholesky_ex", A)
    L, info = factor(A, upper)
    if check_errors:
        _checks.successful("cholesky_ex", info, _checks.INDEFINITE)
    return _CholeskyEx((L, info))


@operator(out=True)
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The Cholesky factor: lower triangular L with ``A = L L^H``, or U with ``A = U^H U``.

    Args:
        A: ``(*, n, n)``, Hermitian positive definite; only its lower triangle is read (its upper one with ``upper``).
    Raises: LinAlgError if a matrix is not positive definite.
    Gradient: A, any order. Source of the derivative: Murray 2016, arXiv:1602.07527.

    >>> flambeau.linalg.cholesky(flambeau.tensor([[4.0, 2.0], [2.0, 10.0]]))
    tensor([[2., 0.],
            [1., 3.]])
    """
    _checks.square("cholesky", A)
    L, info = factor(A, upper)
    _checks.successful("cholesky", info, _checks.INDEFINITE)
    return L
