"""Determinants, computed from the LU factorization."""

from typing import TYPE_CHECKING, Any

from flambeau import _core
from flambeau._core import Tensor, linalg_solve_ex as solve_ex
from flambeau._numbers import finfo
from flambeau._operator import operator, recorded
from flambeau.linalg import _checks
from flambeau.linalg._matrices import adjoint, conjugate

if TYPE_CHECKING:
    from flambeau._core import _LinalgSlogdet

_Slogdet = _core._return_type("linalg_slogdet", ("sign", "logabsdet"))


def _identity_like(A: Tensor) -> Tensor:
    return _core.eye(A.size(-1), dtype=A.dtype).expand(A.shape)


def _adjugate_adjoint(A: Tensor) -> Tensor:
    """Return the conjugate transpose of the adjugate, computed from singular values, so that A may be singular."""
    U, S, Vh = _core.linalg_svd(A, False)
    n = S.size(-1)
    others = _core.where(_core.eye(n, dtype=_core.bool), S.new_ones(()), S.unsqueeze(-2).expand(*S.shape, n)).prod(-1)
    turn = conjugate(det(U) * det(Vh))
    result: Tensor = (U * (turn.unsqueeze(-1) * others).unsqueeze(-2)) @ Vh
    return result


@operator(out="exact")
def det(A: Tensor) -> Tensor:
    """Return the determinant of every matrix. The determinant of an empty matrix is 1.

    Args:
        A: tensor of shape ``(*, n, n)``.
    Returns: a tensor of shape ``(*)``.
    Gradient: defined for A, to any order. For a singular matrix, it is computed from the adjugate.

    >>> flambeau.linalg.det(flambeau.tensor([[2.0, 1.0], [1.0, 3.0]]))
    tensor(5.)
    """
    _checks.check_square("det", A)
    LU, pivots, _ = _core._lu_factor(A)
    result = _core._lu_determinant(LU, pivots)

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
        A, result = saved
        scale = grads[0].unsqueeze(-1).unsqueeze(-1)
        if A.size(-1) == 1:
            return (scale,)
        if not A.numel():
            return (_core.zeros_like(A),)
        threshold = finfo(A.dtype).eps * LU.diagonal(0, -2, -1).abs().amax(-1) ** A.size(-1)
        singular = result.detach().abs() <= threshold
        has_singular = bool(singular.any())
        invertible = _core.where(singular[..., None, None], _identity_like(A), A) if has_singular else A
        cofactors = conjugate(result)[..., None, None] * solve_ex(adjoint(invertible), _identity_like(A))[0]
        if has_singular:
            cofactors[singular] = _adjugate_adjoint(A[singular])
        return (scale * cofactors,)

    return recorded("LinalgDet", result, inputs=(A,), saved=(A, result), derivative=derivative)


@operator(out="exact")
def slogdet(A: Tensor) -> "_LinalgSlogdet":
    """Return the sign and the logarithm of the absolute value of the determinant, which avoids overflow.

    Args:
        A: tensor of shape ``(*, n, n)``.
    Returns: a named tuple ``(sign, logabsdet)`` with ``det = sign * exp(logabsdet)``. For a singular matrix, the values
        are 0 and -inf. For complex A, the sign is a complex number of modulus 1 and logabsdet is real.
    Gradient: defined for nonsingular A, to any order.

    >>> fb.linalg.slogdet(fb.tensor([[2.0, 0.0], [0.0, -4.0]]))
    flambeau.return_types.linalg_slogdet(
    sign=tensor(-1.),
    logabsdet=tensor(2.0794))
    """
    _checks.check_square("slogdet", A)
    LU, pivots, _ = _core._lu_factor(A)
    results: _LinalgSlogdet = _Slogdet(_core._lu_log_determinant(LU, pivots))

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
        (A, sign), (grad_sign, grad_log) = saved, grads
        if A.dtype.is_complex:
            turn = -(grad_sign.conj() * sign).imag if grad_sign is not None else grad_log.new_zeros(grad_log.shape)
            scale = _core.complex(grad_log if grad_log is not None else _core.zeros_like(turn), turn)
        elif grad_log is None:
            return (_core.zeros_like(A),)
        else:
            scale = grad_log
        inverse = solve_ex(adjoint(A), _identity_like(A))[0]
        return (scale.unsqueeze(-1).unsqueeze(-1) * inverse,)

    return recorded("LinalgSlogdet", results, inputs=(A,), saved=(A, results[0]), derivative=derivative)
