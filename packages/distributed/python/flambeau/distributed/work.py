"""Handles of collectives and messages in progress."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from flambeau import Tensor
from flambeau.futures import Awaited, Future

from ._watch import Participation
from .errors import DistBackendError
from .stores import seconds

__all__ = ["Work"]

_TIMED_OUT = (
    "{what} of rank {rank} timed out after {limit:g} s: do all {size} processes of the group make the same calls in "
    "the same order, and are they running? init_process_group(timeout=...) and wait(timeout=...) set the time"
)

# A wait first polls without pauses, since most waits are short. After EAGER it sleeps between polls: if there are more
# processes than processors, the scheduler prefers processes that have slept.
EAGER = 2e-3  # seconds
PAUSE = 50e-6  # seconds

# Memory of failed works, kept until the process ends, because messages may still arrive in it.
_abandoned: list[Any] = []


class Work:
    """Handle of a collective or a message in progress.

    Args:
        what: name of the operation, for errors.
        ready: function that returns True if the operation is complete. It is called repeatedly until then.
        outputs: tensors that receive the results.
        kept: objects that are kept alive until the operation is complete.
        watch: function that completes the work in the background, if no thread waits for it.
        part: participation of the other ranks, which may end before they take part.

    >>> total = fb.ones(2)
    >>> work = flambeau.distributed.all_reduce(total, async_op=True)  # a group of one process
    >>> work.wait(), total
    (True, tensor([1., 1.]))
    """

    _arrived = True  # for `__del__`, if the constructor fails

    def __init__(
        self,
        what: str,
        ready: Callable[[], bool],
        outputs: Sequence[Tensor] = (),
        kept: Any = None,
        *,
        rank: int = 0,
        size: int = 1,
        timeout: timedelta | float | None = None,
        watch: Callable[[Work], Any] = lambda work: None,
        part: Participation | None = None,
    ) -> None:
        self._watch, self._part = watch, part
        self._what, self._ready, self._outputs, self._kept = what, ready, list(outputs), kept
        self._rank, self._size, self._timeout = rank, size, timeout
        self._lock = threading.RLock()
        self._finishing: list[Callable[[], Any]] = []
        self._arrived = self._done = False
        self._error: BaseException | None = None

    def finish_with(self, step: Callable[[], Any]) -> Work:
        """Add a step that the waiting thread runs after completion. Return this work."""
        self._finishing.append(step)
        return self

    def fills(self, outputs: Sequence[Tensor]) -> Work:
        """Set the tensors that `result` returns, and return this work."""
        self._outputs = list(outputs)
        return self

    def complete_in_background(self) -> Work:
        """Complete the work in the background, even if the program keeps no reference to it. Return this work."""
        if not self._arrived:
            self._watch(self)
            if self._part is not None:
                self._part.continue_in_background(self)
        return self

    def __del__(self) -> None:
        if not self._arrived and not sys.is_finalizing():  # messages still use the memory, so complete the work
            self._watch(self)

    def progress(self) -> bool:
        """Poll the operation once, and return whether it has completed or failed."""
        with self._lock:
            if not self._arrived:
                try:
                    self._arrived = self._ready()
                except Exception as error:
                    self._error, self._arrived = error, True
                if self._part is not None:
                    if self._arrived:
                        self._part.done(self)
                    elif reason := self._part.failure_reason():
                        self._give_up(reason)
            return self._arrived

    def _give_up(self, reason: str) -> None:
        """End the work with an error. Keep its memory, because messages from other ranks may still be written to it."""
        _abandoned.append(self._kept)
        text = f"{self._what} of rank {self._rank} cannot complete, because {reason}"
        self._error, self._arrived = DistBackendError(text), True

    def is_completed(self) -> bool:
        """Return True if the operation is complete, so that its tensors can be used."""
        if self.progress():
            self._finish()
        return self._done

    def is_success(self) -> bool:
        """Return True if the operation is complete without an error."""
        return self.is_completed() and self._error is None

    def exception(self) -> BaseException | None:
        """Return the error that ended the operation, or None."""
        return self._error

    def wait(self, timeout: timedelta | float | None = None) -> bool:
        """Wait until the operation is complete and return True.

        Args:
            timeout: maximum time to wait (default: the group's timeout).
        Raises: DistBackendError if other processes do not take part in time, or if the sizes of messages differ.
        """
        begin, limit = time.monotonic(), seconds(timeout or self._timeout)
        while not self.progress():
            passed = time.monotonic() - begin
            if passed < EAGER:
                os.sched_yield()
                continue
            if passed > limit:
                self.complete_in_background()  # the operation may still write to its tensors, so keep them alive
                raise DistBackendError(
                    _TIMED_OUT.format(what=self._what, rank=self._rank, size=self._size, limit=limit)
                )
            time.sleep(PAUSE)
        self._finish()
        if self._error is not None:
            raise self._error
        return True

    def synchronize(self) -> None:
        """Wait until the operation is complete."""
        self.wait()

    def result(self) -> list[Tensor]:
        """Return the tensors that received the results."""
        return self._outputs

    def source_rank(self) -> int:
        """Return the rank that sent the received message."""
        raise RuntimeError(f"{self._what} has no source rank: only recv() and irecv() have one")

    def get_future(self) -> Future[list[Tensor]]:
        """Return a future of the tensors that receive the results."""

        def obtain() -> list[Tensor]:
            self.wait()
            return self._outputs

        return Awaited(self.is_completed, obtain)

    def _finish(self) -> None:
        with self._lock:
            if self._done:
                return
            self._kept = None
            if self._error is None:
                try:
                    for step in self._finishing:
                        step()
                except Exception as error:
                    self._error = error
            self._finishing.clear()
            self._done = True
