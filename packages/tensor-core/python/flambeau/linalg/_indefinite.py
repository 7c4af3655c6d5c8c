"""The LDL factorization of symmetric and Hermitian matrices that need not be positive definite."""

import math
from typing import Any

import numpy as np

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator
from flambeau.linalg import _checks
from flambeau.linalg._results import result_type

_LdlFactor = result_type("linalg_ldl_factor", "LD", "pivots")
_LdlFactorEx = result_type("linalg_ldl_factor_ex", "LD", "pivots", "info")

_ALPHA = (1 + math.sqrt(17)) / 8  # bounds the growth of the elements


def _size(values: Any) -> Any:
    return np.abs(values.real) + np.abs(values.imag)


def _choose(a: Any, k: int) -> tuple[int, int]:
    """Which row to bring to the pivot, and whether the pivot is 1 or 2 wide; -1 for a column of zeros."""
    own = _size(a[k, k])
    column = _size(a[k + 1 :, k])
    if not len(column) or own >= _ALPHA * column.max() > 0:
        return (k, 1) if own > 0 else (-1, 1)
    most = column.max()
    if max(own, most) == 0 or np.isnan(own):
        return -1, 1
    if own >= _ALPHA * most:
        return k, 1
    row = k + 1 + int(column.argmax())
    across = _size(a[row, k:row]).max()
    if row + 1 < len(a):
        across = max(across, _size(a[row + 1 :, row]).max())
    if own >= _ALPHA * most * (most / across):
        return k, 1
    return (row, 1) if _size(a[row, row]) >= _ALPHA * across else (row, 2)


def _exchange(a: Any, k: int, i: int, j: int, turn: Any) -> None:
    """Rows and columns i < j of what is left from row k on, in the lower triangle."""
    a[[i, j], k:i] = a[[j, i], k:i]
    a[j + 1 :, [i, j]] = a[j + 1 :, [j, i]]
    a[i + 1 : j, i], a[j, i + 1 : j] = turn(a[j, i + 1 : j]).copy(), turn(a[i + 1 : j, i]).copy()
    a[j, i] = turn(a[j, i])
    a[i, i], a[j, j] = a[j, j].copy(), a[i, i].copy()


def _factor_one(a: Any, pivots: Any, hermitian: bool) -> int:
    """Bunch, Kaufman 1977, in place in the lower triangle, as LAPACK's sytf2 and hetf2; gives info."""
    turn = np.conj if hermitian else (lambda x: x)
    n, k, info = len(a), 0, 0
    while k < n:
        if hermitian:
            a[k, k] = a[k, k].real
        row, width = _choose(a, k)
        if row < 0:
            info, row = info or k + 1, k
        last = k + width - 1
        if row != last:
            _exchange(a, k, last, row, turn)
        x = a[last + 1 :, k : last + 1]
        if x.size and (width == 2 or a[k, k] != 0):
            block = a[k : last + 1, k : last + 1]
            full = np.tril(block) + turn(np.tril(block, -1)).T
            scaled = np.linalg.solve(full.T, x.T).T if width == 2 else x / a[k, k]
            rest = a[last + 1 :, last + 1 :]
            rest -= np.tril(scaled @ turn(x).T)
            x[...] = scaled
        pivots[k : last + 1] = row + 1 if width == 1 else -(row + 1)
        k += width
    return info


def _factor(A: Tensor, hermitian: bool) -> tuple[Tensor, Tensor, Tensor]:
    LD = np.tril(A.detach().numpy())
    pivots, info = np.zeros(LD.shape[:-1], np.int32), np.zeros(LD.shape[:-2], np.int32)
    for place in np.ndindex(info.shape):
        info[place] = _factor_one(LD[place], pivots[place], hermitian and np.iscomplexobj(LD))
    return _core.from_numpy(LD), _core.from_numpy(pivots), _core.from_numpy(info)


@operator(out=True)
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """``A = L D L^T``, as ldl_factor, and what went wrong.

    Returns: a named tuple ``(LD, pivots, info)``; info, int32, is 0 or the first zero block of D, counted from 1.
    No gradient.
    """
    _checks.square("ldl_factor_ex", A)
    LD, pivots, info = _factor(A, hermitian)
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
    LD, pivots, info = _factor(A, hermitian)
    _checks.successful("ldl_factor", info, _checks.SINGULAR)
    return _LdlFactor((LD, pivots))


def _solve_one(a: Any, pivots: Any, b: Any, hermitian: bool) -> None:
    """In place in b, as LAPACK's sytrs and hetrs."""
    turn = np.conj if hermitian else (lambda x: x)
    n, k, blocks = len(a), 0, []
    while k < n:
        width = 1 if pivots[k] > 0 else 2
        last, row = k + width - 1, abs(int(pivots[k])) - 1
        b[[last, row]] = b[[row, last]]
        b[last + 1 :] -= a[last + 1 :, k : last + 1] @ b[k : last + 1]
        block = a[k : last + 1, k : last + 1]
        full = np.tril(block) + turn(np.tril(block, -1)).T
        b[k : last + 1] = np.linalg.solve(full, b[k : last + 1]) if width == 2 else b[k : last + 1] / a[k, k]
        blocks.append((k, last, row))
        k += width
    for k, last, row in reversed(blocks):
        b[k : last + 1] -= turn(a[last + 1 :, k : last + 1]).T @ b[last + 1 :]
        b[[last, row]] = b[[row, last]]


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
    a, p, b = (t.detach().numpy() for t in (LD, pivots, B))
    if p.size and not 1 <= np.abs(p).min() <= np.abs(p).max() <= a.shape[-1]:
        raise RuntimeError(f"linalg.ldl_solve: pivots must be between 1 and {a.shape[-1]} in absolute value")
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, p = np.broadcast_to(a, batch + a.shape[-2:]), np.broadcast_to(p, batch + p.shape[-1:])
    x = np.array(np.broadcast_to(b, batch + b.shape[-2:]), order="C")
    for place in np.ndindex(batch):
        _solve_one(a[place], p[place], x[place], hermitian and np.iscomplexobj(a))
    return _core.from_numpy(x)
