"""Deprecated spellings of `flambeau.amp` for GPUs. They issue a FutureWarning, and a UserWarning without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

import flambeau.amp
from flambeau import _core
from flambeau.amp import _by_device
from flambeau.amp._by_device import warn_of_older_spelling

F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


def amp_definitely_not_available() -> bool:
    """Return True if the process sees no GPU, so that autocast and gradient scaling for GPUs are disabled."""
    return not _core._cuda_device_count()


class autocast(flambeau.amp.autocast):
    """Deprecated spelling of ``flambeau.amp.autocast("cuda", ...)``."""

    def __init__(self, enabled: bool = True, dtype: _core.dtype = _core.float16, cache_enabled: bool = True) -> None:
        warn_of_older_spelling("cuda", "autocast")
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(_by_device.GradScaler):
    """Deprecated spelling of ``flambeau.amp.GradScaler("cuda", ...)``."""

    _named_device = "cuda"


@overload
def custom_fwd(fwd: None = None, *, cast_inputs: _core.dtype | None = None) -> Callable[[F], F]: ...


@overload
def custom_fwd(fwd: F, *, cast_inputs: _core.dtype | None = None) -> F: ...


def custom_fwd(fwd: Callable[..., Any] | None = None, *, cast_inputs: _core.dtype | None = None) -> Any:
    """Call ``flambeau.amp.custom_fwd(device_type="cuda", ...)``. Deprecated spelling."""
    warn_of_older_spelling("cuda", "custom_fwd")
    return flambeau.amp.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: F) -> F:
    """Call ``flambeau.amp.custom_bwd(device_type="cuda")``. Deprecated spelling."""
    warn_of_older_spelling("cuda", "custom_bwd")
    return flambeau.amp.custom_bwd(bwd, device_type="cuda")
