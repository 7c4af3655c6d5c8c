"""CUDA streams, which run work in order and concurrently with other streams, and CUDA events."""

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

# Streams are handed out round-robin and never destroyed: the allocator reuses memory in the order of the stream that
# allocated it, so a stream handle must never refer to a different stream later.
_POOL_SIZE = 32
_pools: dict[tuple[int, int], tuple[list[int], Iterator[int]]] = {}  # keys: device index and priority
_lock = threading.Lock()

_CUDA = 1  # PyTorch's number for the CUDA device type
_HIGHEST, _LOWEST = -3, 0  # the range of priorities


@for_gpus(_any_device.Stream)
class Stream(_any_device.Stream):
    """Queue of GPU work that runs in order.

    Work that is submitted in ``with flambeau.cuda.stream(s):`` goes to stream ``s``. Two streams are not ordered unless
    `wait_stream` or events order them.

    Args:
        device: the GPU. None means this thread's current GPU.
        priority: between -3 and 0. A lower number means a higher priority.
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
        """Return the lowest and the highest priority."""
        return _LOWEST, _HIGHEST

    def query(self) -> bool:
        """Return True if all work is complete."""
        return _core._cuda_query_stream(self.device_index, self.cuda_stream)

    def synchronize(self) -> None:
        """Wait until all work is complete, and raise the errors that its kernels detected."""
        _core._cuda_synchronize_stream(self.device_index, self.cuda_stream)

    def record_event(self, event: Event | None = None) -> Event:
        """Record an event on this stream and return it. If ``event`` is None, create a new one."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Make future work on this stream wait for an event."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Make future work on this stream wait for the work that is currently queued on another stream."""
        self.wait_event(stream.record_event())

    def is_capturing(self) -> bool:
        """Return True if a CUDA graph is capturing this stream."""
        return _core._cuda_is_capturing(self.device_index, self.cuda_stream)

    @property
    def native_handle(self) -> int:
        """The handle of the stream, a ``CUstream``."""
        return self.cuda_stream

    @property
    def _as_parameter_(self) -> ctypes.c_void_p:
        import ctypes

        return ctypes.c_void_p(self.cuda_stream)

    def __cuda_stream__(self) -> tuple[int, int]:
        """Return the version of the ``__cuda_stream__`` protocol and the handle, for other libraries."""
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
    """Return the handle of the pool's next stream, which is created on first use."""
    with _lock:
        handles, turn = _pools.setdefault((device, priority), ([], itertools.count()))
        number = next(turn) % _POOL_SIZE
        if number == len(handles):
            handles.append(_core._cuda_create_stream(device, priority))
        return handles[number]


class ExternalStream(Stream):
    """A stream that another library created.

    Args:
        stream_ptr: the handle of the stream, a ``CUstream``. It must stay valid while this object is used.
        device: the GPU of the stream.
    """

    def __init__(self, stream_ptr: int, device: Any = None) -> None:
        super().__init__(device, stream_ptr=stream_ptr)


def get_stream_from_external(data_ptr: int, device: Any = None) -> Stream:
    """Return an `ExternalStream` for the handle of another library's stream."""
    return ExternalStream(data_ptr, device)


class Event(_any_device.Event):
    """Marker in a stream. Streams and the program can wait for it, and two events measure the time between them.

    Args:
        enable_timing: if True, `elapsed_time` can be used.
        blocking, interprocess: accepted for compatibility with PyTorch. Interprocess events are not supported.
    """

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        if interprocess:
            raise NotImplementedError("flambeau.cuda.Event: interprocess=True is not supported")
        self.enable_timing = enable_timing
        self.device: Any = None  # set to the device of the first stream that records the event
        self.cuda_event = 0

    def record(self, stream: Stream | None = None) -> None:
        """Record the event on a stream (default: the current stream), after the work that is queued there."""
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
        """Make future work on a stream (default: the current stream) wait for this event."""
        if self.cuda_event:
            stream = current_stream() if stream is None else stream
            _core._cuda_wait_event(stream.device_index, stream.cuda_stream, self.cuda_event)

    def query(self) -> bool:
        """Return True if all work before the event is complete, or if the event was never recorded."""
        return not self.cuda_event or _core._cuda_query_event(self.device.index, self.cuda_event)

    def synchronize(self) -> None:
        """Wait until all work before the event is complete."""
        if self.cuda_event:
            _core._cuda_synchronize_event(self.device.index, self.cuda_event)

    def elapsed_time(self, end_event: Event) -> float:
        """Return the milliseconds between this event and another. Both must be complete and have ``enable_timing``."""
        check_timed(self, end_event)
        if not (self.cuda_event and end_event.cuda_event):
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if not (self.query() and end_event.query()):
            raise RuntimeError("Both events must be completed before calculating elapsed time.")
        return _core._cuda_elapsed_time(self.device.index, self.cuda_event, end_event.cuda_event)

    @property
    def event_id(self) -> int:
        """The handle of the event, a ``CUevent``, or 0 if it was never recorded."""
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
    """A GPU event that was created as ``flambeau.Event``, which takes the device as its first argument."""

    def __init__(
        self, device: Any = None, *, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        index_of(device)
        super().__init__(enable_timing, blocking, interprocess)


def _destroy(device: int, event: int) -> None:
    with contextlib.suppress(RuntimeError):  # in a forked process, the event belongs to the parent
        _core._cuda_destroy_event(device, event)


class StreamContext:
    """Context manager that selects the current stream. None changes nothing."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream
        self._former: list[Stream] = []

    def __enter__(self) -> None:
        if self.stream is None:
            return
        # Restore the thread's own GPU last, so that it becomes the current GPU again.
        self._former = [current_stream(self.stream.device), current_stream()]
        set_stream(self.stream)

    def __exit__(self, *error: object) -> None:
        for stream in self._former:
            set_stream(stream)


def stream(stream: Any) -> StreamContext:
    """Return a context manager that selects the current stream. None changes nothing.

    >>> x = flambeau.eye(3, device="cuda")
    >>> side = flambeau.cuda.Stream()
    >>> side.wait_stream(flambeau.cuda.current_stream())
    >>> with flambeau.cuda.stream(side):
    ...     y = x @ x
    >>> flambeau.cuda.current_stream().wait_stream(side)
    """
    if stream is not None and not isinstance(stream, Stream):
        index_of()  # without a GPU, raise an error that says so instead of the TypeError
        raise TypeError(f"stream(): expected a flambeau.cuda.Stream or None, got {type(stream).__name__}")
    return StreamContext(stream)


def current_stream(device: Any = None) -> Stream:
    """Return this thread's current stream on a GPU."""
    index = index_of(device)
    return Stream(index, stream_ptr=_core._cuda_current_stream(index))


def default_stream(device: Any = None) -> Stream:
    """Return the default stream of a GPU."""
    return Stream(device, stream_ptr=0)


def set_stream(stream: Stream | None) -> None:
    """Set this thread's current stream and current GPU. None changes nothing."""
    if stream is not None:
        if current_device() != stream.device_index:
            set_device(stream.device_index)
        _core._cuda_set_stream(stream.device_index, stream.cuda_stream)


def is_current_stream_capturing() -> bool:
    """Return True if a CUDA graph is capturing the current stream."""
    if not is_available():
        return False
    index = current_device()
    return _core._cuda_is_capturing(index, _core._cuda_current_stream(index))
