"""Random numbers from flambeau's default generator, which a loader seeds for each sample."""

from __future__ import annotations

import flambeau as fb


def uniform(low: float = 0.0, high: float = 1.0) -> float:
    """Draw a number between two bounds."""
    return float(fb.empty(1).uniform_(low, high).item())


def integer(low: int, high: int) -> int:
    """Draw an integer from ``low`` to below ``high``."""
    return int(fb.randint(low, high, (1,)).item())


def draw_bool(probability: float) -> bool:
    """Return True with the given probability."""
    return bool(fb.rand(1).item() < probability)
