"""Stubs of the NVTX functions, which mark ranges for NVIDIA's profilers. The marks are not passed to a profiler."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]

_depth = 0


def range_push(msg: str) -> int:
    """Start a nested range and return its depth, which is 0 for the outermost range."""
    global _depth
    _depth += 1
    return _depth - 1


def range_pop() -> int:
    """End the innermost range. Return the depth of that range, or -1 if no range is active."""
    global _depth
    _depth = max(_depth - 1, -1)
    left, _depth = _depth, max(_depth, 0)
    return left


def range_start(msg: str) -> int:
    """Start a range that `range_end` ends. Return its identifier, which is always 0."""
    return 0


def range_end(range_id: int) -> None:
    """End a range."""


def mark(msg: str) -> None:
    """Mark a point in time."""


@contextlib.contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """Mark the block as a range. ``msg`` is formatted with the other arguments."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
