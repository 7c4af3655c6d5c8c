"""``flambeau.Stream`` and ``flambeau.Event``: device-independent streams and events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

import flambeau
from flambeau import _core

from ._devices import is_available

_T = TypeVar("_T")

_CUDA = 1  # PyTorch's number for the CUDA device type
_NO_EVENTS = "{device} backend doesn't support events."

_gpu_classes: dict[type, type] = {}  # maps Stream and Event to their GPU classes


def for_gpus(named: type) -> Callable[[type[_T]], type[_T]]:
    """Return a decorator that registers a class as the GPU implementation of ``named``."""

    def register(cls: type[_T]) -> type[_T]:
        _gpu_classes[named] = cls
        return cls

    return register


def _is_of_gpu(device: Any, device_type: int | None = None) -> bool:
    """Return True if the arguments name a GPU. An index names a GPU, and None names a GPU if one is available."""
    if device is None:
        return device_type == _CUDA or (device_type is None and is_available())
    return isinstance(device, int) or flambeau.device(device).type == "cuda"


class Stream:
    """A queue of work on a device: a `flambeau.cuda.Stream` on a GPU. On the CPU, work is synchronous.

    Args:
        device: a device or the index of a GPU. None means the GPU if one is available, otherwise the CPU.
        priority: a lower number means a higher priority.
    Raises: RuntimeError if the GPU does not exist.

    >>> flambeau.Stream("cpu").query()
    True
    """

    def __new__(cls, device: Any = None, *args: Any, **kwargs: Any) -> Self:
        if cls is not Stream or not _is_of_gpu(device, kwargs.get("device_type")):
            return super().__new__(cls)
        return object.__new__(_gpu_classes[Stream])

    def __init__(self, device: Any = None, *, priority: int = 0) -> None:
        self.device = flambeau.device("cpu" if device is None else device)
        self.device_index, self.device_type, self.stream_id, self.priority = -1, 0, 0, priority

    def query(self) -> bool:
        """Return True if all work is complete. On the CPU this is always the case."""
        return True

    def synchronize(self) -> None:
        """Wait until all work is complete."""

    def is_capturing(self) -> bool:
        """Return True if a CUDA graph is capturing this stream."""
        return False

    def record_event(self, event: Any = None) -> Any:
        """Record an event on this stream and return it. Raise RuntimeError on the CPU, which has no events."""
        raise RuntimeError(_NO_EVENTS.format(device=self.device.type))

    def wait_event(self, event: Any) -> None:
        """Make future work on this stream wait for an event."""
        event.synchronize()

    def wait_stream(self, stream: Any) -> None:
        """Make future work on this stream wait for the work that is currently queued on another stream."""
        stream.synchronize()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stream):
            return NotImplemented
        return (self.device, self.stream_id) == (other.device, other.stream_id)

    def __hash__(self) -> int:
        return hash((self.device, self.stream_id))

    def __repr__(self) -> str:
        return f"{_core._library_name()}.Stream device_type={self.device.type}, device_index=-1, stream_id=0"


class Event:
    """A marker in a stream: a `flambeau.cuda.Event` on a GPU. The CPU does not support recording events.

    Args:
        device: a device or the index of a GPU. None means the GPU if one is available, otherwise the CPU.
        enable_timing: if True, `elapsed_time` can be used.
        blocking, interprocess: accepted for compatibility with PyTorch. Interprocess events are not supported.

    >>> flambeau.Event("cpu").query()  # nothing to wait for
    True
    """

    def __new__(cls, device: Any = None, *args: Any, **kwargs: Any) -> Self:
        if cls is not Event or not _is_of_gpu(device):
            return super().__new__(cls)
        return object.__new__(_gpu_classes[Event])

    def __init__(
        self, device: Any = None, *, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        self.device: Any = flambeau.device("cpu" if device is None else device)
        self.enable_timing = enable_timing

    @property
    def event_id(self) -> int:
        """The handle of the event, or 0 if it was never recorded."""
        return 0

    def record(self, stream: Any = None) -> None:
        """Record the event on a stream. Raise RuntimeError on the CPU, which does not support events."""
        raise RuntimeError(_NO_EVENTS.format(device=self.device.type))

    def wait(self, stream: Any = None) -> None:
        """Make future work on a stream wait for this event."""

    def query(self) -> bool:
        """Return True if all work before the event is complete, or if the event was never recorded."""
        return True

    def synchronize(self) -> None:
        """Wait until all work before the event is complete."""

    def elapsed_time(self, end_event: Any) -> float:
        """Return the time in milliseconds between this event and another. Both must be complete."""
        check_timed(self, end_event)
        raise ValueError("Both events must be recorded before calculating elapsed time.")

    def __repr__(self) -> str:
        return f"{_core._library_name()}.Event device_type={self.device.type}, device_index=-1, event_id=0"


def check_timed(first: Any, second: Any) -> None:
    """Raise ValueError unless both events were created with ``enable_timing=True``."""
    if not (first.enable_timing and second.enable_timing):
        raise ValueError("Both events must be created with argument 'enable_timing=True'.")


Stream.__module__ = Event.__module__ = "flambeau"
