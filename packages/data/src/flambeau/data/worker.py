"""Who is reading: what a dataset may ask for in a worker."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class WorkerInfo:
    """What :func:`get_worker_info` tells.

    Attributes:
        id: 0 to ``num_workers - 1``.
        num_workers: of the loader.
        seed: of this worker in this epoch.
        dataset: this process's copy of the dataset (in a thread, the dataset).
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


@dataclass(frozen=True)
class _IterableDatasetStopIteration:
    """The message of a worker of PyTorch that its share of a stream has ended."""

    worker_id: int


@dataclass(frozen=True)
class _ResumeIteration:
    """The message to a worker of PyTorch that another pass begins."""

    seed: int | None = None


class ManagerWatchdog:
    """A worker's look at the process that started it."""

    def __init__(self) -> None:
        self._parent = os.getppid()

    def is_alive(self) -> bool:
        """Return whether that process is still there."""
        return os.getppid() == self._parent


_local = threading.local()
_worker_info: WorkerInfo | None = None  # programs set it in workers that they start themselves


def get_worker_info() -> WorkerInfo | None:
    """Which worker is asking; None outside of workers.

    An IterableDataset reads it to give each worker a share of the stream.

    >>> get_worker_info() is None
    True
    """
    return getattr(_local, "info", _worker_info)


def set_worker_info(info: WorkerInfo) -> None:
    _local.info = info


def _generate_state(base_seed: int, worker_id: int) -> list[int]:
    """Return the four words with which PyTorch's workers seed NumPy's generator; libraries seed theirs alike."""
    words = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return [int(word) for word in np.random.SeedSequence(words).generate_state(4)]


class Introduction:
    """The call of ``worker_init_fn``, once in a worker's life; what it raises is the answer to the first request."""

    def __init__(self, worker: int, worker_init_fn: Callable[[int], None] | None) -> None:
        self._worker = worker
        self._function = worker_init_fn
        self._error: Exception | None = None

    def run(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            try:
                function(self._worker)
            except Exception as error:
                error.add_note("raised by worker_init_fn")
                self._error = error

    def check(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
