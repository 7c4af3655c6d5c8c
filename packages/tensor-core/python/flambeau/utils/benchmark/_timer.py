"""Measuring a statement."""

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

_MOST_RUNS = 2**31 - 1
_SHORTEST = 1e-9  # seconds: what is quicker cannot be told from nothing


def timer() -> float:
    """The time in seconds, once a GPU, where there is one, has done its work."""
    if flambeau.accelerator.is_available():
        flambeau.accelerator.synchronize()
    return timeit.default_timer()


class Language(enum.Enum):
    """What a statement is written in. `Timer` measures Python."""

    PYTHON = 0
    CPP = 1


@contextlib.contextmanager
def set_torch_threads(n: int) -> Iterator[None]:
    """A block in which operators use ``n`` threads."""
    former = flambeau.get_num_threads()
    flambeau.set_num_threads(n)
    try:
        yield
    finally:
        flambeau.set_num_threads(former)


class Timer:
    """Measures how long a statement takes, after runs that are not counted, with a given number of threads.

    Args:
        stmt: the statement, as text; it may have several lines.
        setup: what is run before, and not counted.
        global_setup: for statements in C++.
        timer: a function that returns seconds.
        globals: the variables of the statement; ``flambeau`` is one, and so is ``torch`` where it was imported.
        label, sub_label, description: what the statement is, which variant of it, and of what; `Compare` makes them
            tables, rows and columns.
        env: what else distinguishes a measurement from another one.
        num_threads: how many threads operators use.
        language: "python". NotImplementedError for "c++".
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
            raise ValueError("Currently only a `str` stmt is supported.")
        if language in (Language.CPP, "cpp", "c++"):
            raise NotImplementedError("flambeau.utils.benchmark.Timer: only statements in Python are measured")
        if language not in (Language.PYTHON, "py", "python"):
            raise ValueError(f"Invalid language `{language}`.")
        if global_setup:
            raise ValueError(f"global_setup is C++ only, got `{global_setup}`: move it to `setup`.")
        known = {"flambeau": flambeau, **({"torch": sys.modules["torch"]} if "torch" in sys.modules else {})}
        stmt, setup = _unindented(stmt), _unindented(setup)
        self._timer = timeit.Timer(stmt, setup, timer, {**known, **(globals or {})})
        self._task_spec = TaskSpec(stmt, setup, "", label, sub_label, description, env, num_threads)

    def _time(self, number: int) -> float:
        return max(self._timer.timeit(number), _SHORTEST)

    def timeit(self, number: int = 1000000) -> Measurement:
        """One measurement of that many runs."""
        with set_torch_threads(self._task_spec.num_threads):
            self._time(max(number // 100, 2))
            return Measurement(number, [self._time(number)], self._task_spec)

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Measurements of as many runs each as make the clock negligible, until ``min_run_time`` seconds are over.

        Args:
            callback: called with the number of runs and the seconds after each.
            min_run_time: in seconds, all of them together.
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
        """As `blocked_autorange`, until the interquartile range is less than a part of the median.

        Args:
            threshold: that part.
            min_run_time, max_run_time: in seconds, all measurements together.
            callback: called with the number of runs and the seconds after each.
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
        """How many runs make what the clock itself takes negligible."""
        with set_torch_threads(self._task_spec.num_threads):
            overhead = statistics.median(self._time(0) for _ in range(5))
            number = 1
            while True:
                taken = self._time(number)
                if taken > least or (overhead <= 1e-4 * taken and taken >= least / 1000) or number * 10 > _MOST_RUNS:
                    return number
                number *= 10

    def repeat(self, repeat: int = -1, number: int = -1) -> NoReturn:
        """Not there, as in PyTorch: `blocked_autorange` repeats."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback: Callable[[int, float], Any] | None = None) -> NoReturn:
        """Not there, as in PyTorch: `blocked_autorange` finds the number of runs."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def collect_callgrind(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not there: counting instructions."""
        raise NotImplementedError("flambeau.utils.benchmark.Timer.collect_callgrind: instructions are not counted")


def _unindented(code: str) -> str:
    """Without what the lines of a block in a program are indented by, and empty lines around it."""
    return textwrap.dedent(code).removeprefix("\n").rstrip()
