"""Conversion of sizes (one number, or one number for each dimension), and formatting of options for ``repr``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

Size = int | tuple[int, ...]
Size1d = int | tuple[int]
Size2d = int | tuple[int, int]
Size3d = int | tuple[int, int, int]


def options_of(module: Any, *names: str) -> str:
    """Format a layer's options for ``repr``: ``name=value``, separated by commas."""
    return ", ".join(f"{name}={getattr(module, name)}" for name in names)


def repeated(size: Any, count: int) -> tuple[Any, ...]:
    """Return ``size`` as a tuple: ``3`` becomes ``(3, 3)`` for a ``count`` of 2; iterables keep their length."""
    return tuple(size) if isinstance(size, Iterable) else tuple(repeat(size, count))


def _ntuple(count: int, name: str = "parse") -> Callable[[Any], tuple[Any, ...]]:
    def parse(size: Any) -> tuple[Any, ...]:
        return repeated(size, count)

    parse.__name__ = name
    return parse


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


def _reverse_repeat_tuple(sizes: Sequence[int], times: int) -> tuple[int, ...]:
    """Repeat each size ``times`` times, in reverse order, as `functional.pad` expects a symmetric padding."""
    return tuple(size for size in reversed(sizes) for _ in range(times))


def _list_with_default(out_size: int | Sequence[int | None], defaults: Sequence[int]) -> int | list[int]:
    """Replace each None in ``out_size`` with the default at the same position, counted from the end."""
    if isinstance(out_size, int):
        return out_size
    if len(defaults) <= len(out_size):
        raise ValueError(f"Input dimension should be at least {len(out_size) + 1}, got {len(defaults)}")
    last = defaults[-len(out_size) :]
    return [default if size is None else size for size, default in zip(out_size, last, strict=True)]
