"""PyTorch's module for Intel GPUs, which flambeau does not support."""

from __future__ import annotations

from typing import Any, NoReturn


def is_available() -> bool:
    """Return False: flambeau does not support Intel GPUs."""
    return False


def is_initialized() -> bool:
    """Return False: flambeau does not support Intel GPUs."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Return False: flambeau does not support Intel GPUs."""
    return False


def is_current_stream_capturing() -> bool:
    """Return False: flambeau does not support Intel GPUs."""
    return False


def device_count() -> int:
    """Return 0: flambeau does not support Intel GPUs."""
    return 0


def manual_seed(seed: int) -> None:
    """Do nothing: there is no generator to seed."""


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Do nothing: there is no cached memory."""


def memory_allocated(device: Any = None) -> int:
    """Return 0: flambeau does not support Intel GPUs."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def _reject(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise AssertionError, as PyTorch does without an Intel GPU."""
    raise AssertionError("flambeau has no XPU backend.")


synchronize = init = current_device = set_device = current_stream = get_device_name = _reject
get_device_capability = get_device_properties = get_rng_state = _reject
