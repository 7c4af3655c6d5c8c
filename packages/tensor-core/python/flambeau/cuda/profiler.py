"""Control of an external profiler, such as Nsight Systems: select the part of the program that it records.

nsys profile --capture-range=cudaProfilerApi python program.py
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ._errors import check_error
from ._runtime import cudaProfilerStart, cudaProfilerStop

__all__ = ["profile", "start", "stop"]


def start() -> None:
    """Start recording. Raise RuntimeError if no GPU is available, and CudaError if the driver reports an error."""
    check_error(cudaProfilerStart())


def stop() -> None:
    """Stop recording."""
    check_error(cudaProfilerStop())


@contextlib.contextmanager
def profile() -> Iterator[None]:
    """Record the block.

    >>> with flambeau.cuda.profiler.profile():
    ...     y = flambeau.ones(3, device="cuda") + 1
    """
    start()
    try:
        yield
    finally:
        stop()
