"""Functions for the accelerator of this machine. The only supported accelerators are GPUs.

`is_available`, `current_accelerator` and `device_count` also work without an accelerator. All other functions raise
RuntimeError if no accelerator is available.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Self

from flambeau import _core, cuda
from flambeau.cuda import Stream

_NONE = "Cannot access accelerator device when none is available."


def is_available() -> bool:
    """Return True if an accelerator is available."""
    return cuda.is_available()


def current_accelerator(check_available: bool = False) -> _core.device | None:
    """Return the type of the accelerator as a device, or None if no accelerator is available."""
    return _core.device("cuda") if cuda.is_available() else None


def device_count() -> int:
    """Return the number of accelerator devices."""
    return cuda.device_count()


def _require_accelerator() -> None:
    if not cuda.is_available():
        raise RuntimeError(_NONE)


def current_device_index() -> int:
    """Return the index of this thread's current device."""
    _require_accelerator()
    return cuda.current_device()


def set_device_index(device: Any, /) -> None:
    """Set this thread's current device."""
    _require_accelerator()
    cuda.set_device(device)


current_device_idx, set_device_idx = current_device_index, set_device_index


class device_index:
    """Context manager that changes this thread's current device. None changes nothing."""

    def __init__(self, device: int | None, /) -> None:
        _require_accelerator()
        self._device = cuda.device(device)

    def __enter__(self) -> Self:
        self._device.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._device.__exit__(*error)


def current_stream(device: Any = None, /) -> Stream:
    """Return the stream that this thread's work is submitted to."""
    _require_accelerator()
    return cuda.current_stream(device)


def set_stream(stream: Stream) -> None:
    """Set the stream that this thread's work is submitted to."""
    _require_accelerator()
    cuda.set_stream(stream)


def synchronize(device: Any = None, /) -> None:
    """Wait until all work on a device is complete."""
    _require_accelerator()
    cuda.synchronize(device)


def empty_cache() -> None:
    """Release cached memory to the driver."""
    _require_accelerator()
    cuda.empty_cache()


def memory_allocated(device_index: Any = None, /) -> int:
    """Return the number of bytes that tensors occupy."""
    _require_accelerator()
    return cuda.memory_allocated(device_index)


def max_memory_allocated(device_index: Any = None, /) -> int:
    """Return the largest value that `memory_allocated` has reached."""
    _require_accelerator()
    return cuda.max_memory_allocated(device_index)


def memory_reserved(device_index: Any = None, /) -> int:
    """Return the number of bytes in use or cached for reuse."""
    _require_accelerator()
    return cuda.memory_reserved(device_index)


def max_memory_reserved(device_index: Any = None, /) -> int:
    """Return the largest value that `memory_reserved` has reached."""
    _require_accelerator()
    return cuda.max_memory_reserved(device_index)


def memory_stats(device_index: Any = None, /) -> OrderedDict[str, Any]:
    """Return the statistics of the memory allocator. See ``flambeau.cuda.memory_stats``."""
    _require_accelerator()
    return cuda.memory_stats(device_index)


def reset_peak_memory_stats(device_index: Any = None, /) -> None:
    """Reset the peak values of the memory statistics to the current values."""
    _require_accelerator()
    cuda.reset_peak_memory_stats(device_index)


reset_accumulated_memory_stats = reset_peak_memory_stats


def get_memory_info(device_index: Any = None, /) -> tuple[int, int]:
    """Return the number of free bytes and the total number of bytes."""
    _require_accelerator()
    return cuda.mem_get_info(device_index)


def get_device_capability(device: Any = None, /) -> dict[str, Any]:
    """Return the capabilities of a device: ``supported_dtypes`` is the set of all dtypes."""
    _require_accelerator()
    cuda.get_device_capability(device)
    return {"supported_dtypes": {value for value in vars(_core).values() if isinstance(value, _core.dtype)}}
