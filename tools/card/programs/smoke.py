"""Compare the work of each family of operators on the GPU with the CPU: ``smoke NAME``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import flambeau as fb

from .checks import UnavailableError, main
from .work import WORK


def array(tensor: Any) -> np.ndarray:
    """Return the values of a tensor as a NumPy array, with bfloat16 converted to float32."""
    tensor = tensor.detach().cpu()
    return np.asarray(tensor.to(fb.float32) if tensor.dtype == fb.bfloat16 else tensor)


def difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference as a fraction of the largest expected element, or infinity if shapes differ."""
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return float("inf")
    if not expected.size or np.array_equal(actual, expected):
        return 0.0
    distance = float(np.abs(actual.astype(np.float64) - expected.astype(np.float64)).max())
    scale = float(np.abs(expected.astype(np.float64)).max())
    ratio = distance / scale if scale else float("inf")
    return ratio if np.isfinite(ratio) else float("inf")


def compare(name: str) -> str:
    """Run the work of a family of operators on both devices, and compare the results."""
    work = WORK[name]
    sides: list[list[np.ndarray]] = []
    fb.cuda.reset_host_calls()
    for device in ("cpu", "cuda"):
        fb.manual_seed(0)
        sides.append([array(tensor) for tensor in work.run(device)])
    largest = max(difference(actual, expected) for expected, actual in zip(*sides, strict=True))
    if largest > work.tolerance:
        raise AssertionError(f"the results differ by {largest:.2g}, and at most {work.tolerance:g} is allowed")
    calls = fb.cuda.host_calls()
    slow = f"; on the CPU: {', '.join(sorted(calls))}" if calls else ""
    return f"difference {largest:.2g}, at most {work.tolerance:g}{slow}"


def report() -> str:
    """Return the name and the properties of the GPU."""
    known = fb.cuda.get_device_properties(0)
    return (
        f"{known.name}, compute capability {known.major}.{known.minor}, {known.multi_processor_count} multiprocessors"
    )


def fourier_with_cupy() -> str:
    """Compare a Fourier transform by CuPy with NumPy's."""
    try:
        import cupy  # type: ignore[import-not-found]
    except ImportError:
        raise UnavailableError("CuPy is not installed, so Fourier transforms run on the CPU") from None
    x = fb.randn(33, 100)
    fb.cuda.reset_host_calls()
    largest = difference(array(fb.fft.fft(x.cuda()).real), np.fft.fft(x.numpy()).real.astype(np.float32))
    if fb.cuda.host_calls() or largest > 1e-5:
        raise AssertionError(f"difference {largest:.2g}; on the CPU: {fb.cuda.host_calls()}")
    return f"CuPy {cupy.__version__}, difference {largest:.2g}"


CHECKS: dict[str, Callable[[], str]] = {"device": report}
CHECKS |= {name: partial(compare, name) for name in WORK}
CHECKS["Fourier transforms with CuPy"] = fourier_with_cupy

if __name__ == "__main__":
    main(CHECKS)
