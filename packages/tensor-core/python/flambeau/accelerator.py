"""The machine's accelerator, whichever it is: its GPUs, where there are any.

What asks about it works without one, too; what would use it raises RuntimeError.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Self

from flambeau import _core, cuda
from flambeau.cuda import Stream

_NONE = "Cannot access accelerator device when none is available."


def is_available() -> bool:
    """Whether there is one."""
    return cuda.is_available()


def current_accelerator(check_available: bool = False) -> _core.device | None:
    """The accelerator's type as a device, None where there is none."""
    return _core.device("cuda") if cuda.is_available() else None


def device_count() -> int:
    """How many there are."""
    return cuda.device_count()


def _demand() -> None:
    if not cuda.is_available():
        raise RuntimeError(_NONE)


def current_device_index() -> int:
    """The number of this thread's."""
    _demand()
    return cuda.current_device()


def set_device_index(device: Any, /) -> None:
    """Chooses this thread's."""
    _demand()
    cuda.set_device(device)


current_device_idx, set_device_idx = current_device_index, set_device_index


class device_index:
    """A block in which another one is this thread's; None changes nothing."""

    def __init__(self, device: int | None, /) -> None:
        _demand()
        self._device = cuda.device(device)

    def __enter__(self) -> Self:
        self._device.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._device.__exit__(*error)


def current_stream(device: Any = None, /) -> Stream:
    """The stream that this thread's work goes to."""
    _demand()
    return cuda.current_stream(device)


def set_stream(stream: Stream) -> None:
    """Chooses the stream that this thread's work goes to."""
    _demand()
    cuda.set_stream(stream)


def synchronize(device: Any = None, /) -> None:
    """Waits until all work is done."""
    _demand()
    cuda.synchronize(device)


def empty_cache() -> None:
    """Gives memory that is kept for reuse back."""
    _demand()
    cuda.empty_cache()


def memory_allocated(device_index: Any = None, /) -> int:
    """Bytes that tensors take."""
    _demand()
    return cuda.memory_allocated(device_index)


def max_memory_allocated(device_index: Any = None, /) -> int:
    """The most that `memory_allocated` has been."""
    _demand()
    return cuda.max_memory_allocated(device_index)


def memory_reserved(device_index: Any = None, /) -> int:
    """Bytes in use or kept for reuse."""
    _demand()
    return cuda.memory_reserved(device_index)


def max_memory_reserved(device_index: Any = None, /) -> int:
    """The most that `memory_reserved` has been."""
    _demand()
    return cuda.max_memory_reserved(device_index)


def memory_stats(device_index: Any = None, /) -> OrderedDict[str, Any]:
    """See ``flambeau.cuda.memory_stats``."""
    _demand()
    return cuda.memory_stats(device_index)


def reset_peak_memory_stats(device_index: Any = None, /) -> None:
    """Lets the largest use begin again with the present one."""
    _demand()
    cuda.reset_peak_memory_stats(device_index)


reset_accumulated_memory_stats = reset_peak_memory_stats


def get_memory_info(device_index: Any = None, /) -> tuple[int, int]:
    """Bytes that are free, and all."""
    _demand()
    return cuda.mem_get_info(device_index)


def get_device_capability(device: Any = None, /) -> dict[str, Any]:
    """What it can do: ``supported_dtypes``, which are all."""
    _demand()
    cuda.get_device_capability(device)
    return {"supported_dtypes": {value for value in vars(_core).values() if isinstance(value, _core.dtype)}}
