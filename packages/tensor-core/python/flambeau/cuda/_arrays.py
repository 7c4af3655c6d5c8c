"""GPU operators that CuPy computes: decompositions (cuSOLVER) and Fourier transforms (cuFFT).

The table ``FUNCTIONS`` lists them. Tensors and CuPy arrays share memory. CuPy uses flambeau's current stream, so only
the status checks of the decompositions synchronise. Without CuPy, these operators run on the CPU. They also run on the
CPU if a matrix is not finite or if cuSOLVER reports an error: the CPU implementation then raises the error that names
the matrix, as for a CPU tensor.
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
    """Return CuPy, or None if it is not installed. Warn if it is installed but cannot be imported."""
    if find_spec("cupy") is None:
        return None
    try:
        return import_module("cupy")
    except ImportError as error:
        warnings.warn(
            f"CuPy is installed but cannot be imported, so its operators run on the CPU: {error}", stacklevel=2
        )
        return None


def _eigh(cupy: Any, a: Any, upper: int, vectors: int) -> Any:
    triangle = "U" if upper else "L"
    return cupy.linalg.eigh(a, UPLO=triangle) if vectors else cupy.linalg.eigvalsh(a, UPLO=triangle)


def _eig(cupy: Any, a: Any, vectors: int) -> Any:
    solver = getattr(cupy.linalg, "eig" if vectors else "eigvals", None)
    try:
        return solver(a) if solver else ()  # CuPy 14 and later
    except RuntimeError:  # requires cuSOLVER of CUDA 12.6 or later
        return ()


def _svd(cupy: Any, a: Any, full: int, vectors: int) -> Any:
    return cupy.linalg.svd(a, full_matrices=bool(full), compute_uv=bool(vectors))


def _qr(cupy: Any, a: Any, complete: int, only_r: int) -> Any:
    return cupy.linalg.qr(a, mode="r" if only_r else "complete" if complete else "reduced")


def _fourier(cupy: Any, a: Any, inverse: int, *dims: int) -> Any:
    """Compute an unnormalised complex Fourier transform over ``dims``. ``inverse`` is 1 for the inverse transform."""
    return cupy.fft.ifftn(a, axes=dims, norm="forward") if inverse else cupy.fft.fftn(a, axes=dims)


def _half_spectrum(cupy: Any, a: Any, inverse: int, dim: int) -> Any:
    spectrum = cupy.fft.rfft(a, axis=dim)
    return spectrum.conj() if inverse else spectrum


def _inverse_real(cupy: Any, a: Any, inverse: int, dim: int, n: int) -> Any:
    return cupy.fft.irfft(a if inverse else a.conj(), n, axis=dim, norm="forward")


DECOMPOSITIONS: dict[str, Callable[..., Any]] = {"eigh": _eigh, "eig": _eig, "svd": _svd, "qr": _qr}
TRANSFORMS: dict[str, Callable[..., Any]] = {"fft": _fourier, "rfft": _half_spectrum, "irfft": _inverse_real}
FUNCTIONS = DECOMPOSITIONS | TRANSFORMS


def served(name: str, t: Tensor, *numbers: int) -> tuple[Tensor, ...]:
    """Compute a function of ``FUNCTIONS`` with CuPy, without autograd. Return () if the CPU must compute it."""
    cupy = library()
    if cupy is None or (name in DECOMPOSITIONS and not t.isfinite().all()):
        return ()
    with _on_stream_of(cupy, t):
        try:
            result = FUNCTIONS[name](cupy, cupy.from_dlpack(t), *numbers)
        except cupy.linalg.LinAlgError:
            return ()
        return tuple(_core.from_dlpack(r) for r in (result if isinstance(result, tuple) else (result,)))


def _on_stream_of(cupy: Any, t: Tensor) -> AbstractContextManager[Any]:
    """Return a context that selects the tensor's GPU and flambeau's stream, and reports convergence failures."""
    device = t.device.index or 0
    stream = _core._cuda_current_stream(device)
    scope = ExitStack()
    scope.enter_context(cupy.cuda.Device(device))
    scope.enter_context(cupy.cuda.ExternalStream(stream, device) if stream else cupy.cuda.Stream.null)
    scope.enter_context(import_module("cupyx").errstate(linalg="raise"))
    return scope
