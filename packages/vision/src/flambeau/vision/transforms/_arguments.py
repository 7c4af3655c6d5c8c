"""Checks and conversions of arguments that several transforms use."""

from __future__ import annotations

import numbers
from typing import Any


def pair_of_sizes(size: Any, message: str) -> tuple[int, int]:
    """Return ``(height, width)`` from one number or two numbers.

    Raises: ValueError with ``message`` if there are more than two numbers.
    """
    if isinstance(size, numbers.Number):
        size = (size,)
    if len(size) not in (1, 2):
        raise ValueError(message)
    return int(size[0]), int(size[-1])


def interval(
    value: Any, name: str, center: float = 0.0, bound: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Return an interval: ``(center - value, center + value)`` for one number, or the two numbers of ``value``.

    Raises: TypeError for other values; ValueError if the first number is greater or a number is out of ``bound``.
    """
    if isinstance(value, int | float):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be non negative. Got {value}.")
        low = center - value if bound is None else max(center - value, bound[0])
        value = (low, center + value)
    elif not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name} should be a single number or a list/tuple with length 2. Got {value!r}.")
    low, high = float(value[0]), float(value[1])
    if low > high or (bound is not None and not bound[0] <= low <= high <= bound[1]):
        limits = f" within {bound}" if bound is not None else ""
        raise ValueError(f"{name} values should be in increasing order{limits}, but got {(low, high)}.")
    return low, high


def check_probability(p: Any) -> float:
    """Return the probability as a float. Raises: ValueError if it is not in [0, 1]."""
    if not isinstance(p, int | float) or not 0.0 <= p <= 1.0:
        raise ValueError(f"p should be a number from 0 to 1, got {p!r}")
    return float(p)
