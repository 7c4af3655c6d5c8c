"""The older forms of the factorizations, which flambeau's top level has."""

from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._grad_mode import no_grad
from flambeau._operator import recorded
from flambeau.linalg import _checks
from flambeau.linalg._lu import parts, permutation
from flambeau.linalg._orthogonal import reflect, reflectors_fit
from flambeau.linalg._spectral import decompose, svdvals
from flambeau.linalg._triangular import adjoint, solve_left, symmetric_part

_Svd = _core._return_type("svd", ("U", "S", "V"))
_Geqrf = _core._return_type("geqrf", ("a", "tau"))
_TriangularSolve = _core._return_type("triangular_solve", ("solution", "cloned_coefficient"))
_LuUnpack = _core._return_type("lu_unpack", ("P", "L", "U"))


def svd(input: Tensor, some: bool, compute_uv: bool) -> Any:
    """``U, S, V``."""
    _checks.matrix("svd", input)
    if compute_uv:
        U, S, Vh = decompose(input, not some)
        return _Svd((U, S, adjoint(Vh)))
    m, n = input.shape[-2:]
    zeros = (input.new_zeros((*input.shape[:-2], size, size)) for size in (m, n))
    U, V = zeros
    return _Svd((U, svdvals(input), V))


def geqrf(input: Tensor) -> Any:
    """``a, tau``."""
    _checks.matrix("geqrf", input)
    return _Geqrf(_core._qr_factor(input))


def ormqr(input: Tensor, tau: Tensor, other: Tensor, left: bool, transpose: bool) -> Tensor:
    """A product with Q or its adjoint."""
    for name, t in (("input", input), ("other", other)):
        if t.dim() < 2:
            raise RuntimeError(f"torch.ormqr: {name} must have at least 2 dimensions, got shape {list(t.shape)}")
        _checks.inexact("ormqr", t)
    side = "-2" if left else "-1"
    if other.size(-2 if left else -1) < (tau.size(-1) if tau.dim() else 0):
        raise RuntimeError(f"ormqr: other.shape[{side}] must be greater than or equal to tau.shape[-1]")
    if other.size(-2 if left else -1) != input.size(-2):
        raise RuntimeError(
            f"ormqr: other.shape[{side}] must be equal to input.shape[-2]: {list(other.shape)} and {list(input.shape)}"
        )
    if tau.dim() and tau.size(-1) > input.size(-1):
        raise RuntimeError("ormqr: tau.shape[-1] must be less than or equal to input.shape[-1]")
    reflectors_fit("ormqr", input, tau)
    if other.dim() != input.dim() or other.shape[:-2] != input.shape[:-2]:
        raise RuntimeError(
            f"ormqr: batch dimensions of other should be equal to those of input, got {list(other.shape[:-2])} and "
            f"{list(input.shape[:-2])}"
        )
    if other.dtype is not input.dtype:
        raise RuntimeError(f"ormqr: expected one dtype, got {input.dtype} and {other.dtype}")
    if left:
        return reflect(input, tau, other, transpose)
    return adjoint(reflect(input, tau, adjoint(other), not transpose))


def cholesky_solve(B: Tensor, L: Tensor, upper: bool) -> Tensor:
    """By two triangular systems."""
    _checks.square("cholesky_solve", L, "input2")
    _checks.matrix("cholesky_solve", B, "input")
    _checks.same_dtype("cholesky_solve", B, L)
    if L.size(-1) != B.size(-2):
        raise RuntimeError(
            f"cholesky_solve: Incompatible matrix sizes: each matrix A is {list(L.shape)[-2:]}, B {list(B.shape)[-2:]}"
        )
    return _factored(B, L, upper)


def _factored(B: Tensor, L: Tensor, upper: bool) -> Tensor:
    lower = adjoint(L) if upper else L
    with no_grad():
        X = solve_left(adjoint(lower), solve_left(lower, B, False, False), True, False)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor | None, Tensor | None]:
        (L, X), grad_B = saved, _factored(grads[0], saved[0], upper)
        if not needs[1]:
            return grad_B, None
        both = 2 * symmetric_part(grad_B @ adjoint(X))
        return grad_B, -(L @ both if upper else both @ L)

    return recorded("CholeskySolve", X, inputs=(B, L), saved=(L, X), derivative=derivative)


def cholesky_inverse(L: Tensor, upper: bool) -> Tensor:
    """``L^-H L^-1``."""
    _checks.square("cholesky_inverse", L, "input")
    with no_grad():
        root = solve_left(adjoint(L) if upper else L, _core.eye(L.size(-1), dtype=L.dtype), False, False)
        inverse = adjoint(root) @ root

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
        L, inverse = saved
        both = 2 * (inverse @ symmetric_part(grads[0]) @ inverse)
        return (-(L @ both if upper else both @ L),)

    return recorded("CholeskyInverse", inverse, inputs=(L,), saved=(L, inverse), derivative=derivative)


def triangular_solve(B: Tensor, A: Tensor, upper: bool, transpose: bool, unitriangular: bool) -> Any:
    """The solution and a copy of A."""
    _checks.square("triangular_solve", A)
    _checks.matrix("triangular_solve", B, "b")
    _checks.same_dtype("triangular_solve", A, B)
    if A.size(-1) != B.size(-2):
        raise RuntimeError(
            f"triangular_solve: Incompatible matrix sizes: A is {list(A.shape)[-2:]}, b {list(B.shape)[-2:]}"
        )
    used = A.mT if transpose else A
    X = solve_left(used, B, upper != transpose, unitriangular)
    whole = A if A.dim() == X.dim() == 2 else A.expand(*X.shape[:-2], *A.shape[-2:])
    return _TriangularSolve((X, whole.clone()))


def lu_unpack(LU: Tensor, pivots: Tensor, unpack_data: bool, unpack_pivots: bool) -> Any:
    """``P, L, U``."""
    _checks.matrix("lu_unpack", LU, "LU_data")
    if unpack_pivots and pivots.dtype is not _core.int32:
        raise RuntimeError(
            f"lu_unpack: LU_pivots is expected to be a tensor of int32, as linalg.lu_factor gives, got {pivots.dtype}"
        )
    P = permutation(pivots, LU.size(-2), LU.dtype) if unpack_pivots else LU.new_empty((0,))
    L, U = parts(LU) if unpack_data else (LU.new_empty((0,)), LU.new_empty((0,)))
    return _LuUnpack((P, L, U))
