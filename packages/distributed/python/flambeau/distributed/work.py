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

from ._watch import Part
from .errors import DistBackendError
from .stores import seconds

__all__ = ["Work"]

_LATE = (
    "{what} of rank {rank} was not done after {limit:g} s: do all {size} processes of the group make the same calls in "
    "the same order, and are they alive? init_process_group(timeout=...) and wait(timeout=...) set the time"
)

# A wait looks without a pause at first, as most are short. Then it sleeps in between: where processes are more than
# processors, the system runs one that has slept first.
EAGER = 2e-3  # seconds
PAUSE = 50e-6  # seconds

# Memory of works that were given up, kept for as long as the process.
_abandoned: list[Any] = []


class Work:
    """A collective or a message in progress.

    Args:
        what: its name, for errors.
        ready: says whether it is done, and is called again until it is.
        outputs: the tensors that it fills.
        kept: what must live until then.
        watch: called with a work that the program does not wait for, to complete it in the background.
        part: the part of the other ranks, who may end before they play it.
    """

    _arrived = True  # until there is something to wait for

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
        part: Part | None = None,
    ) -> None:
        self._watch, self._part = watch, part
        self._what, self._ready, self._outputs, self._kept = what, ready, list(outputs), kept
        self._rank, self._size, self._timeout = rank, size, timeout
        self._lock = threading.RLock()
        self._finishing: list[Callable[[], Any]] = []
        self._arrived = self._done = False
        self._error: BaseException | None = None

    def finish_with(self, step: Callable[[], Any]) -> Work:
        """Add a step for the thread that waits to run after completion; return this work."""
        self._finishing.append(step)
        return self

    def fills(self, outputs: Sequence[Tensor]) -> Work:
        """Set the tensors that it fills, if they differ from those that were sent; return this work."""
        self._outputs = list(outputs)
        return self

    def leave(self) -> Work:
        """Let it complete in the background, even if the program drops it; return this work."""
        if not self._arrived:
            self._watch(self)
            if self._part is not None:
                self._part.leave(self)
        return self

    def __del__(self) -> None:
        if not self._arrived and not sys.is_finalizing():  # an error came before anyone could wait: memory is in use
            self._watch(self)

    def progress(self) -> bool:
        """Poll for the messages and return whether they have arrived."""
        with self._lock:
            if not self._arrived:
                try:
                    self._arrived = self._ready()
                except Exception as error:
                    self._error, self._arrived = error, True
                if self._part is not None:
                    if self._arrived:
                        self._part.done(self)
                    elif reason := self._part.missing():
                        self._give_up(reason)
            return self._arrived

    def _give_up(self, reason: str) -> None:
        """End with an error. Its memory is kept, as messages of the ranks that live may still arrive there."""
        _abandoned.append(self._kept)
        text = f"{self._what} of rank {self._rank} cannot complete, since {reason}"
        self._error, self._arrived = DistBackendError(text), True

    def is_completed(self) -> bool:
        """Return whether it is complete, so that its tensors can be used."""
        if self.progress():
            self._finish()
        return self._done

    def is_success(self) -> bool:
        """Return whether it completed without an error."""
        return self.is_completed() and self._error is None

    def exception(self) -> BaseException | None:
        """Return the error it ended with, or None."""
        return self._error

    def wait(self, timeout: timedelta | float | None = None) -> bool:
        """Wait until it is complete and return True.

        Args:
            timeout: how long at most; the group's timeout by default.
        Raises: DistBackendError if other processes do not take part in time, or if the messages do not fit.
        """
        begin, limit = time.monotonic(), seconds(timeout or self._timeout)
        while not self.progress():
            passed = time.monotonic() - begin
            if passed < EAGER:
                os.sched_yield()
                continue
            if passed > limit:
                self.leave()  # its tensors are still written to
                raise DistBackendError(_LATE.format(what=self._what, rank=self._rank, size=self._size, limit=limit))
            time.sleep(PAUSE)
        self._finish()
        if self._error is not None:
            raise self._error
        return True

    def synchronize(self) -> None:
        """Wait until it is complete."""
        self.wait()

    def result(self) -> list[Tensor]:
        """Return the tensors that it filled."""
        return self._outputs

    def source_rank(self) -> int:
        """Return the rank that sent the received message."""
        raise RuntimeError(f"{self._what} has no source rank: only a message that was received has one")

    def get_future(self) -> Future[list[Tensor]]:
        """Return a future of the tensors that it fills."""

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
