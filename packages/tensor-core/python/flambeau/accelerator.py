"""The machine's accelerator, whichever it is: there is none that tensors can live on.

What asks about it says so; what would use it raises RuntimeError.
"""

from __future__ import annotations

from typing import Any, NoReturn

from flambeau import _core

_NONE = "Cannot access accelerator device when none is available."


def is_available() -> bool:
    """Whether there is one: False."""
    return False


def current_accelerator(check_available: bool = False) -> _core.device | None:
    """The accelerator's device: None."""
    return None


def device_count() -> int:
    """How many there are: 0."""
    return 0


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises: RuntimeError, for there is no accelerator."""
    raise RuntimeError(_NONE)


synchronize = empty_cache = current_device_index = set_device_index = current_stream = set_stream = _refuse
memory_allocated = max_memory_allocated = memory_reserved = max_memory_reserved = memory_stats = _refuse
reset_peak_memory_stats = reset_accumulated_memory_stats = get_memory_info = get_device_capability = _refuse
