"""Timing of a statement."""

from __future__ import annotations

import contextlib
import enum
import statistics
import sys
import textwrap
import timeit
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import flambeau

from ._measurement import Measurement, TaskSpec

_MAX_RUNS = 2**31 - 1
_MIN_SECONDS = 1e-9  # seconds: a lower bound, so that a time is never zero


def timer() -> float:
    """Return the time of a clock in seconds. If a GPU is available, synchronise with it first.

    >>> from flambeau.utils.benchmark import timer
    >>> start = timer()
    >>> 0 <= timer() - start < 10
    True
    """
    if flambeau.accelerator.is_available():
        flambeau.accelerator.synchronize()
    return timeit.default_timer()


class Language(enum.Enum):
    """Language of a statement. `Timer` supports only Python.

    >>> from flambeau.utils.benchmark import Language, Timer
    >>> Timer("1 + 1", language=Language.PYTHON).timeit(10).number_per_run
    10
    """

    PYTHON = 0
    CPP = 1


@contextlib.contextmanager
def set_torch_threads(n: int) -> Iterator[None]:
    """Set the number of threads of operators in a ``with`` block.

    >>> from flambeau.utils.benchmark import set_torch_threads
    >>> with set_torch_threads(1):
    ...     print(flambeau.get_num_threads())
    1
    """
    former = flambeau.get_num_threads()
    flambeau.set_num_threads(n)
    try:
        yield
    finally:
        flambeau.set_num_threads(former)


class Timer:
    """Timer for a statement, with untimed warm-up runs and a given number of threads.

    Args:
        stmt: source code of the statement, which may have several lines.
        setup: source code that runs before the statement and is not timed.
        global_setup: for C++ statements only, which are not supported.
        timer: function that returns the time in seconds.
        globals: variables of the statement. ``flambeau`` is predefined, and also ``torch`` if it was imported.
        label, sub_label, description: names for the table, the row and the column of the measurement in `Compare`.
        env: name of the environment, to distinguish measurements.
        num_threads: number of threads of operators.
        language: ``"python"``. ``"c++"`` raises NotImplementedError.
    Raises: ValueError for a statement that is not a string, or another language.

    >>> from flambeau.utils.benchmark import Timer
    >>> measurement = Timer("x + x", globals={"x": flambeau.ones(100)}).timeit(1000)
    >>> measurement.median < 1e-2  # seconds per run
    True
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Language | str = Language.PYTHON,
    ) -> None:
        if not isinstance(stmt, str):
            raise ValueError(f"Currently only a `str` stmt is supported, got {type(stmt).__name__}.")
        if language in (Language.CPP, "cpp", "c++"):
            raise NotImplementedError(
                "flambeau.utils.benchmark.Timer: C++ statements are not supported; use language='python'"
            )
        if language not in (Language.PYTHON, "py", "python"):
            raise ValueError(f"Invalid language `{language}`.")
        if global_setup:
            raise ValueError(f"global_setup is C++ only, got `{global_setup}`; move it to `setup`.")
        known = {"flambeau": flambeau, **({"torch": sys.modules["torch"]} if "torch" in sys.modules else {})}
        stmt, setup = _unindented(stmt), _unindented(setup)
        self._timer = timeit.Timer(stmt, setup, timer, {**known, **(globals or {})})
        self._task_spec = TaskSpec(stmt, setup, "", label, sub_label, description, env, num_threads)

    def _time(self, number: int) -> float:
        return max(self._timer.timeit(number), _MIN_SECONDS)

    def timeit(self, number: int = 1000000) -> Measurement:
        """Measure one block of ``number`` runs."""
        with set_torch_threads(self._task_spec.num_threads):
            self._time(max(number // 100, 2))
            return Measurement(number, [self._time(number)], self._task_spec)

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Measure blocks of runs until ``min_run_time`` seconds have passed.

        The number of runs per block is chosen so that the overhead of the clock is negligible.

        Args:
            callback: called after each block with the number of runs and the seconds.
            min_run_time: minimum total time in seconds.
        """
        return self._measured(self._block_size(min_run_time), min_run_time, None, callback, lambda so_far: True)

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:
        """Measure blocks of runs until the interquartile range is less than ``threshold`` times the median.

        Args:
            threshold: largest accepted ratio of the interquartile range to the median.
            min_run_time, max_run_time: limits of the total time in seconds.
            callback: called after each block with the number of runs and the seconds.
        """

        def steady(so_far: Measurement) -> bool:
            return len(so_far.raw_times) > 3 and so_far.meets_confidence(threshold)

        return self._measured(self._block_size(0.05), min_run_time, max_run_time, callback, steady)

    def _measured(
        self,
        number: int,
        least: float,
        most: float | None,
        callback: Callable[[int, float], Any] | None,
        enough: Callable[[Measurement], bool],
    ) -> Measurement:
        """Run blocks for at least ``least`` seconds and until ``enough`` is True, but stop after ``most`` seconds."""
        times: list[float] = []
        with set_torch_threads(self._task_spec.num_threads):
            while True:
                times.append(self._time(number))
                if callback is not None:
                    callback(number, times[-1])
                so_far, total = Measurement(number, times, self._task_spec), sum(times)
                if (total >= least and enough(so_far)) or (most is not None and total > most):
                    return so_far

    def _block_size(self, least: float) -> int:
        """Return a number of runs for which the overhead of the clock is negligible."""
        with set_torch_threads(self._task_spec.num_threads):
            overhead = statistics.median(self._time(0) for _ in range(5))
            number = 1
            while True:
                taken = self._time(number)
                if taken > least or (overhead <= 1e-4 * taken and taken >= least / 1000) or number * 10 > _MAX_RUNS:
                    return number
                number *= 10

    def repeat(self, repeat: int = -1, number: int = -1) -> NoReturn:
        """Raise NotImplementedError, as in PyTorch. Use `blocked_autorange` instead."""
        raise NotImplementedError("not implemented; see `Timer.blocked_autorange`")

    def autorange(self, callback: Callable[[int, float], Any] | None = None) -> NoReturn:
        """Raise NotImplementedError, as in PyTorch. Use `blocked_autorange` instead."""
        raise NotImplementedError("not implemented; see `Timer.blocked_autorange`")

    def collect_callgrind(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: counting instructions is not supported."""
        raise NotImplementedError(
            "flambeau.utils.benchmark.Timer.collect_callgrind: counting instructions is not supported"
        )


def _unindented(code: str) -> str:
    """Remove the common indentation and the empty lines around a block of code."""
    return textwrap.dedent(code).removeprefix("\n").rstrip()
