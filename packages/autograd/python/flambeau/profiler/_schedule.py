"""Which steps of a program are recorded, and what becomes of the records."""

from __future__ import annotations

import enum
import os
import socket
import time
import warnings
from collections.abc import Callable
from typing import Any

_INVALID = (
    "Invalid profiler schedule arguments: wait, warmup, repeat and skip_first must not be negative, and active must be "
    "positive; got {}"
)


class ProfilerAction(enum.Enum):
    """What a profiler does at a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """Cycles of steps: some that are not looked at, some to get warm, some that are recorded.

    Args:
        wait, warmup, active: how many steps of each kind a cycle has.
        repeat: how many cycles there are; 0: as many as the program has steps for.
        skip_first: how many steps come before the first cycle.
        skip_first_wait: other than 0, the first cycle has no ``wait``.
    Returns: a function of the step's number, for `profile`.

    >>> plan = flambeau.profiler.schedule(wait=1, warmup=1, active=2, repeat=1)
    >>> [plan(step).name for step in range(5)]
    ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        given = f"wait={wait}, warmup={warmup}, active={active}, repeat={repeat}, skip_first={skip_first}"
        raise AssertionError(_INVALID.format(given))
    if warmup == 0:
        warnings.warn("Profiler won't be using warmup, this can skew profiler results", stacklevel=2)
    length = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        cycle, at = divmod(step - skip_first + (wait if skip_first_wait else 0), length)
        if step < skip_first or (repeat and cycle >= repeat) or at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if at < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(
    dir_name: str | os.PathLike[str], worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[Any], None]:
    """Writes the calls of each cycle into a file of a folder, where TensorBoard's plugin and Perfetto find them.

    Args:
        dir_name: the folder, made if there is none.
        worker_name: how the files' names begin; the machine's name and the process' number by default.
        use_gzip: compress them.
    Returns: a function of the profiler, for ``on_trace_ready``.
    """

    def write(profiled: Any) -> None:
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        ending = ".pt.trace.json.gz" if use_gzip else ".pt.trace.json"
        profiled.export_chrome_trace(os.path.join(dir_name, f"{worker}.{time.time_ns()}{ending}"))

    return write
