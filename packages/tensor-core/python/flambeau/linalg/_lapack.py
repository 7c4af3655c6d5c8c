"""Eigenvalues and singular values from LAPACK through NumPy, without autograd, for the native operators."""

import math
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from flambeau import _core
from flambeau._core import Tensor, _LinAlgError as LinAlgError
from flambeau.linalg._one_thread import one_thread

_NOT_CONVERGED = "The algorithm failed to converge, because the input matrix is ill-conditioned or not finite."


_MIN_INTERRUPTIBLE_WORK = 10**7  # sum of n**3 over the matrices: work for some milliseconds; a thread starts faster
_T = TypeVar("_T")


def _call_interruptibly(function: Callable[[], _T]) -> _T:
    """Call a function in a new thread so that the main thread can handle signals while it runs.

    If a signal handler raises, for example on Ctrl-C, the function runs to its end and its result is discarded. The
    process exits only after that, because unloading LAPACK frees memory that the thread uses.
    """
    outcome: list[tuple[_T | None, BaseException | None]] = []
    finished = threading.Event()

    def run() -> None:
        try:
            outcome.append((function(), None))
        except BaseException as error:
            outcome.append((None, error))
        finally:
            finished.set()

    threading.Thread(target=run, name="flambeau.linalg").start()
    finished.wait()  # not join(): CPython 3.11 and 3.12 treat an interrupted join() as the end of the thread
    ((result, error),) = outcome
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def _raise_not_converged(*_: object) -> None:
    raise np.linalg.LinAlgError("no convergence")


def _call_numpy(name: str, ufunc: str, A: Tensor, function: Callable[..., Any], **options: Any) -> tuple[Tensor, ...]:
    """Call a function of NumPy with the values of a tensor, and return the results as tensors.

    NumPy's public functions compute in double precision. Its ufuncs, which also call LAPACK, compute in the precision
    of the tensor and take half the time for float32. Some versions of NumPy have other ufuncs; there, the public
    ``function`` is called with ``options``.
    """
    array = A.numpy()
    in_own_precision = getattr(np.linalg._umath_linalg, ufunc, None)

    def call() -> Any:
        with one_thread():
            if in_own_precision is None:
                return function(array, **options)
            with np.errstate(all="ignore", invalid="call", call=_raise_not_converged):
                return in_own_precision(array)

    long = (
        A.numel() * max(A.shape[-2:]) > _MIN_INTERRUPTIBLE_WORK
        and threading.current_thread() is threading.main_thread()
    )
    try:
        result = _call_interruptibly(call) if long else call()
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"linalg.{name}: {_NOT_CONVERGED} ({error})") from None
    except MemoryError:
        what = f"a tensor of shape {tuple(A.shape)} and dtype {A.dtype}"
        raise RuntimeError(f"linalg.{name}: out of memory for the results or work space of {what}") from None
    results = result if isinstance(result, tuple) else (result,)
    return tuple(_core.from_numpy(np.ascontiguousarray(r)) for r in results)


def eigh(A: Tensor, upper: bool, vectors: bool) -> tuple[Tensor, ...]:
    """Return ascending eigenvalues of Hermitian matrices, and eigenvectors. Non-finite matrices give NaN."""
    function: Any = np.linalg.eigh if vectors else np.linalg.eigvalsh
    ufunc = ("eigh_" if vectors else "eigvalsh_") + ("up" if upper else "lo")
    triangle = "U" if upper else "L"
    finite = A.isfinite().flatten(-2).all(-1)
    if finite.all():
        return _call_numpy("eigh", ufunc, A, function, UPLO=triangle)
    whole = _core.where(finite.unsqueeze(-1).unsqueeze(-1), A, 0)
    values, *rest = _call_numpy("eigh", ufunc, whole, function, UPLO=triangle)
    values = values.masked_fill(~finite.unsqueeze(-1), math.nan)
    return values, *(V.masked_fill(~finite.unsqueeze(-1).unsqueeze(-1), math.nan) for V in rest)


def eig(A: Tensor, vectors: bool) -> tuple[Tensor, ...]:
    """Return complex eigenvalues of finite matrices, and eigenvectors."""
    kind = A.dtype if A.dtype.is_complex else A.dtype.to_complex()
    function: Any = np.linalg.eig if vectors else np.linalg.eigvals
    return tuple(t.to(kind) for t in _call_numpy("eig", function.__name__, A, function))


def svd(A: Tensor, full: bool, vectors: bool) -> tuple[Tensor, ...]:
    """Return U, descending singular values and V^H, or only the values. Raise LinAlgError for non-finite A.

    LAPACK may not terminate if A contains infinities.
    """
    if not A.isfinite().all():
        raise LinAlgError(f"linalg.{'svd' if vectors else 'svdvals'}: {_NOT_CONVERGED}")
    ufunc = ("svd_f" if full else "svd_s") if vectors else "svd"
    return _call_numpy("svd", ufunc, A, np.linalg.svd, full_matrices=full, compute_uv=vectors)
