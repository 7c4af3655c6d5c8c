"""Checks of the sizes that constructors of layers take."""

from __future__ import annotations

from typing import Any

from flambeau import typename

from ._inputs import check_no_input


def check_sizes(layer: object, **sizes: Any) -> None:
    """Raise TypeError for the first size that is not an int."""
    check_no_input(layer, **sizes)
    for name, size in sizes.items():
        if type(size) is not int and not hasattr(size, "__index__"):
            hint = "; a // b divides ints without a remainder" if isinstance(size, float) else ""
            raise TypeError(
                f"{type(layer).__name__}: {name} must be an int, got {size!r} of type {typename(size)}{hint}"
            )
