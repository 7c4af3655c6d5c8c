"""Timing inside one process: warm up, choose the length of a batch, keep the quickest batch."""

from __future__ import annotations

import gc
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns

from .workload import Code


@dataclass(frozen=True)
class Effort:
    """Durations of one measurement in nanoseconds: warm-up, one batch, all batches."""

    warm_up: int
    batch: int
    total: int
    least_batches: int


FULL = Effort(warm_up=100_000_000, batch=10_000_000, total=300_000_000, least_batches=5)
QUICK = Effort(warm_up=20_000_000, batch=2_000_000, total=40_000_000, least_batches=3)


def seconds_per_call(code: Code, effort: Effort, clock: Callable[[], int] = perf_counter_ns) -> float:
    """Return the minimum over the batches of the mean time per call, in seconds; ``clock`` returns nanoseconds.

    The minimum, because everything else on the machine only ever adds time. The garbage collector is off meanwhile
    (``timeit`` sees to that), after one collection that neither library pays for.
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
    """Double the number of calls until the warm-up is over and a batch is long enough."""
    calls, spent = 1, 0.0
    while True:
        elapsed = timer.timeit(calls)
        spent += elapsed
        if elapsed >= effort.batch:
            if spent >= effort.warm_up:
                return calls
        else:
            calls = max(calls + 1, min(2 * calls, round(1.2 * calls * effort.batch / max(elapsed, 1))))
