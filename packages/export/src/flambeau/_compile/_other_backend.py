"""Calls of functions by the backend "eager"."""

from __future__ import annotations

import threading


class _OtherBackend(threading.local):
    """Context in which the backend calls a function. A thread may enter it repeatedly."""

    _depth = 0

    def is_calling(self) -> bool:
        """Return True if this thread is in the context."""
        return self._depth > 0

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1


other_backend = _OtherBackend()
