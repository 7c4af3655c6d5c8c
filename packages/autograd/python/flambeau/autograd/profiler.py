"""Profiler of operator calls, of the nodes of backward passes, and of user-defined ranges.

While the profiler is disabled, it costs one branch per call.
"""

import enum
import functools
import gzip
import json
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from flambeau._naming import library_name
from flambeau.autograd import _engine
from flambeau.autograd._nvtx import emit_nvtx
from flambeau.autograd._profiled_shapes import ShapeRecorder

__all__ = [
    "Average",
    "Averages",
    "Event",
    "ProfilerActivity",
    "emit_nvtx",
    "format_time",
    "profile",
    "record_function",
]

F = TypeVar("F", bound=Callable[..., Any])


_running = False  # True while a profile records calls


def _is_running() -> bool:
    return _running


class ProfilerActivity(enum.Enum):
    """Activities to profile. Only CPU is supported. The other activities issue a warning.

    >>> fb.profiler.supported_activities()
    {<ProfilerActivity.CPU: 'cpu'>}
    """

    CPU = "cpu"
    XPU = "xpu"
    MTIA = "mtia"
    CUDA = "cuda"
    HPU = "hpu"
    PrivateUse1 = "privateuse1"


class Event(NamedTuple):
    """One profiled call. Times are in nanoseconds. ``bytes`` is the change of the tensors' memory during the call.

    With ``record_shapes``, ``input_shapes`` contains the shape of each positional argument of an operator, or an empty
    list for an argument that is not a tensor. ``input_shapes`` is empty without ``record_shapes`` and for calls inside
    other operators.

    >>> with fb.autograd.profiler.profile() as profiled:
    ...     x = fb.ones(256).exp()
    >>> [(event.name, event.bytes > 1000) for event in profiled.events()]
    [('ones', True), ('exp', True)]
    """

    name: str
    start: int
    duration: int
    self_time: int
    bytes: int
    parent: int
    thread: int
    input_shapes: Sequence[list[int]] = ()

    @property
    def count(self) -> int:  # type: ignore[override]
        """The number of calls, which is 1."""
        return 1


@dataclass(frozen=True)
class Average:
    """Sums over all calls with the same name, or with the same name and input shapes. Times are in microseconds.

    If calls of the same name are nested, only the outermost call counts toward the totals.

    >>> with fb.autograd.profiler.profile() as profiled:
    ...     x = fb.ones(2).exp().exp()
    >>> [(average.key, average.count) for average in profiled.key_averages() if average.key == "exp"]
    [('exp', 2)]
    """

    key: str
    count: int
    cpu_time_total: float
    self_cpu_time_total: float
    cpu_memory_usage: int
    self_cpu_memory_usage: int
    input_shapes: Sequence[list[int]] = ()

    @property
    def cpu_time(self) -> float:
        """Average time per call in microseconds."""
        return self.cpu_time_total / self.count if self.count else 0.0


_STEP = re.compile("(?<=^ProfilerStep)#.*")  # the number of a step, which is removed to give all steps the same name

# Fields of Average by which table() can sort.
_SORT_FIELDS = (
    *("key", "count", "cpu_time", "cpu_time_total", "self_cpu_time_total"),
    *("cpu_memory_usage", "self_cpu_memory_usage"),
)
_GPU_PREFIXES = ("cuda_", "device_")  # prefixes of GPU times, which are not measured; CPU times replace them


def format_time(time_us: float) -> str:
    """Format microseconds as text: ``"1.500ms"``.

    >>> format_time(1500.0)
    '1.500ms'
    """
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if time_us >= size:
            return f"{time_us / size:.3f}{unit}"
    return f"{time_us:.3f}us"


def _bytes(count: float) -> str:
    for unit in ("b", "Kb", "Mb"):
        if abs(count) < 1024:
            return f"{count:.2f} {unit}" if unit != "b" else f"{count:.0f} b"
        count /= 1024
    return f"{count:.2f} Gb"


# Maps each column heading of table() to the function that formats a cell from an average and the total time.
_COLUMNS: dict[str, Callable[[Average, float], str]] = {
    "Name": lambda a, whole: a.key,
    "Self CPU": lambda a, whole: format_time(a.self_cpu_time_total),
    "Self CPU %": lambda a, whole: f"{100 * a.self_cpu_time_total / whole:.1f}%",
    "CPU total": lambda a, whole: format_time(a.cpu_time_total),
    "CPU time avg": lambda a, whole: format_time(a.cpu_time),
    "CPU Mem": lambda a, whole: _bytes(a.cpu_memory_usage),
    "Self CPU Mem": lambda a, whole: _bytes(a.self_cpu_memory_usage),
    "# of Calls": lambda a, whole: str(a.count),
}

_SHAPES: dict[str, Callable[[Average, float], str]] = {"Input Shapes": lambda a, whole: str(list(a.input_shapes))}


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    name, *numbers = row
    return "  ".join([name.ljust(widths[0]), *(n.rjust(w) for n, w in zip(numbers, widths[1:], strict=True))])


class Averages(list[Average]):
    """List of averages with a ``table()`` method. The other arguments that PyTorch has are accepted and ignored.

    >>> with fb.autograd.profiler.profile() as profiled:
    ...     x = fb.ones(2).exp().exp()
    >>> averages = profiled.key_averages()
    >>> print(averages.table(sort_by="count").splitlines()[3].split()[0])
    exp
    """

    def __init__(self, averages: Iterable[Average] = (), **ignored: Any) -> None:
        super().__init__(averages)

    def table(self, sort_by: str | None = "self_cpu_time_total", row_limit: int = 100, **ignored: Any) -> str:
        """Return a text table of the averages.

        The columns are the name, the self time and its share of the total, the total time, the time per call, the
        memory, the memory without nested calls, and the number of calls. If the averages are grouped by shapes, the
        last column contains the shapes.

        Args:
            sort_by: ``"self_cpu_time_total"``, ``"cpu_time_total"``, ``"cpu_time"``, ``"cpu_memory_usage"``,
                ``"self_cpu_memory_usage"`` or ``"count"`` in descending order; ``"key"`` by name; None for no sorting.
                GPU times, such as ``"self_cuda_time_total"``, are not measured; the CPU time is used instead.
            row_limit: largest number of rows. -1 means all.
        Raises: ValueError for another value of ``sort_by``.
        """
        whole = sum(a.self_cpu_time_total for a in self) or 1.0
        shown = self._sorted(sort_by)[: None if row_limit < 0 else row_limit]
        columns = _COLUMNS | _SHAPES if any(a.input_shapes for a in self) else _COLUMNS
        rows = [tuple(columns), *(tuple(cell(a, whole) for cell in columns.values()) for a in shown)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        rule = "  ".join("-" * w for w in widths)
        heading, *lines = (_line(row, widths) for row in rows)
        return "\n".join([rule, heading, rule, *lines, rule, f"Self CPU time total: {format_time(whole)}"]) + "\n"

    def total_average(self) -> Average:
        """Return the sum of all averages, with the name ``"Total"``. Its total time is the sum of the self times."""
        whole = sum(a.self_cpu_time_total for a in self)
        memory = sum(a.self_cpu_memory_usage for a in self)
        return Average("Total", sum(a.count for a in self), whole, whole, memory, memory)

    def _sorted(self, sort_by: str | None) -> list[Average]:
        if sort_by is None:
            return list(self)
        for named in _GPU_PREFIXES:
            sort_by = sort_by.replace(named, "cpu_")
        if sort_by not in _SORT_FIELDS:
            raise ValueError(f"table(): sort_by must be one of {', '.join(_SORT_FIELDS)} or None, got {sort_by!r}")
        return sorted(self, key=lambda a: getattr(a, sort_by), reverse=sort_by != "key")


EventList = Averages  # PyTorch's name


class profile:
    """Profiler that records every operator call inside the ``with`` block, in all threads.

    Forward calls have the name of the operator (``mul``, or ``aten::mul`` in programs that import flambeau as
    ``torch``). Backward calls have the name of the node (``MulBackward0``).

    Args:
        enabled: if False, nothing is recorded.
        record_shapes: if True, record the shapes of the arguments of operators that this thread calls. This slows down
            the calls.
        options: PyTorch's other arguments, such as ``profile_memory``, are accepted but have no effect.

    >>> import flambeau
    >>> x = flambeau.ones(100, requires_grad=True)
    >>> with flambeau.autograd.profiler.profile() as profiled:
    ...     (x * x).sum().backward()
    >>> sorted(average.key for average in profiled.key_averages())
    ['AccumulateGrad', 'MulBackward0', 'SumBackward0', 'mul', 'sum']
    """

    def __init__(self, enabled: bool = True, *, record_shapes: bool = False, **options: Any) -> None:
        self.enabled = enabled
        self.record_shapes = record_shapes
        self._shapes: ShapeRecorder | None = None
        self._events: list[Event] = []

    def __enter__(self) -> Self:
        global _running
        if self.enabled:
            _engine.start_profile()
            _running = True
            if self.record_shapes:
                self._shapes = ShapeRecorder()
                self._shapes.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _running
        if self.enabled:
            _running = False
            namespace = "aten::" if library_name() == "torch" else ""
            calls = _engine.stop_profile()
            if self._shapes is not None:
                self._shapes.__exit__(kind, value, trace)
                calls, self._shapes = self._shapes.assigned(calls), None
            self._events = [Event(namespace + name if operator else name, *rest) for operator, name, *rest in calls]

    start = __enter__

    def stop(self) -> None:
        """Stop the profile that ``start()`` started."""
        self.__exit__(None, None, None)

    @property
    def function_events(self) -> list[Event]:
        """All calls, ordered by start time."""
        return self._events

    def events(self) -> list[Event]:
        """Return ``function_events``."""
        return self._events

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> Averages:
        """Return sums over the calls with the same name, or with the same name and shapes if ``group_by_input_shape``.

        ``group_by_stack_n`` issues a warning, because stacks are not recorded.
        """
        if group_by_stack_n:
            warnings.warn("key_averages(): stacks are not recorded, and group_by_stack_n has no effect", stacklevel=2)
        sums: dict[tuple[str, str], list[int]] = {}
        shapes: dict[str, Sequence[list[int]]] = {}
        own_bytes = [event.bytes for event in self._events]
        for event in self._events:
            if event.parent >= 0:
                own_bytes[event.parent] -= event.bytes
        for event, its_own in zip(self._events, own_bytes, strict=True):
            text = str(event.input_shapes) if group_by_input_shape else ""
            shapes[text] = event.input_shapes if group_by_input_shape else ()
            entry = sums.setdefault((_STEP.sub("*", event.name), text), [0, 0, 0, 0, 0])
            outermost = all(e.name != event.name for e in self._ancestors(event))
            entry[0] += 1
            entry[1] += event.duration if outermost else 0
            entry[2] += event.self_time
            entry[3] += event.bytes if outermost else 0
            entry[4] += its_own
        return Averages(
            Average(name, n, total / 1e3, own / 1e3, size, own_size, shapes[text])
            for (name, text), (n, total, own, size, own_size) in sums.items()
        )

    def _ancestors(self, event: Event) -> Iterator[Event]:
        while event.parent >= 0:
            event = self._events[event.parent]
            yield event

    def table(self, sort_by: str | None = "self_cpu_time_total", row_limit: int = 100, **ignored: Any) -> str:
        """Return ``key_averages().table(...)``."""
        return self.key_averages().table(sort_by, row_limit)

    @property
    def self_cpu_time_total(self) -> float:
        """Sum of the self times of all calls, in microseconds."""
        return sum(e.self_time for e in self._events) / 1e3

    def export_chrome_trace(self, path: str | Path) -> None:
        """Write the calls as JSON for chrome://tracing and Perfetto. If the path ends in ``.gz``, compress the file."""
        process = os.getpid()
        events = [
            {
                "name": e.name,
                "ph": "X",
                "ts": e.start / 1e3,
                "dur": e.duration / 1e3,
                "pid": process,
                "tid": e.thread,
                "cat": "cpu_op",
                "args": {"bytes": e.bytes},
            }
            for e in self._events
        ]
        text = json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}).encode()
        Path(path).write_bytes(gzip.compress(text) if str(path).endswith(".gz") else text)

    def __str__(self) -> str:
        return self.table() if self._events else "<unfinished profiler.profile>"


class record_function:
    """Context manager and decorator that records a named range in the profile. Without a profiler, it costs little.

    >>> import flambeau
    >>> with flambeau.autograd.profiler.profile() as profiled, flambeau.autograd.profiler.record_function("mine"):
    ...     _ = flambeau.ones(2) + 1
    >>> [event.name for event in profiled.function_events]
    ['mine', 'ones', 'add']
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name
        self._entered = False

    def __enter__(self) -> Self:
        self._entered = _engine.enter_profiled(self.name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered:
            _engine.leave_profiled()

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name):
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]
