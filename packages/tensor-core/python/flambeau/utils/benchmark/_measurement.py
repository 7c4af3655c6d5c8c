"""Measurements and their statistics."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

_MAX_FIGURES = 4
_MIN_INTERVAL = 25e-9  # seconds: resolution of the clock
_QUANTILE = 1.645  # quantile of the normal distribution for a 90 % confidence interval
_SUSPECT, _VERY_SUSPECT = 0.1, 0.25  # ratios of the interquartile range to the median
_FLUCTUATION = "This could indicate system fluctuation."
_INFLUENCE = "This suggests significant environmental influence."
_SCALES = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_ENGLISH = {"ns": "nanosecond", "us": "microsecond", "ms": "millisecond", "s": "second"}

H = TypeVar("H", bound=Hashable)


@dataclass(frozen=True, repr=False)
class TaskSpec:
    """Description of the statement that a `Timer` measures. Measurements with equal descriptions can be merged.

    Attributes: the arguments of `Timer` with the same names.

    >>> from flambeau.utils.benchmark import TaskSpec
    >>> TaskSpec("x + 1", "pass", label="addition", sub_label="float").title
    'addition: float'
    """

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The label and the sub-label. The statement replaces a missing label."""
        if self.label is None and "\n" in self.stmt:
            named = f" ({self.sub_label})" if self.sub_label else ""
            return f"stmt:{named}\n{textwrap.indent(self.stmt, '  ')}"
        name = self.stmt if self.label is None else self.label
        return f"{name}: {self.sub_label}" if self.sub_label else name

    def setup_str(self) -> str:
        """Return the formatted setup, or an empty string if the setup is empty."""
        if self.setup in ("", "pass"):
            return ""
        return f"setup:\n{textwrap.indent(self.setup, '  ')}" if "\n" in self.setup else f"setup: {self.setup}"

    def summarize(self) -> str:
        """Return the title, the description and the setup, without empty parts."""
        parts = (self.title, self.description, self.setup_str())
        return "\n".join(f"{part}\n" if "\n" in part else part for part in parts if part)


@dataclass(repr=False)
class Measurement:
    """Measured times of a statement and their statistics. It also has the attributes of its `TaskSpec`.

    >>> from flambeau.utils.benchmark import Measurement, TaskSpec
    >>> m = Measurement(100, [0.0101, 0.01, 0.0099, 0.01], TaskSpec("f(x)", "pass"))
    >>> print(f"{m.median:.1e}", m.stmt, m.has_warnings)
    1.0e-04 f(x) False
    """

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name in TaskSpec.__dataclass_fields__:
            return getattr(self.task_spec, name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def times(self) -> list[float]:
        """Seconds per run of the statement, for each measurement."""
        return [time / self.number_per_run for time in self.raw_times]

    @cached_property
    def _quartiles(self) -> tuple[float, float, float]:
        low, middle, high = np.quantile(self.times, (0.25, 0.5, 0.75))
        return float(low), float(middle), float(high)

    @property
    def median(self) -> float:
        """The median of `times`."""
        return self._quartiles[1]

    @property
    def mean(self) -> float:
        """The mean of `times`."""
        return float(np.mean(self.times))

    @property
    def iqr(self) -> float:
        """The interquartile range of `times`, in seconds."""
        return self._quartiles[2] - self._quartiles[0]

    @property
    def significant_figures(self) -> int:
        """Number of significant figures of the median (1 to 4), estimated from the spread of the middle half."""
        count = len(self.raw_times)
        middle = sorted(self.times)[count // 4 : math.ceil(3 * count / 4)]
        interval = max(_QUANTILE * float(np.std(middle)) / math.sqrt(len(middle)), _MIN_INTERVAL)
        return min(max(math.floor(math.log10(self.median / interval)), 1), _MAX_FIGURES)

    def meets_confidence(self, threshold: float = _SUSPECT) -> bool:
        """Return True if the interquartile range is less than ``threshold`` times the median."""
        return self.iqr / self.median < threshold

    @property
    def has_warnings(self) -> bool:
        """True if the times vary too much to be reliable."""
        return bool(self.raw_times) and not self.meets_confidence()

    def _warning(self) -> str:
        if not self.has_warnings:
            return ""
        cause = _FLUCTUATION if self.meets_confidence(_VERY_SUSPECT) else _INFLUENCE
        share = self.iqr / self.median * 100
        return f"  WARNING: Interquartile range is {share:.1f}% of the median measurement.\n           {cause}"

    @property
    def title(self) -> str:
        """The title of the task."""
        return self.task_spec.title

    @property
    def as_row_name(self) -> str:
        """The name of the row in a table: the sub-label or the statement."""
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    def __repr__(self) -> str:
        low, median, high = self._quartiles
        unit, scale = select_unit(median)
        count, threads = len(self.raw_times), self.task_spec.num_threads
        several = count > 1
        lines = [
            f"<flambeau.utils.benchmark.Measurement object at {id(self):#x}>",
            self.task_spec.summarize(),
            f"  {'Median: ' if several else ''}{median / scale:.2f} {unit}",
            f"  IQR:    {self.iqr / scale:.2f} {unit} ({low / scale:.2f} to {high / scale:.2f})" if count >= 4 else "",
            f"  {count} measurement{'s' if several else ''}, {self.number_per_run} runs "
            f"{'per measurement,' if several else ','} {threads} thread{'s' if threads > 1 else ''}",
            self._warning(),
        ]
        return "\n".join(line for line in lines if line)

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """Merge the measurements of each task into one measurement with all times, scaled to single runs."""
        times: dict[TaskSpec, list[float]] = {}
        for each in measurements:
            times.setdefault(each.task_spec, []).extend(each.times)
        return [Measurement(1, together, task) for task, together in times.items()]


def select_unit(t: float) -> tuple[str, float]:
    """Return a suitable unit for a time in seconds, and the length of the unit in seconds.

    >>> from flambeau.utils.benchmark import select_unit
    >>> select_unit(2.5e-4)
    ('us', 1e-06)
    """
    unit = {-3: "ns", -2: "us", -1: "ms"}.get(int(math.log10(t) // 3), "s")
    return unit, _SCALES[unit]


def unit_to_english(u: str) -> str:
    """Return the English name of a unit of time: ``"ns"``, ``"us"``, ``"ms"`` or ``"s"``.

    >>> from flambeau.utils.benchmark import unit_to_english
    >>> unit_to_english("us")
    'microsecond'
    """
    return _ENGLISH[u]


def trim_sigfig(x: float, n: int) -> float:
    """Round a number to ``n`` significant figures.

    >>> from flambeau.utils.benchmark import trim_sigfig
    >>> trim_sigfig(3.14159, 3)
    3.14
    """
    if n != int(n):
        raise AssertionError("Number of significant figures must be an integer")
    return float(f"{x:.{n - 1}e}")


def ordered_unique(elements: Iterable[H]) -> list[H]:
    """Return the elements without duplicates, in the order of their first occurrence.

    >>> from flambeau.utils.benchmark import ordered_unique
    >>> ordered_unique("banana")
    ['b', 'a', 'n']
    """
    return list(dict.fromkeys(elements))
