"""Telling a profiler, such as Nsight Systems, which part of the program to record.

nsys profile --capture-range=cudaProfilerApi python program.py
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ._errors import check_error
from ._runtime import cudaProfilerStart, cudaProfilerStop

__all__ = ["profile", "start", "stop"]


def start() -> None:
    """Lets the profiler begin to record. RuntimeError where there is no GPU; CudaError where the driver refuses."""
    check_error(cudaProfilerStart())


def stop() -> None:
    """Lets the profiler pause."""
    check_error(cudaProfilerStop())


@contextlib.contextmanager
def profile() -> Iterator[None]:
    """Lets the profiler record a block.

    >>> with flambeau.cuda.profiler.profile():
    ...     y = flambeau.ones(3, device="cuda") + 1
    """
    start()
    try:
        yield
    finally:
        stop()
