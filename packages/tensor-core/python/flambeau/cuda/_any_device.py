"""``flambeau.Stream`` and ``flambeau.Event``: streams and events of whichever device a program uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

import flambeau
from flambeau import _core

from ._devices import is_available

_T = TypeVar("_T")

_CUDA = 1  # the number of this type of device in PyTorch
_NO_EVENTS = "{device} backend doesn't support events."

_of_gpus: dict[type, type] = {}  # by the class that a program names


def for_gpus(named: type) -> Callable[[type[_T]], type[_T]]:
    """The decorated class is what a program gets that names ``named`` and a GPU."""

    def register(cls: type[_T]) -> type[_T]:
        _of_gpus[named] = cls
        return cls

    return register


def _is_of_gpu(device: Any, device_type: int | None = None) -> bool:
    """Whether this names a GPU; None does where there is one, and so does a number."""
    if device is None:
        return device_type == _CUDA or (device_type is None and is_available())
    return isinstance(device, int) or flambeau.device(device).type == "cuda"


class Stream:
    """The order in which a device works: on a GPU a `flambeau.cuda.Stream`, on the CPU the program's own.

    Args:
        device: the device, or the number of a GPU; the accelerator, where there is one, if None.
        priority: lower numbers first.
    Raises: RuntimeError where there is no such GPU.

    >>> flambeau.Stream("cpu").query()
    True
    """

    def __new__(cls, device: Any = None, *args: Any, **kwargs: Any) -> Self:
        if cls is not Stream or not _is_of_gpu(device, kwargs.get("device_type")):
            return super().__new__(cls)
        return object.__new__(_of_gpus[Stream])

    def __init__(self, device: Any = None, *, priority: int = 0) -> None:
        self.device = flambeau.device("cpu" if device is None else device)
        self.device_index, self.device_type, self.stream_id, self.priority = -1, 0, 0, priority

    def query(self) -> bool:
        """Whether all of its work is done: it is when an operator of the CPU returns."""
        return True

    def synchronize(self) -> None:
        """Waits until all of its work is done."""

    def is_capturing(self) -> bool:
        """Whether its work is being noted for a graph."""
        return False

    def record_event(self, event: Any = None) -> Any:
        """Puts an event behind the work so far, and returns it. RuntimeError on the CPU, which has none."""
        raise RuntimeError(_NO_EVENTS.format(device=self.device.type))

    def wait_event(self, event: Any) -> None:
        """Lets the work from now on wait for an event."""
        event.synchronize()

    def wait_stream(self, stream: Any) -> None:
        """Lets the work from now on wait for what another stream has to do so far."""
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
    """A point in a stream's work: on a GPU a `flambeau.cuda.Event`; the CPU has none to record.

    Args:
        device: the device, or the number of a GPU; the accelerator, where there is one, if None.
        enable_timing: whether ``elapsed_time`` is to be asked.
        blocking, interprocess: as PyTorch has them; events of several processes are not supported.

    >>> flambeau.Event("cpu").query()  # nothing to wait for
    True
    """

    def __new__(cls, device: Any = None, *args: Any, **kwargs: Any) -> Self:
        if cls is not Event or not _is_of_gpu(device):
            return super().__new__(cls)
        return object.__new__(_of_gpus[Event])

    def __init__(
        self, device: Any = None, *, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        self.device: Any = flambeau.device("cpu" if device is None else device)
        self.enable_timing = enable_timing

    @property
    def event_id(self) -> int:
        """The number that stands for it; 0 for one that was never recorded."""
        return 0

    def record(self, stream: Any = None) -> None:
        """Moves it behind the work that a stream has so far. RuntimeError on the CPU, which has none."""
        raise RuntimeError(_NO_EVENTS.format(device=self.device.type))

    def wait(self, stream: Any = None) -> None:
        """Lets what a stream is given from now on wait for it."""

    def query(self) -> bool:
        """Whether the work before it is done; so it is for one that was never recorded."""
        return True

    def synchronize(self) -> None:
        """Waits until the work before it is done."""

    def elapsed_time(self, end_event: Any) -> float:
        """Milliseconds from this event to another, both of which must be done."""
        check_timed(self, end_event)
        raise ValueError("Both events must be recorded before calculating elapsed time.")

    def __repr__(self) -> str:
        return f"{_core._library_name()}.Event device_type={self.device.type}, device_index=-1, event_id=0"


def check_timed(first: Any, second: Any) -> None:
    """ValueError for events between which no time can be measured."""
    if not (first.enable_timing and second.enable_timing):
        raise ValueError("Both events must be created with argument 'enable_timing=True'.")


Stream.__module__ = Event.__module__ = "flambeau"
