"""Functions of the CUDA runtime API, implemented with the driver API: ``flambeau.cuda.cudart()``.

Functions that return an error code return 0 on success.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import os

from ._devices import device, require_gpu
from .memory import mem_get_info

__all__ = ["cudaError", "cudaGetErrorString", "cudaMemGetInfo", "cudaProfilerStart", "cudaProfilerStop"]


class cudaError(enum.IntEnum):
    """Error codes of the CUDA runtime. Only success is listed."""

    success = 0


@functools.cache
def _driver() -> ctypes.CDLL:
    """Return a ctypes handle of the driver library, which is already loaded."""
    require_gpu()
    return ctypes.CDLL(os.environ.get("FLAMBEAU_CUDA_DRIVER") or "libcuda.so.1")


def cudaProfilerStart() -> int:
    """Start recording in the profiler that runs the program."""
    mem_get_info()  # this call makes the GPU's context current in this thread
    return int(_driver().cuProfilerStart())


def cudaProfilerStop() -> int:
    """Stop recording in the profiler."""
    mem_get_info()
    return int(_driver().cuProfilerStop())


def cudaMemGetInfo(index: int) -> tuple[int, int]:
    """Return the free and the total memory of a GPU in bytes."""
    with device(index):
        return mem_get_info()


def cudaGetErrorString(error: int) -> str:
    """Return the description of an error code."""
    text = ctypes.c_char_p()
    _driver().cuGetErrorString(int(error), ctypes.byref(text))
    return text.value.decode() if text.value else "unknown error"
