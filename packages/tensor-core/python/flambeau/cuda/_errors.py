"""Errors of the driver, by their numbers."""

from __future__ import annotations

from types import ModuleType

__all__ = ["CudaError", "check_error", "cudaStatus", "cudart"]


class cudaStatus:
    """Numbers of errors that programs compare with."""

    SUCCESS = 0
    ERROR_NOT_READY = 34


class CudaError(RuntimeError):
    """What a number other than 0 means."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{cudart().cudaGetErrorString(code)} ({int(code)})")


def check_error(res: int) -> None:
    """CudaError for a number other than 0."""
    if res != cudaStatus.SUCCESS:
        raise CudaError(res)


def cudart() -> ModuleType:
    """What of CUDA's runtime library there is, as a module: the profiler's switches, free memory, errors' texts.

    Raises: RuntimeError where there is no GPU.
    """
    from . import _runtime
    from ._devices import demand

    demand()
    return _runtime
