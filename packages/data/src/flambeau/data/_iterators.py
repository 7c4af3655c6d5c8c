"""Passes over a loader: in this thread, or with workers."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ._fetch import Fetcher
from ._results import End, Failure, Result
from ._state import Beginning

_ANOTHER_PASS = (
    "this pass over the DataLoader was ended by the one begun after it: with persistent_workers=True the workers make "
    "one pass at a time"
)

_FORKED = "this pass over the DataLoader belongs to the process that this one was forked from"


class Workers(Protocol):
    """What a parallel pass asks of processes and of threads."""

    count: int
    posted: int  # requests so far, in all passes
    stopped: bool
    seed: int | None  # with which the workers draw in all passes, if they do

    def begin_epoch(self, epoch_seed: int) -> None: ...
    def start(self) -> None: ...
    def post(self, worker: int, indices: Any) -> None: ...
    def dismiss(self) -> None: ...
    def receive(self, timeout: float | None) -> list[tuple[int, Result]]: ...
    def stop(self, at_once: bool = False) -> None: ...


class Epoch(Iterator[Any]):
    """One pass over a loader.

    Attributes:
        delivered: how many batches it has given, those before it was resumed included.
        finished: whether it has given all.
        beginning: to begin it again.
        length: of the loader.
    """

    delivered = 0
    finished = False
    beginning: Beginning
    length: Callable[[], int]

    def __len__(self) -> int:
        return self.length()

    def __next__(self) -> Any:
        try:
            batch = self._next()
        except StopIteration:
            self.finished = True
            raise
        self.delivered += 1
        return batch

    def _next(self) -> Any:
        raise NotImplementedError

    def supersede(self) -> None:
        """Another pass takes over what this one reads with: nothing that two passes could not share."""


class SerialEpoch(Epoch):
    """Reads in the calling thread."""

    def __init__(self, fetcher: Fetcher, requests: Iterator[Any], epoch_seed: int) -> None:
        self._requests = requests
        self._fetcher = fetcher
        fetcher.begin(epoch_seed)

    def _next(self) -> Any:
        return self._fetcher(next(self._requests))


class ParallelEpoch(Epoch):
    """Reads in workers, ahead of the program.

    Request ``i`` goes to worker ``i % n``, leaving out those whose stream has ended.

    Args:
        workers: processes or threads, started or not.
        requests: what to fetch, one item a batch.
        ahead: requests under way in all.
        in_order: whether batches come in the order of the requests, or as they are done.
        timeout: seconds to wait for a batch; None waits for ever.
        persistent: whether the workers outlive the pass.
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
        self._waiting_for = 0  # answers
        self._answers: dict[int, Result] = {}  # that came before their turn
        self._active = list(range(workers.count))
        self._turn = 0
        self._exhausted = False
        self._over = False
        self._superseded = False
        self._finalizer = None if persistent else weakref.finalize(self, workers.stop)
        if self._finalizer is not None:
            self._finalizer.atexit = False  # the workers see to that themselves, without patience
        try:
            workers.begin_epoch(epoch_seed)
            for _ in range(ahead):
                self._post()
            workers.start()
        except BaseException:
            self._end(at_once=True)
            raise

    def _post(self) -> None:
        """Ask for one more batch, if there is one more to ask for."""
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
        if os.getpid() != self._owner:
            raise RuntimeError(_FORKED)
        while not self._over:
            answer = self._take()
            if answer is None:
                self._end()
                break
            if isinstance(answer, End):
                self._retire(answer.worker)
            self._post()
            if isinstance(answer, Failure):
                try:
                    raise answer.error
                finally:
                    del answer  # which its traceback would hold for as long as the other way round
            if not isinstance(answer, End):
                return answer.content
        raise RuntimeError(_ANOTHER_PASS) if self._superseded else StopIteration

    def _take(self) -> Result | None:
        """The next answer; None where no more are to come."""
        while True:
            if self._in_order and self._due in self._answers:
                self._due += 1
                return self._answers.pop(self._due - 1)
            if not self._in_order and self._answers:
                return self._answers.pop(next(iter(self._answers)))
            if not self._waiting_for:
                return None
            self._receive()

    def _receive(self) -> None:
        try:
            for number, answer in self._workers.receive(self._timeout):
                if number >= self._first:  # else it was asked for by a pass that was left early
                    self._answers[number] = answer
                    self._waiting_for -= 1
        except TimeoutError:
            self._end(at_once=True)
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds") from None
        except BaseException:
            self._end(at_once=True)
            raise

    def _retire(self, worker: int) -> None:
        if worker in self._active:
            self._turn -= self._active.index(worker) < self._turn
            self._active.remove(worker)
            self._turn = self._turn % len(self._active) if self._active else 0

    def _end(self, at_once: bool = False) -> None:
        self._over = True
        self._answers.clear()
        if at_once or not self._persistent:
            self._workers.stop(at_once)
        if self._finalizer is not None:
            self._finalizer.detach()

    def supersede(self) -> None:
        """Another pass takes the workers over."""
        if not self._over:
            self._over = self._superseded = True
            self._answers.clear()
