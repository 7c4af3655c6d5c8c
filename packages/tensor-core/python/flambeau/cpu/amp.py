"""Older spellings of `flambeau.amp` for the CPU; they warn of it."""

from __future__ import annotations

import warnings

import flambeau.amp
from flambeau import _core

__all__ = ["GradScaler", "autocast"]


def _deprecated(name: str) -> None:
    warnings.warn(
        f"`flambeau.cpu.amp.{name}(args...)` is deprecated. Please use `flambeau.amp.{name}('cpu', args...)` instead.",
        FutureWarning,
        stacklevel=3,
    )


class autocast(flambeau.amp.autocast):
    """``flambeau.amp.autocast("cpu", ...)``."""

    def __init__(self, enabled: bool = True, dtype: _core.dtype = _core.bfloat16, cache_enabled: bool = True) -> None:
        _deprecated("autocast")
        super().__init__("cpu", dtype, enabled, cache_enabled)


class GradScaler(flambeau.amp.GradScaler):
    """``flambeau.amp.GradScaler("cpu", ...)``."""

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        _deprecated("GradScaler")
        super().__init__("cpu", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
