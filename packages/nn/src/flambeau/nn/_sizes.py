"""Sizes of images and windows, given as one number or as (height, width)."""

from __future__ import annotations

from collections.abc import Iterable

Size2d = int | tuple[int, int]


def pair(size: int | Iterable[int]) -> tuple[int, ...]:
    """Return ``size`` as a tuple: ``3`` becomes ``(3, 3)``."""
    return tuple(size) if isinstance(size, Iterable) else (size, size)
