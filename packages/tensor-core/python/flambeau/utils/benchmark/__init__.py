"""Timing of statements: repeated measurements, their statistics, and tables that compare them.

>>> from flambeau.utils import benchmark
>>> timer = benchmark.Timer("x + x", setup="x = flambeau.ones(100)", label="addition", description="of 100")
>>> timer.timeit(10).number_per_run
10
"""

from ._compare import Colorize, Compare
from ._measurement import Measurement, TaskSpec, ordered_unique, select_unit, trim_sigfig, unit_to_english
from ._timer import Language, Timer, set_torch_threads, timer

__all__ = [
    "Colorize",
    "Compare",
    "Language",
    "Measurement",
    "TaskSpec",
    "Timer",
    "ordered_unique",
    "select_unit",
    "set_torch_threads",
    "timer",
    "trim_sigfig",
    "unit_to_english",
]
