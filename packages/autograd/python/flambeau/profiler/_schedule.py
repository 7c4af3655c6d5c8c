"""Schedules that select the steps to record, and handlers that write the recorded calls."""

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
    """Action of a profiler in a step. See `schedule`."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """Return a schedule of cycles with waiting steps, warm-up steps and recorded steps.

    Args:
        wait, warmup, active: numbers of waiting, warm-up and recorded steps in each cycle.
        repeat: number of cycles. 0 means no limit.
        skip_first: number of steps before the first cycle.
        skip_first_wait: if not 0, the first cycle has no ``wait`` steps.
    Returns: a function from the step number to an action, for `profile`.

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
    """Return a handler that writes the calls of each cycle to a file, for TensorBoard's plugin and Perfetto.

    Args:
        dir_name: folder of the files. It is created if it does not exist.
        worker_name: prefix of the file names. The default is the host name and the process id.
        use_gzip: if True, compress the files.
    Returns: a function that takes the profiler, for the argument ``on_trace_ready`` of `profile`.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     handler = fb.profiler.tensorboard_trace_handler(folder, "worker0", use_gzip=True)
    ...     with fb.profiler.profile(on_trace_ready=handler):
    ...         x = fb.ones(2).exp()
    ...     [name[:8] for name in os.listdir(folder)]
    ['worker0.']
    """

    def write(profiled: Any) -> None:
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        ending = ".pt.trace.json.gz" if use_gzip else ".pt.trace.json"
        profiled.export_chrome_trace(os.path.join(dir_name, f"{worker}.{time.time_ns()}{ending}"))

    return write
