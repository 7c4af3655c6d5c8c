"""Intel's GPUs: what programs ask before they use one, and that there is none."""

from __future__ import annotations

from typing import Any, NoReturn


def is_available() -> bool:
    """Whether tensors can live there: False."""
    return False


def is_initialized() -> bool:
    """Whether one is in use: False."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether one computes in bfloat16: False."""
    return False


def is_current_stream_capturing() -> bool:
    """Whether a graph of its work is being captured: False."""
    return False


def device_count() -> int:
    """How many there are: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Seeds its generator; there is none."""


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Gives its cached memory back; there is none."""


def memory_allocated(device: Any = None) -> int:
    """Bytes of its memory in use: 0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises: AssertionError, as PyTorch without such a GPU."""
    raise AssertionError("flambeau has no XPU backend.")


synchronize = init = current_device = set_device = current_stream = get_device_name = _refuse
get_device_capability = get_device_properties = get_rng_state = _refuse
