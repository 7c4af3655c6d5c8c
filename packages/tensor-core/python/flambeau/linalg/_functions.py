"""The matrix exponential."""

import math
from typing import Any

from flambeau import _core
from flambeau._core import Tensor, linalg_solve_ex as solve_ex
from flambeau._grad_mode import no_grad
from flambeau._operator import operator, recorded
from flambeau.linalg import _checks
from flambeau.linalg._matrices import adjoint

# Coefficients of the Pade approximants of the exponential, by degree, from the constant term on.
_DEGREES = {
    3: (120.0, 60.0, 12.0, 1.0),
    5: (30240.0, 15120.0, 3360.0, 420.0, 30.0, 1.0),
    7: (17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0),
    9: (17643225600.0, 8821612800.0, 2075673600.0, 302702400.0, 30270240.0, 2162160.0, 110880.0, 3960.0, 90.0, 1.0),
    13: (
        64764752532480000.0,
        32382376266240000.0,
        7771770303897600.0,
        1187353796428800.0,
        129060195264000.0,
        10559470521600.0,
        670442572800.0,
        33522128640.0,
        1323241920.0,
        40840800.0,
        960960.0,
        16380.0,
        182.0,
        1.0,
    ),
}
_LIMITS = {
    "double": {
        3: 1.495585217958292e-2,
        5: 2.539398330063230e-1,
        7: 9.504178996162932e-1,
        9: 2.097847961257068,
        13: 5.371920351148152,
    },
    "single": {3: 4.258730016922831e-1, 5: 1.880152677804762, 7: 3.925724783138660},
}


def _pade(A: Tensor, degree: int) -> Tensor:
    """Return the Pade approximant of the exponential, ``q(A)^-1 p(A)`` with ``q(A) = p(-A)``."""
    b = _DEGREES[degree]
    identity = _core.eye(A.size(-1), dtype=A.dtype)
    A2 = A @ A
    powers = [identity, A2]
    while 2 * len(powers) < min(degree, 8):
        powers.append(powers[-1] @ A2)

    def combined(first: int, count: int) -> Tensor:
        total = powers[0] * b[first]
        for i in range(1, count):
            total = total + powers[i] * b[first + 2 * i]
        return total

    if degree == 13:
        A4, A6 = powers[2], powers[3]

        def upper(first: int) -> Tensor:
            return A6 @ (A6 * b[first + 4] + A4 * b[first + 2] + A2 * b[first])

        even, odd = upper(8) + combined(0, 4), upper(9) + combined(1, 4)
    else:
        if degree == 9:
            powers.append(powers[-1] @ A2)
        even, odd = combined(0, (degree + 1) // 2), combined(1, (degree + 1) // 2)
    odd = A @ odd
    result: Tensor = solve_ex(even - odd, even + odd)[0]
    return result


def _exponential(A: Tensor) -> Tensor:
    """Compute the matrix exponential by Padé approximation with scaling and squaring."""
    limits = _LIMITS["double" if A.dtype in _DOUBLE else "single"]
    norms = A.abs().sum(-2).amax(-1)
    largest = norms.max().item()
    if not math.isfinite(largest):
        return _core.where(
            (norms.isfinite()).unsqueeze(-1).unsqueeze(-1), _exponential(A.nan_to_num(0.0, 0.0, 0.0)), math.nan
        )
    for degree, limit in limits.items():
        if largest <= limit:
            return _pade(A, degree)
    degree, limit = list(limits.items())[-1]
    halvings = (norms / limit).log2().ceil().clamp(0).unsqueeze(-1).unsqueeze(-1)
    result = _pade(A * (-halvings).exp2(), degree)
    for k in range(int(halvings.max().item())):
        squared = result @ result
        result = _core.where(halvings > k, squared, result) if halvings.numel() > 1 else squared
    return result


_HALF = frozenset((_core.float16, _core.bfloat16))
_DOUBLE = frozenset(getattr(_core, name) for name in ("float64", "complex128") if hasattr(_core, name))


@operator(autocast="float32")
def matrix_exp(A: Tensor) -> Tensor:
    """Return the exponential ``1 + A + A^2 / 2 + ...`` of every matrix.

    The algorithm is scaling and squaring with a Pade approximant. Half-precision matrices are computed in float32.

    Args:
        A: tensor of shape ``(*, n, n)``.
    Returns: a tensor with the shape and dtype of A.
    Gradient: defined for A, to any order.
    Source: Higham 2005, "The scaling and squaring method for the matrix exponential revisited"; for the derivative:
        Al-Mohy, Higham 2009, "Computing the Frechet derivative of the matrix exponential".

    >>> flambeau.linalg.matrix_exp(flambeau.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    if A.dtype in _HALF:
        return matrix_exp(A.to(_core.float32)).to(A.dtype)
    _checks.check_square("matrix_exp", A)
    if not A.numel():
        return A.clone()
    with no_grad():
        result = _exponential(A.detach())

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor]:
        adjoint_matrix, n = adjoint(saved[0]), saved[0].size(-1)
        upper = _core.cat([adjoint_matrix, grads[0]], -1)
        lower = _core.cat([_core.zeros_like(adjoint_matrix), adjoint_matrix], -1)
        return (matrix_exp(_core.cat([upper, lower], -2)).narrow(-2, 0, n).narrow(-1, n, n),)

    return recorded("LinalgMatrixExp", result, inputs=(A,), saved=(A,), derivative=derivative)
