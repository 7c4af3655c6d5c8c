"""The LDL factorization of symmetric and Hermitian matrices that need not be positive definite."""

from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator
from flambeau.linalg import _checks

_LdlFactor = _core._return_type("linalg_ldl_factor", ("LD", "pivots"))
_LdlFactorEx = _core._return_type("linalg_ldl_factor_ex", ("LD", "pivots", "info"))


@operator(out=True)
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """``A = L D L^T``, as ldl_factor, and what went wrong.

    Returns: a named tuple ``(LD, pivots, info)``; info, int32, is 0 or the first zero block of D, counted from 1.
    No gradient.
    """
    _checks.square("ldl_factor_ex", A)
    LD, pivots, info = _core._ldl_factor(A, hermitian)
    if check_errors:
        _checks.successful("ldl_factor_ex", info, _checks.SINGULAR)
    return _LdlFactorEx((LD, pivots, info))


@operator(out=True)
def ldl_factor(A: Tensor, *, hermitian: bool = False) -> Any:
    """``A = L D L^T`` (``L D L^H``) of a symmetric (Hermitian) matrix, D with blocks of one and two, for ldl_solve.

    Args:
        A: ``(*, n, n)``; only its lower triangle is read.
        hermitian: a complex A is Hermitian, not symmetric.
    Returns: a named tuple ``(LD, pivots)``: D on and L below the diagonal of LD, in LAPACK's compact form; pivots
        ``(*, n)``, int32: the rows that were exchanged, counted from 1, negative for a block of two.
    Raises: LinAlgError if D has a zero block. No gradient. Source: Bunch, Kaufman 1977.
    """
    _checks.square("ldl_factor", A)
    LD, pivots, info = _core._ldl_factor(A, hermitian)
    _checks.successful("ldl_factor", info, _checks.SINGULAR)
    return _LdlFactor((LD, pivots))


@operator(out=True)
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """The solution X of ``A X = B`` from what ldl_factor gave.

    Args:
        LD, pivots: ``(*, n, n)`` and ``(*, n)``, int32.
        B: ``(*, n, k)``; the batches broadcast.
        hermitian: as it was given to ldl_factor.
    No gradient.
    """
    _checks.square("ldl_solve", LD, "LD")
    _checks.matrix("ldl_solve", B, "B")
    _checks.same_dtype("ldl_solve", LD, B)
    if LD.size(-1) != B.size(-2):
        raise RuntimeError(
            f"linalg.ldl_solve: Incompatible matrix sizes for the equation AX = B: {list(LD.shape)}, {list(B.shape)}"
        )
    if pivots.shape != LD.shape[:-1]:
        raise RuntimeError(
            f"linalg.ldl_solve: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(pivots.shape)}"
        )
    if pivots.dtype not in (_core.int32, _core.int64):
        raise RuntimeError(f"linalg.ldl_solve: Expected pivots to be integers. Got {pivots.dtype}")
    return _core._ldl_solve(LD, pivots, B, hermitian)
