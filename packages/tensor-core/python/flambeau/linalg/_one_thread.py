"""Limit NumPy's LAPACK to the calling thread.

The LAPACK library of NumPy has its own threads, one per processor. Waiting threads spin. For small matrices, this costs
more time than the threads save, and it slows down other work. The sums of LAPACK also depend on the number of threads,
but in flambeau a result must not depend on this number.
"""

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

# Names of OpenBLAS's set and get functions: with NumPy's prefix or without, for 64-bit and 32-bit integers.
_NAMES = [
    (f"{prefix}openblas_set_num_threads{suffix}", f"{prefix}openblas_get_num_threads{suffix}")
    for prefix in ("scipy_", "")
    for suffix in ("64_", "")
]


def _find_controls() -> tuple[Callable[[int], object], Callable[[], int]] | None:
    # The lookup also searches the libraries that NumPy's module is linked with, which are already loaded.
    library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    for set_name, get_name in _NAMES:
        if hasattr(library, set_name) and hasattr(library, get_name):
            return getattr(library, set_name), getattr(library, get_name)
    return None


_controls = _find_controls()
_lock = threading.Lock()
_active_calls = 0  # number of active calls: the first call limits the threads, the last call restores their number
_former_thread_count = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Make LAPACK compute in the calling thread during the block. This affects all threads of the process."""
    global _active_calls, _former_thread_count
    if _controls is None:
        yield
        return
    set_threads, get_threads = _controls
    with _lock:
        if _active_calls == 0:
            _former_thread_count = get_threads()
            set_threads(1)
        _active_calls += 1
    try:
        yield
    finally:
        with _lock:
            _active_calls -= 1
            if _active_calls == 0:
                set_threads(_former_thread_count)
