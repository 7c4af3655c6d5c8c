"""Deprecated spellings of `flambeau.amp` for the CPU. They issue a FutureWarning."""

from __future__ import annotations

import flambeau.amp
from flambeau import _core
from flambeau.amp import _by_device
from flambeau.amp._by_device import warn_of_older_spelling

__all__ = ["GradScaler", "autocast"]


class autocast(flambeau.amp.autocast):
    """Deprecated spelling of ``flambeau.autocast("cpu", ...)``. See `autocast`."""

    def __init__(self, enabled: bool = True, dtype: _core.dtype = _core.bfloat16, cache_enabled: bool = True) -> None:
        warn_of_older_spelling("cpu", "autocast")
        super().__init__("cpu", dtype, enabled, cache_enabled)


class GradScaler(_by_device.GradScaler):
    """Deprecated spelling of ``flambeau.GradScaler("cpu", ...)``. See `GradScaler`."""

    _named_device = "cpu"
