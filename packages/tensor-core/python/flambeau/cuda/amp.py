"""Older spellings of `flambeau.amp` for GPUs; they warn of it, and of there being none."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import flambeau.amp
from flambeau import _core

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


def _deprecated(name: str) -> None:
    warnings.warn(
        f"`flambeau.cuda.amp.{name}(args...)` is deprecated. Please use `flambeau.amp.{name}('cuda', args...)` "
        "instead.",
        FutureWarning,
        stacklevel=3,
    )


class autocast(flambeau.amp.autocast):
    """``flambeau.amp.autocast("cuda", ...)``."""

    def __init__(self, enabled: bool = True, dtype: _core.dtype = _core.float16, cache_enabled: bool = True) -> None:
        _deprecated("autocast")
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(flambeau.amp.GradScaler):
    """``flambeau.amp.GradScaler("cuda", ...)``."""

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        _deprecated("GradScaler")
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


def custom_fwd(fwd: Callable[..., Any] | None = None, *, cast_inputs: _core.dtype | None = None) -> Any:
    """``flambeau.amp.custom_fwd(device_type="cuda", ...)``."""
    _deprecated("custom_fwd")
    return flambeau.amp.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: Callable[..., Any]) -> Any:
    """``flambeau.amp.custom_bwd(device_type="cuda")``."""
    _deprecated("custom_bwd")
    return flambeau.amp.custom_bwd(bwd, device_type="cuda")
