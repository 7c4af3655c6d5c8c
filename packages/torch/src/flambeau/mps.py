"""Apple's graphics: what programs ask before they use it, and that it is not there."""

from __future__ import annotations

from typing import Any, NoReturn


def is_available() -> bool:
    """Whether tensors can live there: False."""
    return False


def device_count() -> int:
    """How many there are: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Seeds its generator; there is none."""


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises: RuntimeError, for there is no such backend."""
    raise RuntimeError("flambeau has no MPS backend.")


synchronize = empty_cache = current_allocated_memory = driver_allocated_memory = recommended_max_memory = _refuse
set_per_process_memory_fraction = get_rng_state = set_rng_state = _refuse
