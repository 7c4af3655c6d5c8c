"""Error codes of the CUDA driver."""

from __future__ import annotations

from types import ModuleType

__all__ = ["CudaError", "check_error", "cudaStatus", "cudart"]


class cudaStatus:
    """Error codes for comparison in programs."""

    SUCCESS = 0
    ERROR_NOT_READY = 34


class CudaError(RuntimeError):
    """Error for a nonzero CUDA error code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{cudart().cudaGetErrorString(code)} ({int(code)})")


def check_error(res: int) -> None:
    """Raise CudaError if the error code is not 0."""
    if res != cudaStatus.SUCCESS:
        raise CudaError(res)


def cudart() -> ModuleType:
    """Return a module with the supported part of the CUDA runtime API: profiler control, free memory, error texts.

    Raises: RuntimeError if no GPU is available.
    """
    from . import _runtime
    from ._devices import require_gpu

    require_gpu()
    return _runtime
