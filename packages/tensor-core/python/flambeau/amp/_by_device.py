"""Deprecated spellings of `flambeau.amp` that have the device in the module name instead of the first argument."""

from __future__ import annotations

import warnings
from typing import ClassVar

from . import grad_scaler


def warn_of_older_spelling(device: str, name: str) -> None:
    """Issue a FutureWarning at the caller of the deprecated function."""
    warnings.warn(
        f"`flambeau.{device}.amp.{name}(args...)` is deprecated. Please use `flambeau.amp.{name}('{device}', args...)` "
        "instead.",
        FutureWarning,
        stacklevel=3,
    )


class GradScaler(grad_scaler.GradScaler):
    """`flambeau.amp.GradScaler` for the device that a subclass defines in ``_named_device``."""

    _named_device: ClassVar[str]

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        warn_of_older_spelling(self._named_device, "GradScaler")
        super().__init__(self._named_device, init_scale, growth_factor, backoff_factor, growth_interval, enabled)
