"""PyTorch's module for Apple GPUs, which flambeau does not support."""

from __future__ import annotations

from typing import Any, NoReturn


def is_available() -> bool:
    """Return False: flambeau does not support Apple GPUs."""
    return False


def device_count() -> int:
    """Return 0: flambeau does not support Apple GPUs."""
    return 0


def manual_seed(seed: int) -> None:
    """Do nothing: there is no generator to seed."""


def _reject(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise RuntimeError, because flambeau does not support Apple GPUs."""
    raise RuntimeError("flambeau has no MPS backend.")


synchronize = empty_cache = current_allocated_memory = driver_allocated_memory = recommended_max_memory = _reject
set_per_process_memory_fraction = get_rng_state = set_rng_state = _reject
