"""Python's multiprocessing, whose queues, pipes and processes pass tensors by sharing their memory.

A tensor that is sent (``queue.put(tensor)``, an argument of a spawned process) is moved to shared memory, and what
arrives is a tensor over the same memory: both sides see what the other changes. Such memory is a file without a name,
sent as a descriptor; it is gone when the last process that has it ends, however it ends. The sender must live until
what it sent was taken out of the queue.

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


def get_all_sharing_strategies() -> set[str]:
    """The ways in which memory is handed to other processes: ``{"file_descriptor"}``."""
    return {"file_descriptor"}


def get_sharing_strategy() -> str:
    """The way in which memory is handed to other processes: ``"file_descriptor"``."""
    return "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Choose how memory is handed to other processes. Raises ValueError for all but ``"file_descriptor"``."""
    if new_strategy not in get_all_sharing_strategies():
        raise ValueError(
            f"set_sharing_strategy: {new_strategy!r} is not supported; memory is shared by 'file_descriptor'. Where a "
            "process may have too few files open, raise the limit: resource.setrlimit(resource.RLIMIT_NOFILE, ...)"
        )


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
