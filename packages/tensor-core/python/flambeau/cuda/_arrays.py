"""What CuPy does on a GPU for operators that have no kernel: decompositions (cuSOLVER) and Fourier transforms (cuFFT).

``FUNCTIONS`` is the table of them. Tensors and arrays share their memory, and CuPy works on flambeau's current stream,
so that nothing waits but for what the decompositions report. Where CuPy is not installed the operators run on the CPU.
They do as well where a matrix is not finite or cuSOLVER reports an error: the CPU says which matrix it is, and raises
what it raises for a tensor of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from flambeau import _core
from flambeau._core import Tensor


@cache
def library() -> ModuleType | None:
    """CuPy, or None where it is not installed. One that does not import is warned of."""
    if find_spec("cupy") is None:
        return None
    try:
        return import_module("cupy")
    except ImportError as error:
        warnings.warn(f"CuPy is installed but does not import, so the CPU does its work: {error}", stacklevel=2)
        return None


def _eigh(cupy: Any, a: Any, upper: int, vectors: int) -> Any:
    triangle = "U" if upper else "L"
    return cupy.linalg.eigh(a, UPLO=triangle) if vectors else cupy.linalg.eigvalsh(a, UPLO=triangle)


def _eig(cupy: Any, a: Any, vectors: int) -> Any:
    solver = getattr(cupy.linalg, "eig" if vectors else "eigvals", None)
    try:
        return solver(a) if solver else ()  # of CuPy 14
    except RuntimeError:  # cuSOLVER has it from CUDA 12.6 on
        return ()


def _svd(cupy: Any, a: Any, full: int, vectors: int) -> Any:
    return cupy.linalg.svd(a, full_matrices=bool(full), compute_uv=bool(vectors))


def _qr(cupy: Any, a: Any, complete: int, only_r: int) -> Any:
    return cupy.linalg.qr(a, mode="r" if only_r else "complete" if complete else "reduced")


def _fourier(cupy: Any, a: Any, inverse: int, *dims: int) -> Any:
    """Transforms without a factor, as the following."""
    return cupy.fft.ifftn(a, axes=dims, norm="forward") if inverse else cupy.fft.fftn(a, axes=dims)


def _half_spectrum(cupy: Any, a: Any, inverse: int, dim: int) -> Any:
    spectrum = cupy.fft.rfft(a, axis=dim)
    return spectrum.conj() if inverse else spectrum


def _signal(cupy: Any, a: Any, inverse: int, dim: int, n: int) -> Any:
    return cupy.fft.irfft(a if inverse else a.conj(), n, axis=dim, norm="forward")


DECOMPOSITIONS: dict[str, Callable[..., Any]] = {"eigh": _eigh, "eig": _eig, "svd": _svd, "qr": _qr}
TRANSFORMS: dict[str, Callable[..., Any]] = {"fft": _fourier, "rfft": _half_spectrum, "irfft": _signal}
FUNCTIONS = DECOMPOSITIONS | TRANSFORMS


def served(name: str, t: Tensor, *numbers: int) -> tuple[Tensor, ...]:
    """The results of a function of the table, of the tensor's values alone; none where the CPU has to do it."""
    cupy = library()
    if cupy is None or (name in DECOMPOSITIONS and not t.isfinite().all()):
        return ()
    with _there(cupy, t):
        try:
            result = FUNCTIONS[name](cupy, cupy.from_dlpack(t), *numbers)
        except cupy.linalg.LinAlgError:
            return ()
        return tuple(_core.from_dlpack(r) for r in (result if isinstance(result, tuple) else (result,)))


def _there(cupy: Any, t: Tensor) -> AbstractContextManager[Any]:
    """CuPy on the tensor's GPU and flambeau's stream; it reports what cuSOLVER does not come to an end with."""
    device = t.device.index or 0
    stream = _core._cuda_current_stream(device)
    scope = ExitStack()
    scope.enter_context(cupy.cuda.Device(device))
    scope.enter_context(cupy.cuda.ExternalStream(stream, device) if stream else cupy.cuda.Stream.null)
    scope.enter_context(import_module("cupyx").errstate(linalg="raise"))
    return scope
