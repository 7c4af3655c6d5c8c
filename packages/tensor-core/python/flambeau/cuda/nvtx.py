"""Marks for NVIDIA's profilers: taken and not passed on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]

_depth = 0


def range_push(msg: str) -> int:
    """Begins a range inside of the last; how many there were around it."""
    global _depth
    _depth += 1
    return _depth - 1


def range_pop() -> int:
    """Ends the last range; how many there are around it, -1 if none was begun."""
    global _depth
    _depth = max(_depth - 1, -1)
    left, _depth = _depth, max(_depth, 0)
    return left


def range_start(msg: str) -> int:
    """Begins a range that `range_end` ends; its number."""
    return 0


def range_end(range_id: int) -> None:
    """Ends a range."""


def mark(msg: str) -> None:
    """Marks a point in time."""


@contextlib.contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """A range around a block; ``msg`` is formatted with the other arguments."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
