"""NumPy's LAPACK in the calling thread alone.

The library beneath NumPy has threads of its own, as many as there are processors. They wait by spinning, which costs
small matrices more than it gains and slows down everything else that runs; and what they sum depends on how many they
are, where a number of threads must not change a result.
"""

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

# (set, get) as OpenBLAS exports them: in NumPy's wheels, with 64-bit and 32-bit integers, and elsewhere.
_NAMES = [
    (f"{prefix}openblas_set_num_threads{suffix}", f"{prefix}openblas_get_num_threads{suffix}")
    for prefix in ("scipy_", "")
    for suffix in ("64_", "")
]


def _found() -> tuple[Callable[[int], object], Callable[[], int]] | None:
    # Symbols are looked up in what NumPy's module is linked with, too: that is loaded already.
    library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    for set_name, get_name in _NAMES:
        if hasattr(library, set_name) and hasattr(library, get_name):
            return getattr(library, set_name), getattr(library, get_name)
    return None


_controls = _found()
_lock = threading.Lock()
_inside = 0  # the calls that run: the first one sets one thread, the last one sets the former number again
_former = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """While this context runs, in whatever thread, LAPACK computes in the thread that calls it."""
    global _inside, _former
    if _controls is None:
        yield
        return
    set_threads, get_threads = _controls
    with _lock:
        if _inside == 0:
            _former = get_threads()
            set_threads(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                set_threads(_former)
