"""Eigenvalues and singular values: of small matrices by Jacobi's rotations, else by LAPACK through NumPy."""

import math
from typing import Any

import numpy as np

from flambeau import _core
from flambeau._core import Tensor
from flambeau._core import linalg_solve_ex as solve_ex
from flambeau._numbers import finfo
from flambeau._operator import operator, recorded
from flambeau.linalg import _checks
from flambeau.linalg._matrices import adjoint, symmetric_part

_Eig = _core._return_type("linalg_eig", ("eigenvalues", "eigenvectors"))
_Eigh = _core._return_type("linalg_eigh", ("eigenvalues", "eigenvectors"))
_Svd = _core._return_type("linalg_svd", ("U", "S", "Vh"))

_SMALL = 10  # rows and columns up to which rotations of our own are quicker than LAPACK
_NOT_CONVERGED = "The algorithm failed to converge, because the input matrix is ill-conditioned or not finite."


def call_numpy(name: str, function: Any, *arrays: Tensor, **options: Any) -> Any:
    """A function of NumPy's on the values of tensors, its results as tensors."""
    try:
        result = function(*(t.detach().numpy() for t in arrays), **options)
    except np.linalg.LinAlgError as error:
        raise _checks.LinAlgError(f"linalg.{name}: {_NOT_CONVERGED} ({error})") from None
    if isinstance(result, tuple):
        return tuple(_core.from_numpy(np.ascontiguousarray(r)) for r in result)
    return _core.from_numpy(np.asarray(result))


def _finite(name: str, A: Tensor) -> Tensor:
    """A matrix that LAPACK can be given: on infinities it may run forever."""
    A = A.detach()
    if not A.isfinite().all():
        raise _checks.LinAlgError(f"linalg.{name}: {_NOT_CONVERGED}")
    return A


def _eigh_by_lapack(function: Any, A: Tensor, UPLO: str) -> Any:
    """Of a matrix that is not finite everything is NaN."""
    A = A.detach()
    finite = A.isfinite().flatten(-2).all(-1)
    if finite.all():
        return call_numpy("eigh", function, A, UPLO=UPLO.upper())
    whole = _core.where(finite.unsqueeze(-1).unsqueeze(-1), A, 0)
    result = call_numpy("eigh", function, whole, UPLO=UPLO.upper())
    values = result[0] if isinstance(result, tuple) else result
    values = values.masked_fill(~finite.unsqueeze(-1), math.nan)
    if not isinstance(result, tuple):
        return values
    return values, result[1].masked_fill(~finite.unsqueeze(-1).unsqueeze(-1), math.nan)


def _gaps(L: Tensor) -> Tensor:
    """``L_j - L_i``, with ones on the diagonal."""
    n = L.size(-1)
    E = L.unsqueeze(-2) - L.unsqueeze(-1)
    return E.masked_fill(_core.eye(n, dtype=_core.bool), 1)


def _require_no_phase(name: str, what: str, phases: Tensor) -> None:
    if not _core.allclose(phases, _core.zeros_like(phases), rtol=1e-2, atol=1e-2):
        raise RuntimeError(
            f"{name}_backward: The {what} in the complex case are specified up to multiplication by e^{{i phi}}. The "
            "specified loss function depends on this quantity, so it is ill-defined."
        )


def _diagonal(t: Tensor) -> Tensor:
    return t.diagonal(0, -2, -1)


def _on_diagonal(values: Tensor) -> Tensor:
    n = values.size(-1)
    return values.unsqueeze(-1) * _core.eye(n, dtype=values.dtype)


# Hermitian matrices


def _known_triangle(UPLO: str) -> None:
    if UPLO not in ("L", "U", "l", "u"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")


def decompose_hermitian(A: Tensor, UPLO: str = "L") -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors; derivative: Giles 2008, section 3.1."""
    if A.size(-1) <= _SMALL:
        L, V = _core._eigh(A, UPLO in "Uu", True)
    else:
        L, V = _eigh_by_lapack(np.linalg.eigh, A, UPLO)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
        (L, V), (grad_L, grad_V) = saved, grads
        if grad_V is None:
            return (symmetric_part((V * grad_L.unsqueeze(-2)) @ adjoint(V)),)
        inner = adjoint(V) @ grad_V
        if V.dtype.is_complex:
            _require_no_phase("linalg_eigh", "eigenvectors", _diagonal(inner).imag)
        off = ~_core.eye(L.size(-1), dtype=_core.bool)
        middle = inner / _gaps(L) * off
        if grad_L is not None:
            middle = middle + _on_diagonal(grad_L)
        return (symmetric_part(V @ middle @ adjoint(V)),)

    return recorded("LinalgEigh", (L, V), inputs=(A,), saved=(L, V), derivative=derivative)


@operator(out=True)
def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """``A = V diag(L) V^H`` of a symmetric or Hermitian matrix.

    Args:
        A: ``(*, n, n)``.
        UPLO: "L" or "U": the triangle that is read.
    Returns: a named tuple ``(eigenvalues, eigenvectors)``, the eigenvalues real and ascending, the eigenvectors the
        columns. An eigenvector is determined but for its sign, or its phase in the complex case.
    Raises: LinAlgError without convergence.
    Gradient: A, any order, where the eigenvalues are distinct; RuntimeError if the loss depends on a phase.
        Source: Giles 2008, section 3.1.
    """
    _checks.square("eigh", A)
    _known_triangle(UPLO)
    return _Eigh(decompose_hermitian(A, UPLO))


@operator(out=True)
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of a symmetric or Hermitian matrix ``(*, n, n)``, real and ascending.

    ``UPLO``, "L" or "U", names the triangle that is read. Raises LinAlgError without convergence.
    Gradient: A, any order, of repeated eigenvalues as well.
    """
    _checks.square("eigvalsh", A)
    _known_triangle(UPLO)
    if _core.is_grad_enabled() and A.requires_grad:
        return decompose_hermitian(A, UPLO)[0]
    if A.size(-1) <= _SMALL:
        return _core._eigh(A, UPLO in "Uu", False)[0]
    values: Tensor = _eigh_by_lapack(np.linalg.eigvalsh, A, UPLO)
    return values


# General square matrices


def decompose_general(A: Tensor) -> tuple[Tensor, Tensor]:
    """Complex eigenvalues and eigenvectors; derivative: Boeddeker et al. 2017, arXiv:1701.00392, section 4.77."""
    kind = _complex_of(A)
    L, V = (t.to(kind) for t in call_numpy("eig", np.linalg.eig, A))

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
        (L, V), (grad_L, grad_V) = saved, grads
        Vh = adjoint(V)
        if grad_V is None:
            return (_as_input(solve_ex(Vh, grad_L.unsqueeze(-1) * Vh)[0]),)
        inner = Vh @ grad_V
        on = _diagonal(inner)
        _require_no_phase("linalg_eig", "eigenvectors", on.imag)
        middle = inner - (Vh @ V) * on.real.unsqueeze(-2)
        off = ~_core.eye(L.size(-1), dtype=_core.bool)
        middle = middle / _gaps(L).conj() * off
        if grad_L is not None:
            middle = middle + _on_diagonal(grad_L)
        return (_as_input(solve_ex(Vh, middle @ Vh)[0]),)

    def _as_input(gradient: Tensor) -> Tensor:
        return gradient if complex_input else gradient.real

    complex_input = A.dtype.is_complex
    return recorded("LinalgEig", (L, V), inputs=(A,), saved=(L, V), derivative=derivative)


def _complex_of(A: Tensor) -> Any:
    return A.dtype if A.dtype.is_complex else (_core.complex128 if A.dtype is _core.float64 else _core.complex64)


def _require_finite(name: str, A: Tensor) -> None:
    if not A.isfinite().all():
        raise RuntimeError(f"linalg.{name}: input tensor should not contain infs or NaNs.")


@operator(out=True)
def eig(A: Tensor) -> Any:
    """``A = V diag(L) V^-1`` of a general square matrix.

    Args:
        A: ``(*, n, n)``, finite.
    Returns: a named tuple ``(eigenvalues, eigenvectors)``, complex, the eigenvectors (of norm 1, but for a phase) the
        columns; in no particular order.
    Raises: RuntimeError for infinities and NaNs; LinAlgError without convergence.
    Gradient: A, any order, where the eigenvalues are distinct; RuntimeError if the loss depends on a phase.
        Source: Boeddeker et al. 2017, arXiv:1701.00392.
    """
    _checks.square("eig", A)
    _require_finite("eig", A)
    return _Eig(decompose_general(A))


@operator(out=True)
def eigvals(A: Tensor) -> Tensor:
    """The eigenvalues of a general square matrix ``(*, n, n)``, complex, in no particular order.

    Raises: RuntimeError for infinities and NaNs; LinAlgError without convergence.
    Gradient: A, any order.
    """
    _checks.square("eigvals", A)
    _require_finite("eigvals", A)
    if _core.is_grad_enabled() and A.requires_grad:
        return decompose_general(A)[0]
    values: Tensor = call_numpy("eigvals", np.linalg.eigvals, A)
    return values.to(_complex_of(A))


# Singular values


def decompose(A: Tensor, full_matrices: bool) -> tuple[Tensor, Tensor, Tensor]:
    """U, S, V^H; derivative: Giles 2008, section 3.2, and Wan, Zhang 2019, arXiv:1909.02659, in the complex case."""
    if max(A.shape[-2:]) <= _SMALL:
        U, S, Vh, info = _core._svd(A, full_matrices, True)
        _checks.successful("svd", info, _NOT_CONVERGED)
    else:
        U, S, Vh = call_numpy("svd", np.linalg.svd, _finite("svd", A), full_matrices=full_matrices)
    k = S.size(-1)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
        (U, S, Vh), (grad_U, grad_S, grad_Vh) = saved, grads
        U, Vh = U.narrow(-1, 0, k), Vh.narrow(-2, 0, k)
        if grad_U is None and grad_Vh is None:
            return ((U * grad_S.unsqueeze(-2)) @ Vh,)
        grad_U = None if grad_U is None else grad_U.narrow(-1, 0, k)
        grad_Vh = None if grad_Vh is None else grad_Vh.narrow(-2, 0, k)
        return (_svd_gradient(U, S, Vh, grad_U, grad_S, grad_Vh),)

    return recorded("LinalgSvd", (U, S, Vh), inputs=(A,), saved=(U, S, Vh), derivative=derivative)


def _skew(t: Tensor) -> Tensor:
    return t - adjoint(t)


def _svd_gradient(
    U: Tensor, S: Tensor, Vh: Tensor, grad_U: Tensor | None, grad_S: Tensor | None, grad_Vh: Tensor | None
) -> Tensor:
    m, k, n = U.size(-2), S.size(-1), Vh.size(-1)
    if not S.numel():
        return U @ Vh  # as empty as the matrices
    turn_U = _skew(adjoint(U) @ grad_U) if grad_U is not None else None
    turn_V = _skew(Vh @ adjoint(grad_Vh)) if grad_Vh is not None else None
    if U.dtype.is_complex:
        turns = [_diagonal(t).imag for t in (turn_U, turn_V) if t is not None]
        _require_no_phase("svd", "singular vectors", sum(turns[1:], turns[0]))
    off = ~_core.eye(k, dtype=_core.bool)
    E = _gaps(S * S)
    middle: Any = 0
    if turn_U is not None:
        middle = turn_U / E * off * S.unsqueeze(-2)
        if U.dtype.is_complex:
            reached = finfo(S.dtype).eps * S.amax(-1, keepdim=True) < S  # where S is 0 the phases are free
            middle = middle + _on_diagonal(
                _core.where(reached, _diagonal(turn_U), 0) / (2 * _core.where(reached, S, 1))
            )
    if turn_V is not None:
        middle = middle + S.unsqueeze(-1) * (turn_V / E * off)
    if grad_S is not None:
        middle = middle + _on_diagonal(grad_S)
    right = middle @ Vh
    if grad_Vh is not None and n > k:
        scaled = grad_Vh / S.unsqueeze(-1)
        right = right + scaled - (scaled @ adjoint(Vh)) @ Vh
    result: Tensor = U @ right
    if grad_U is not None and m > k:
        scaled = grad_U / S.unsqueeze(-2)
        result = result + (scaled - U @ (adjoint(U) @ scaled)) @ Vh
    return result


def _known_driver(name: str, driver: str | None) -> None:
    if driver is not None:
        raise RuntimeError(f"linalg.{name}: keyword argument `driver=` is only supported on CUDA inputs")


@operator(out=True)
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """``A = U diag(S) V^H``: orthonormal columns, singular values, orthonormal rows.

    Args:
        A: ``(*, m, n)``; k is the smaller of m and n.
        full_matrices: U ``(*, m, m)`` and Vh ``(*, n, n)``; otherwise ``(*, m, k)`` and ``(*, k, n)``.
        driver: must be None.
    Returns: a named tuple ``(U, S, Vh)``, S real, descending. A pair of singular vectors is determined but for its
        sign, or its phase in the complex case.
    Raises: LinAlgError without convergence.
    Gradient: A, any order, where the singular values are distinct and, with U or Vh, not 0; RuntimeError if the loss
        depends on a phase. Of what full_matrices adds there is none. Source: Giles 2008, section 3.2; Wan, Zhang 2019,
        arXiv:1909.02659.
    """
    _checks.matrix("svd", A)
    _known_driver("svd", driver)
    return _Svd(decompose(A, full_matrices))


@operator(out=True)
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values of every matrix ``(*, m, n)``, descending, real. Raises LinAlgError without convergence.

    Gradient: A, any order.
    """
    _checks.matrix("svdvals", A)
    _known_driver("svdvals", driver)
    if _core.is_grad_enabled() and A.requires_grad:
        return decompose(A, False)[1]
    if max(A.shape[-2:]) <= _SMALL:
        S, info = _core._svd(A, False, False)
        _checks.successful("svdvals", info, _NOT_CONVERGED)
        return S
    values: Tensor = call_numpy("svdvals", np.linalg.svd, _finite("svdvals", A), compute_uv=False)
    return values
