"""Python's multiprocessing, with queues, pipes and processes that share the memory of tensors.

A tensor that is sent (``queue.put(tensor)`` or an argument of a spawned process) is moved to shared memory. The
receiver gets a tensor that uses the same memory, so changes are visible on both sides. The shared memory is an unnamed
file that is sent as a file descriptor. It is freed when the last process that uses it ends, even after a crash. The
sender must stay alive until the receiver has taken the tensor out of the queue.

>>> import flambeau.multiprocessing as mp
>>> queue = mp.get_context("fork").SimpleQueue()
>>> queue.put(flambeau.ones(2))
>>> queue.get()
tensor([1., 1.])
"""

import multiprocessing
from multiprocessing import *  # noqa: F403

from flambeau import _public_names

from . import reductions
from .spawn import (
    ProcessContext,
    ProcessException,
    ProcessExitedException,
    ProcessRaisedException,
    SpawnContext,
    spawn,
    start_processes,
)

__all__ = [
    *multiprocessing.__all__,
    "ProcessContext",
    "ProcessException",
    "ProcessExitedException",
    "ProcessRaisedException",
    "SpawnContext",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
    "start_processes",
]

reductions.install()


_strategy = "file_descriptor"


def get_all_sharing_strategies() -> set[str]:
    """Return the names of the strategies for sharing memory.

    >>> sorted(fb.multiprocessing.get_all_sharing_strategies())
    ['file_descriptor', 'file_system']
    """
    return {"file_descriptor", "file_system"}


def get_sharing_strategy() -> str:
    """Return the strategy that `set_sharing_strategy` has set (default: ``"file_descriptor"``).

    >>> fb.multiprocessing.get_sharing_strategy()
    'file_descriptor'
    """
    return _strategy


def set_sharing_strategy(new_strategy: str) -> None:
    """Set the strategy for sharing memory. It has no effect: memory is always shared by file descriptors.

    If a process reaches its limit of open files, raise the limit with
    ``resource.setrlimit(resource.RLIMIT_NOFILE, ...)``.

    Raises: ValueError unless ``new_strategy`` is one of `get_all_sharing_strategies`.

    >>> fb.multiprocessing.set_sharing_strategy("file_descriptor")
    """
    global _strategy
    if new_strategy not in get_all_sharing_strategies():
        names = " or ".join(map(repr, sorted(get_all_sharing_strategies())))
        raise ValueError(f"set_sharing_strategy: expected {names}, got {new_strategy!r}")
    _strategy = new_strategy


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
