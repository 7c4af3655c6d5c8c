"""What programs reach for in CUDA's runtime library, by the driver: ``flambeau.cuda.cudart()``.

Functions return 0, or the number of an error.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import os

from ._devices import demand, device
from .memory import mem_get_info

__all__ = ["cudaError", "cudaGetErrorString", "cudaMemGetInfo", "cudaProfilerStart", "cudaProfilerStop"]


class cudaError(enum.IntEnum):
    """Errors' numbers, of which there are more."""

    success = 0


@functools.cache
def _driver() -> ctypes.CDLL:
    """The driver, which is open already: the same library a second time."""
    demand()
    return ctypes.CDLL(os.environ.get("FLAMBEAU_CUDA_DRIVER") or "libcuda.so.1")


def cudaProfilerStart() -> int:
    """Lets a profiler that the program runs under begin to record."""
    mem_get_info()  # makes the GPU the thread's in the driver's eyes
    return int(_driver().cuProfilerStart())


def cudaProfilerStop() -> int:
    """Lets the profiler pause."""
    mem_get_info()
    return int(_driver().cuProfilerStop())


def cudaMemGetInfo(index: int) -> tuple[int, int]:
    """Bytes of a GPU's memory that are free, and all."""
    with device(index):
        return mem_get_info()


def cudaGetErrorString(error: int) -> str:
    """What an error's number means."""
    text = ctypes.c_char_p()
    _driver().cuGetErrorString(int(error), ctypes.byref(text))
    return text.value.decode() if text.value else "unknown error"
