"""Streams, whose work is done in its order beside that of other streams, and events, which are points in it."""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import flambeau
from flambeau import _core

from . import _any_device
from ._any_device import check_timed, for_gpus
from ._devices import current_device, index_of, is_available, set_device

if TYPE_CHECKING:
    import ctypes

# Streams are handed out in turn and never end: memory is reused in the order of the stream that it was made on, so that
# a stream's number must not come to mean another one.
_OF_EACH_KIND = 32
_pools: dict[tuple[int, int], tuple[list[int], Iterator[int]]] = {}  # by GPU and priority
_lock = threading.Lock()

_CUDA = 1  # the number of this type of device in PyTorch
_HIGHEST, _LOWEST = -3, 0  # priorities


@for_gpus(_any_device.Stream)
class Stream(_any_device.Stream):
    """A sequence of work on a GPU, which is done in its order.

    What is queued in ``with flambeau.cuda.stream(s):`` goes to it. Two streams have no order but what `wait_stream`
    and events give them.

    Args:
        device: the GPU; the thread's if None.
        priority: lower numbers first, between -3 and 0.
    """

    def __init__(self, device: Any = None, priority: int = 0, **kwargs: Any) -> None:
        index = index_of(kwargs.get("device_index") if device is None else device)
        handle = kwargs.get("stream_ptr", kwargs.get("stream_id"))
        if handle is None:
            handle = _next_stream(index, min(max(priority, _HIGHEST), _LOWEST))
        self.device_index = index
        self.device = flambeau.device("cuda", index)
        self.device_type = _CUDA
        self.priority = priority
        self.cuda_stream = self.stream_id = int(handle)
        self._entered: list[StreamContext] = []

    @staticmethod
    def priority_range() -> tuple[int, int]:
        """The lowest and the highest priority."""
        return _LOWEST, _HIGHEST

    def query(self) -> bool:
        """Whether all of its work is done."""
        return _core._cuda_query_stream(self.device_index, self.cuda_stream)

    def synchronize(self) -> None:
        """Waits until all of its work is done, and raises what its kernels have found wrong."""
        _core._cuda_synchronize_stream(self.device_index, self.cuda_stream)

    def record_event(self, event: Event | None = None) -> Event:
        """Puts an event, a fresh one if none is given, behind the work so far, and returns it."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Lets the work from now on wait for an event."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Lets the work from now on wait for what another stream has to do so far."""
        self.wait_event(stream.record_event())

    def is_capturing(self) -> bool:
        """Whether its work is being noted for a graph."""
        return _core._cuda_is_capturing(self.device_index, self.cuda_stream)

    @property
    def native_handle(self) -> int:
        """The number that stands for it, a ``CUstream``."""
        return self.cuda_stream

    @property
    def _as_parameter_(self) -> ctypes.c_void_p:
        import ctypes

        return ctypes.c_void_p(self.cuda_stream)

    def __cuda_stream__(self) -> tuple[int, int]:
        """The protocol by which other libraries take a stream: its version, and the stream."""
        return 0, self.cuda_stream

    def __enter__(self) -> Self:
        self._entered.append(StreamContext(self))
        self._entered[-1].__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._entered.pop().__exit__(*error)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stream):
            return NotImplemented
        return (self.device_index, self.cuda_stream) == (other.device_index, other.cuda_stream)

    def __hash__(self) -> int:
        return hash((self.device_index, self.cuda_stream))

    def __repr__(self) -> str:
        return f"<flambeau.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


def _next_stream(device: int, priority: int) -> int:
    with _lock:
        made, turn = _pools.setdefault((device, priority), ([], itertools.count()))
        number = next(turn) % _OF_EACH_KIND
        if number == len(made):
            made.append(_core._cuda_create_stream(device, priority))
        return made[number]


class ExternalStream(Stream):
    """A stream of another library.

    Args:
        stream_ptr: the number that stands for it, a ``CUstream``. It must outlive its use.
        device: its GPU.
    """

    def __init__(self, stream_ptr: int, device: Any = None) -> None:
        super().__init__(device, stream_ptr=stream_ptr)


def get_stream_from_external(data_ptr: int, device: Any = None) -> Stream:
    """A stream of another library, by its number."""
    return ExternalStream(data_ptr, device)


class Event(_any_device.Event):
    """A point in a stream's work: other streams and the program can wait for it, and time can be measured between two.

    Args:
        enable_timing: whether `elapsed_time` is to be asked.
        blocking, interprocess: as PyTorch has them; events of several processes are not supported.
    """

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        if interprocess:
            raise NotImplementedError("flambeau.cuda.Event: interprocess=True is not supported")
        self.enable_timing = enable_timing
        self.device: Any = None  # that of the stream on which it is first recorded
        self.cuda_event = 0

    def record(self, stream: Stream | None = None) -> None:
        """Moves it behind the work that a stream, the current one if None, has so far."""
        stream = current_stream() if stream is None else stream
        if not self.cuda_event:
            index = stream.device_index
            self.cuda_event = _core._cuda_create_event(index, self.enable_timing)
            self.device = stream.device
            weakref.finalize(self, _destroy, index, self.cuda_event).atexit = False
        elif self.device != stream.device:
            raise RuntimeError(f"Event device {self.device} does not match recording stream's device {stream.device}.")
        _core._cuda_record_event(stream.device_index, self.cuda_event, stream.cuda_stream)

    def wait(self, stream: Stream | None = None) -> None:
        """Lets what a stream, the current one if None, is given from now on wait for it."""
        if self.cuda_event:
            stream = current_stream() if stream is None else stream
            _core._cuda_wait_event(stream.device_index, stream.cuda_stream, self.cuda_event)

    def query(self) -> bool:
        """Whether the work before it is done; so it is for one that was never recorded."""
        return not self.cuda_event or _core._cuda_query_event(self.device.index, self.cuda_event)

    def synchronize(self) -> None:
        """Waits until the work before it is done."""
        if self.cuda_event:
            _core._cuda_synchronize_event(self.device.index, self.cuda_event)

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to another, both of which must be done. Both need ``enable_timing=True``."""
        check_timed(self, end_event)
        if not (self.cuda_event and end_event.cuda_event):
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if not (self.query() and end_event.query()):
            raise RuntimeError("Both events must be completed before calculating elapsed time.")
        return _core._cuda_elapsed_time(self.device.index, self.cuda_event, end_event.cuda_event)

    @property
    def event_id(self) -> int:
        """The number that stands for it, a ``CUevent``; 0 for one that was never recorded."""
        return self.cuda_event

    @property
    def _as_parameter_(self) -> ctypes.c_void_p:
        import ctypes

        return ctypes.c_void_p(self.cuda_event)

    def __repr__(self) -> str:
        return (
            f"<flambeau.cuda.Event {self.cuda_event:#x}>" if self.cuda_event else "<flambeau.cuda.Event uninitialized>"
        )


@for_gpus(_any_device.Event)
class EventByDevice(Event):
    """An event that was asked for as ``flambeau.Event``, whose first argument is the device."""

    def __init__(
        self, device: Any = None, *, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        index_of(device)
        super().__init__(enable_timing, blocking, interprocess)


def _destroy(device: int, event: int) -> None:
    with contextlib.suppress(RuntimeError):  # in a process that was forked: the event is the parent's
        _core._cuda_destroy_event(device, event)


class StreamContext:
    """A block whose work goes to a stream; None changes nothing."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream
        self._former: list[Stream] = []

    def __enter__(self) -> None:
        if self.stream is None:
            return
        # Last the thread's own GPU, which is then current again.
        self._former = [current_stream(self.stream.device), current_stream()]
        set_stream(self.stream)

    def __exit__(self, *error: object) -> None:
        for stream in self._former:
            set_stream(stream)


def stream(stream: Any) -> StreamContext:
    """A block whose work goes to a stream; None changes nothing.

    >>> side = flambeau.cuda.Stream()
    >>> with flambeau.cuda.stream(side):
    ...     y = x @ x
    >>> flambeau.cuda.current_stream().wait_stream(side)
    """
    if stream is not None and not isinstance(stream, Stream):
        index_of()  # what is missing says more than the type
        raise TypeError(f"stream(): expected a flambeau.cuda.Stream or None, got {type(stream).__name__}")
    return StreamContext(stream)


def current_stream(device: Any = None) -> Stream:
    """The stream that this thread's work on a GPU goes to."""
    index = index_of(device)
    return Stream(index, stream_ptr=_core._cuda_current_stream(index))


def default_stream(device: Any = None) -> Stream:
    """The stream that work goes to as long as no other is chosen."""
    return Stream(device, stream_ptr=0)


def set_stream(stream: Stream | None) -> None:
    """Chooses the stream that this thread's work goes to, and its GPU; None changes nothing."""
    if stream is not None:
        if current_device() != stream.device_index:
            set_device(stream.device_index)
        _core._cuda_set_stream(stream.device_index, stream.cuda_stream)


def is_current_stream_capturing() -> bool:
    """Whether the work of the current stream is being noted for a graph."""
    if not is_available():
        return False
    index = current_device()
    return _core._cuda_is_capturing(index, _core._cuda_current_stream(index))
