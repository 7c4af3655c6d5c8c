"""Calls of functions by the backend "eager" and by backends that are functions."""

from __future__ import annotations

import threading


class _OtherBackend(threading.local):
    """Context of a call by such a backend. It may be entered several times in a thread."""

    _depth = 0

    def is_calling(self) -> bool:
        """Return True in the context, for this thread."""
        return self._depth > 0

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1


other_backend = _OtherBackend()
