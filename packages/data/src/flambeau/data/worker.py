"""Information about the worker that reads a dataset."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class WorkerInfo:
    """Description of a worker, returned by :func:`get_worker_info`.

    Attributes:
        id: number of the worker, from 0 to ``num_workers - 1``.
        num_workers: number of workers of the loader.
        seed: seed of this worker in this epoch.
        dataset: the worker process's copy of the dataset; in a worker thread, the dataset itself.

    >>> from flambeau.data import DataLoader, IterableDataset, get_worker_info
    >>> class Shards(IterableDataset):
    ...     def __iter__(self):
    ...         info = get_worker_info()
    ...         return iter(range(info.id, 6, info.num_workers))
    >>> [batch.tolist() for batch in DataLoader(Shards(), batch_size=3, num_workers=2)]
    [[0, 2, 4], [1, 3, 5]]
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


@dataclass(frozen=True)
class _IterableDatasetStopIteration:
    """Message of PyTorch's workers: the shard of the stream has ended."""

    worker_id: int


@dataclass(frozen=True)
class _ResumeIteration:
    """Message to PyTorch's workers: another pass begins."""

    seed: int | None = None


class ManagerWatchdog:
    """Object with which a worker checks that its parent process is alive."""

    def __init__(self) -> None:
        self._parent = os.getppid()

    def is_alive(self) -> bool:
        """Return True if the parent process is alive."""
        return os.getppid() == self._parent


_local = threading.local()
_worker_info: WorkerInfo | None = None  # programs set this in workers that they start themselves


def get_worker_info() -> WorkerInfo | None:
    """Return the description of the worker that calls this function, or None outside workers.

    An IterableDataset calls this function to select the shard of the worker.

    >>> get_worker_info() is None
    True
    """
    return getattr(_local, "info", _worker_info)


def set_worker_info(info: WorkerInfo) -> None:
    """Set the result of `get_worker_info` in this thread."""
    _local.info = info


def _generate_state(base_seed: int, worker_id: int) -> list[int]:
    """Return the four words with which PyTorch's workers seed NumPy's generator. Other libraries also use them."""
    words = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return [int(word) for word in np.random.SeedSequence(words).generate_state(4)]


class Introduction:
    """Wrapper that calls ``worker_init_fn`` once in a worker. Its exception is the response to the first request."""

    def __init__(self, worker: int, worker_init_fn: Callable[[int], None] | None) -> None:
        self._worker = worker
        self._function = worker_init_fn
        self._error: Exception | None = None

    def run(self) -> None:
        """Call ``worker_init_fn`` if this is the first call. Keep its exception for `check`."""
        function, self._function = self._function, None
        if function is not None:
            try:
                function(self._worker)
            except Exception as error:
                error.add_note("raised by worker_init_fn")
                self._error = error

    def check(self) -> None:
        """Raise the exception of ``worker_init_fn`` if it raised one."""
        error, self._error = self._error, None
        if error is not None:
            raise error
