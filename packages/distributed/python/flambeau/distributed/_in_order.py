"""Queue of collectives that begin in the order of their calls, each after preparatory steps."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

__all__ = ["InOrder", "Steps"]

# Yields requests (with ``Test()``) that must complete before it goes on, and returns the collective's own request.
Steps = Generator[Any, None, Any]


class _Turn:
    """A collective that has not begun: the step that it waits for."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.request: Any = None
        self.error: Exception | None = None
        self.pending = next(steps)

    def begin(self) -> bool:
        """Take the steps that are possible now. Returns: whether the collective has begun, or failed."""
        try:
            while self.pending.Test():
                self.pending = next(self.steps)
        except StopIteration as end:
            self.request = end.value
        except Exception as error:
            self.error = error
        return self.request is not None or self.error is not None


class InOrder:
    """Queue of collectives. All ranks begin them in the same order, as MPI demands, also where steps take time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[_Turn] = deque()

    def add(self, steps: Steps) -> Callable[[], bool]:
        """Take the first step of a collective. Returns: a function that makes progress and returns whether it is done.

        That function raises what a step raises.
        """
        with self._lock:
            turn = _Turn(steps)
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
