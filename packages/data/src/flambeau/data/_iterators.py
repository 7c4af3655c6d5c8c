"""Iterators for one pass over a loader, which read in the calling thread or with workers."""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ._fetch import Fetcher
from ._results import End, Failure, Result
from ._state import InitialState

_ANOTHER_PASS = (
    "a later iterator over the DataLoader ended this one: with persistent_workers=True, the workers serve one iterator "
    "at a time"
)

_LONGER = (
    "Length of IterableDataset was reported to be {announced} (when accessing len(dataloader)), but {delivered} "
    "samples have been fetched. For multiprocessing data-loading, this could be caused by not properly configuring the "
    "IterableDataset replica at each worker: use get_worker_info() to give each worker a shard."
)

_FORKED = (
    "this iterator over the DataLoader belongs to the parent process, which created it before the fork: call "
    "iter(loader) in this process"
)


class Workers(Protocol):
    """Interface of worker processes and worker threads."""

    count: int
    posted: int  # number of requests so far, in all passes
    stopped: bool
    seed: int | None  # seed that the workers keep for all passes, or None if each pass has its own seed

    def begin_epoch(self, epoch_seed: int) -> None:
        """Set the seed of the next pass."""

    def start(self) -> None:
        """Start the workers."""

    def post(self, worker: int, indices: Any) -> None:
        """Request a batch from a worker."""

    def dismiss(self) -> None:
        """Tell the workers to end after they have completed all requests."""

    def receive(self, timeout: float | None) -> list[tuple[int, Result]]:
        """Wait for results. Return pairs of the number of a request and its result."""

    def stop(self, at_once: bool = False) -> None:
        """End the workers. If ``at_once``, do not wait until they have finished their batches."""


class Epoch(Iterator[Any]):
    """One pass over a loader.

    Attributes:
        delivered: number of delivered batches, including batches that were delivered before the pass was resumed.
        finished: True after the last batch.
        initial_state: random state at the start of the pass.
        length: function that returns the length of the loader.
        announced: for a stream, the length that ``len(loader)`` returned before the pass, or None.
    """

    delivered = 0
    finished = False
    initial_state: InitialState
    length: Callable[[], int]
    announced: int | None = None

    def __len__(self) -> int:
        return self.length()

    def __next__(self) -> Any:
        try:
            batch = self._next()
        except StopIteration:
            self.finished = True
            raise
        self.delivered += 1
        if self.announced is not None and self.delivered > self.announced:
            warnings.warn(_LONGER.format(announced=self.announced, delivered=self.delivered), stacklevel=2)
        return batch

    def _next(self) -> Any:
        raise NotImplementedError

    @property
    def _num_yielded(self) -> int:
        """Number of delivered batches, under PyTorch's name."""
        return self.delivered

    def supersede(self) -> None:
        """End this pass because a new pass needs its resources. The base class does nothing."""


class SerialEpoch(Epoch):
    """Pass that reads in the calling thread."""

    def __init__(self, fetcher: Fetcher, requests: Iterator[Any], epoch_seed: int) -> None:
        self._requests = requests
        self._fetcher = fetcher
        fetcher.begin(epoch_seed)

    def _next(self) -> Any:
        return self._fetcher(next(self._requests))


class ParallelEpoch(Epoch):
    """Pass whose workers prefetch batches.

    Request ``i`` is sent to worker ``i % workers.count``. If the data set is an `IterableDataset`, a worker whose part
    of it has ended receives no more requests.

    Args:
        workers: worker processes or threads. The pass starts them if they are not running.
        requests: iterator over the requests, one for each batch.
        epoch_seed: seed of the pass.
        ahead: total number of outstanding requests.
        in_order: if True, return batches in the order of the requests; if False, in the order of completion.
        timeout: seconds to wait for a batch; None waits without limit.
        persistent: True if the workers stay alive after the pass.
    """

    def __init__(
        self,
        workers: Workers,
        requests: Iterator[Any],
        epoch_seed: int,
        *,
        ahead: int,
        in_order: bool,
        timeout: float | None,
        persistent: bool,
    ) -> None:
        self._owner = os.getpid()
        self._workers = workers
        self._requests = requests
        self._in_order = in_order
        self._timeout = timeout
        self._persistent = persistent
        self._first = self._due = workers.posted
        self._waiting_for = 0  # number of outstanding responses
        self._responses: dict[int, Result] = {}  # responses that were received but not yet returned
        self._active = list(range(workers.count))
        self._turn = 0
        self._exhausted = False
        self._over = False
        self._superseded = False
        self._finalizer = None if persistent else weakref.finalize(self, workers.stop)
        if self._finalizer is not None:
            self._finalizer.atexit = False  # the workers have their own exit handler, which does not wait for batches
        try:
            workers.begin_epoch(epoch_seed)
            for _ in range(ahead):
                self._send_request()
            workers.start()
        except BaseException:
            self._end(at_once=True)
            raise

    def _send_request(self) -> None:
        """Send the next request if there are more requests."""
        if self._exhausted or not self._active:
            return
        try:
            indices = next(self._requests)
        except StopIteration:
            self._exhausted = True
            if not self._persistent:
                self._workers.dismiss()
            return
        worker = self._active[self._turn]
        self._turn = (self._turn + 1) % len(self._active)
        self._workers.post(worker, indices)
        self._waiting_for += 1

    def _next(self) -> Any:
        """Return the next batch. Raise the error of the worker if the batch has failed."""
        if os.getpid() != self._owner:
            raise RuntimeError(_FORKED)
        while not self._over:
            response = self._next_response()
            if response is None:
                self._end()
                break
            if isinstance(response, End):
                self._remove_worker(response.worker)
            self._send_request()
            if isinstance(response, Failure):
                try:
                    raise response.error
                finally:
                    del response  # avoid a reference cycle, because the traceback refers to this frame
            if not isinstance(response, End):
                return response.content
        raise RuntimeError(_ANOTHER_PASS) if self._superseded else StopIteration

    def _next_response(self) -> Result | None:
        """Return the next response, or None if no more responses are expected."""
        while True:
            if self._in_order and self._due in self._responses:
                self._due += 1
                return self._responses.pop(self._due - 1)
            if not self._in_order and self._responses:
                return self._responses.pop(next(iter(self._responses)))
            if not self._waiting_for:
                return None
            self._receive()

    def _receive(self) -> None:
        try:
            for number, response in self._workers.receive(self._timeout):
                if number >= self._first:  # requests of an earlier, abandoned pass have smaller numbers
                    self._responses[number] = response
                    self._waiting_for -= 1
        except TimeoutError:
            self._end(at_once=True)
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds") from None
        except BaseException:
            self._end(at_once=True)
            raise

    def _remove_worker(self, worker: int) -> None:
        if worker in self._active:
            self._turn -= self._active.index(worker) < self._turn
            self._active.remove(worker)
            self._turn = self._turn % len(self._active) if self._active else 0

    def _end(self, at_once: bool = False) -> None:
        self._over = True
        self._responses.clear()
        if at_once or not self._persistent:
            self._workers.stop(at_once)
        if self._finalizer is not None:
            self._finalizer.detach()

    def _shutdown_workers(self) -> None:
        """End the workers. Programs written for PyTorch call this method."""
        self._end(at_once=True)

    def supersede(self) -> None:
        """End this pass because a new pass uses the workers."""
        if not self._over:
            self._over = self._superseded = True
            self._responses.clear()
