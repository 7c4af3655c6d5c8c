"""Queue of collectives that start in the order of their calls, each after preparatory steps."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

__all__ = ["InOrder", "Steps"]

# Generator of the preparatory steps of a collective. It yields requests (with ``Test()``) that must complete before the
# next step, and returns the request of the collective itself.
Steps = Generator[Any, None, Any]


class _QueuedCollective:
    """Collective that has not started and waits until the request ``pending`` is complete."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.request: Any = None
        self.error: Exception | None = None
        self.pending = next(steps)

    def begin(self) -> bool:
        """Run the steps that are possible without waiting. Return True if the collective has started or failed."""
        try:
            while self.pending.Test():
                self.pending = next(self.steps)
        except StopIteration as end:
            self.request = end.value
        except Exception as error:
            self.error = error
        return self.request is not None or self.error is not None


class InOrder:
    """Queue of collectives. All ranks start them in the order of the calls, as MPI requires."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[_QueuedCollective] = deque()

    def add(self, steps: Steps) -> Callable[[], bool]:
        """Run the first step of a collective and add it to the queue.

        Returns: a function that makes progress and returns True when the collective is complete. It raises the
            exceptions of the steps.
        """
        with self._lock:
            turn = _QueuedCollective(steps)
            self._waiting.append(turn)

        def ready() -> bool:
            if turn.request is None and turn.error is None:
                self._advance()
            if turn.error is not None:
                raise turn.error
            return turn.request is not None and turn.request.Test()

        return ready

    def _advance(self) -> None:
        with self._lock:
            while self._waiting and self._waiting[0].begin():
                self._waiting.popleft()
