"""Timing in one process: warm up, choose the number of calls in a batch, and return the time of the fastest batch."""

from __future__ import annotations

import gc
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns

from .workload import Code


@dataclass(frozen=True)
class Effort:
    """Durations of the warm-up, of one batch and of all batches of a measurement, in nanoseconds."""

    warm_up: int
    batch: int
    total: int
    least_batches: int


FULL = Effort(warm_up=100_000_000, batch=10_000_000, total=300_000_000, least_batches=5)
QUICK = Effort(warm_up=20_000_000, batch=2_000_000, total=40_000_000, least_batches=3)


def seconds_per_call(code: Code, effort: Effort, clock: Callable[[], int] = perf_counter_ns) -> float:
    """Return the time per call of the fastest batch, in seconds. ``clock`` returns nanoseconds.

    The minimum is used because disturbances can only add time. Garbage is collected before the measurement, and
    ``timeit`` disables the garbage collector during it.
    """
    timer = timeit.Timer(code.statement, timer=clock, globals=dict(code.names))
    calls = _calls_per_batch(timer, effort)
    gc.collect()
    least, spent, batches = float("inf"), 0.0, 0
    while spent < effort.total or batches < effort.least_batches:
        elapsed = timer.timeit(calls)
        least, spent, batches = min(least, elapsed), spent + elapsed, batches + 1
    return least / calls / 1e9


def _calls_per_batch(timer: timeit.Timer, effort: Effort) -> int:
    """Return the number of calls per batch, doubled until the warm-up is over and a batch is long enough."""
    calls, spent = 1, 0.0
    while True:
        elapsed = timer.timeit(calls)
        spent += elapsed
        if elapsed >= effort.batch:
            if spent >= effort.warm_up:
                return calls
        else:
            calls = max(calls + 1, min(2 * calls, round(1.2 * calls * effort.batch / max(elapsed, 1))))
