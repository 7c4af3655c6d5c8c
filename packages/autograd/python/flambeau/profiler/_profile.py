"""The profiler that records the steps that a schedule selects."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from flambeau.autograd import profiler
from flambeau.autograd.profiler import ProfilerActivity, record_function

from ._schedule import RECORDING, ProfilerAction

_NO_GPU_TIMES = (
    "flambeau.profiler does not record GPU activities; flambeau.cuda.profiler marks a block for NVIDIA's profilers"
)


def supported_activities() -> set[ProfilerActivity]:
    """Return the set of supported activities, which contains only the CPU.

    >>> fb.profiler.supported_activities()
    {<ProfilerActivity.CPU: 'cpu'>}
    """
    return {ProfilerActivity.CPU}


class profile(profiler.profile):
    """Profiler of the operator calls inside a ``with`` block.

    It records all calls, or the calls in the steps that a schedule selects.

    Args:
        activities: activities to record. Only the CPU is supported; `ProfilerActivity.CUDA` issues a warning.
        schedule: function from the step number to an action, such as `schedule` returns. By default, every step is
            recorded.
        on_trace_ready: function that is called with the profiler at the end of each cycle of the schedule, and at the
            end of the block.
        record_shapes: if True, record the shapes of the arguments of operators that this thread calls.
        profile_memory, with_stack, with_flops, with_modules: accepted for compatibility with PyTorch; no effect.

    >>> def show(profiled):
    ...     print(profiled.step_num, [average.key for average in profiled.key_averages()])
    >>> plan = flambeau.profiler.schedule(wait=1, warmup=1, active=1)
    >>> with flambeau.profiler.profile(schedule=plan, on_trace_ready=show) as profiled:
    ...     for _ in range(6):
    ...         _ = flambeau.ones(3) + 1
    ...         profiled.step()
    3 ['ProfilerStep*', 'ones', 'add']
    6 ['ProfilerStep*', 'ones', 'add']
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[Any], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(True, record_shapes=record_shapes, **options)
        chosen = supported_activities() if activities is None else set(activities)
        if not chosen:
            raise AssertionError("No valid profiler activities found")
        if chosen - supported_activities():
            warnings.warn(_NO_GPU_TIMES, stacklevel=2)
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self.on_trace_ready = on_trace_ready
        self.step_num = 0
        self.current_action = self.schedule(0)
        self._marks_steps = schedule is not None
        self._mark: record_function | None = None
        self._running = False

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(self._running)

    start = __enter__

    def step(self) -> None:
        """Mark the end of a step of the program."""
        former, self.step_num = self.current_action, self.step_num + 1
        self.current_action = self.schedule(self.step_num)
        saved = former is ProfilerAction.RECORD_AND_SAVE
        if saved or self.current_action not in RECORDING:
            self._end(saved)
        self._begin()

    def _begin(self) -> None:
        if self._mark is not None:
            self._mark.__exit__(None, None, None)
            self._mark = None
        if self.current_action not in RECORDING:
            return
        if not self._running:
            super().__enter__()
            self._running = True
        if self._marks_steps:
            self._mark = record_function(f"ProfilerStep#{self.step_num}")
            self._mark.__enter__()

    def _end(self, ready: bool) -> None:
        if not self._running:
            return
        if self._mark is not None:
            self._mark.__exit__(None, None, None)
            self._mark = None
        super().__exit__(None, None, None)
        self._running = False
        if ready and self.on_trace_ready is not None:
            self.on_trace_ready(self)
