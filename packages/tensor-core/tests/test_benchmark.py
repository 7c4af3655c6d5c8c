"""Tests of flambeau.utils.benchmark. The printed texts are those of PyTorch 2.13 for the same measurements."""

import doctest
import math
import sys
import timeit

import pytest

import flambeau as fb
from flambeau.utils import benchmark
from flambeau.utils.benchmark import Compare, Measurement, TaskSpec, Timer, _compare, _measurement, _timer

SPREAD, STEADY = (1, 1.01, 1.02, 0.99, 1.3, 0.98, 1.0, 1.25), (1, 1.01, 1.02, 0.99, 1, 0.98, 1.0, 1.0)


def measured(sub_label, description, threads):
    seconds = {"float": 2.5e-4, "int": 3.1e-4}[sub_label] / threads * {"n=1": 1, "n=1000": 40}[description]
    task = TaskSpec("x + 1", "pass", "", "addition", sub_label, description, None, threads)
    return Measurement(100, [seconds * each for each in (SPREAD if sub_label == "int" else STEADY)], task)


@pytest.fixture
def results():
    kinds = [(s, d, t) for t in (1, 4) for s in ("float", "int") for d in ("n=1", "n=1000")]
    return [measured(*kind) for kind in kinds if kind != ("int", "n=1", 4)]


def printed(measurement):
    first, *rest = repr(measurement).splitlines()
    assert first == f"<flambeau.utils.benchmark.Measurement object at {id(measurement):#x}>"
    return rest


@pytest.mark.parametrize("module", [benchmark, _compare, _measurement, _timer])
def test_examples_of_benchmark_run(module):
    assert doctest.testmod(module, extraglobs={"flambeau": fb}).failed == 0


def test_measurements_report_their_statistics(results):
    times = sorted(results[2].times)
    assert results[2].times == [time / 100 for time in results[2].raw_times]
    assert math.isclose(results[2].median, (times[3] + times[4]) / 2)
    assert math.isclose(results[2].mean, sum(times) / 8)
    upper, lower = times[5] + 0.25 * (times[6] - times[5]), times[1] + 0.75 * (times[2] - times[1])
    assert math.isclose(results[2].iqr, upper - lower)
    assert [each.significant_figures for each in results] == [2, 3, 2, 2, 1, 3, 2]
    assert not results[2].has_warnings and results[2].meets_confidence(0.09) and not results[2].meets_confidence(0.07)
    assert results[2].sub_label == "int" and results[2].num_threads == 1 and results[2].title == "addition: int"
    with pytest.raises(AttributeError, match="'Measurement' object has no attribute 'nothing'"):
        results[2].nothing  # noqa: B018


def test_a_measurement_is_printed(results):
    assert printed(results[2]) == [
        "addition: int",
        "n=1",
        "  Median: 3.12 us",
        "  IQR:    0.25 us (3.09 to 3.34)",
        "  8 measurements, 100 runs per measurement, 1 thread",
    ]
    task = TaskSpec("x = 1\ny = 2", "a = 1\nb = 2", sub_label="two", description="lines")
    assert printed(Measurement(5, [1.5], task)) == [
        *("stmt: (two)", "  x = 1", "  y = 2", "", "lines", "setup:", "  a = 1", "  b = 2", ""),
        *("  300.00 ms", "  1 measurement, 5 runs , 1 thread"),
    ]
    task = TaskSpec("f()", "a = 1", label="L", num_threads=2)
    assert printed(Measurement(5, [1.5e-5, 2.5e-5, 9e-5, 1e-5], task)) == [
        *("L", "setup: a = 1", "  Median: 4.00 us", "  IQR:    5.50 us (2.75 to 8.25)"),
        "  4 measurements, 5 runs per measurement, 2 threads",
        "  WARNING: Interquartile range is 137.5% of the median measurement.",
        "           This suggests significant environmental influence.",
    ]
    fluctuating = Measurement(1, [1e-3, 1.1e-3, 1.2e-3, 1.3e-3], task)
    assert printed(fluctuating)[-1] == "           This could indicate system fluctuation."


PLAIN = """\
[------------ addition -----------]
             |   n=1    |   n=1000 
1 threads: ------------------------
      float  |  2500.0  |  100000.0
      int    |  3115.5  |  124620.0
4 threads: ------------------------
      float  |   625.0  |   25000.0
      int    |          |   31155.0

Times are in nanoseconds (ns).
"""  # noqa: W291

TRIMMED = """\
[---------- addition ---------]
             |  n=1   |  n=1000
1 threads: --------------------
      float  |  2500  |  100000
      int    |  3100  |  120000
4 threads: --------------------
      float  |   600  |   25000
      int    |        |   31000

Times are in nanoseconds (ns).
"""

ENVIRONMENTS = """\
[------ p -------]
            |   d 
1 threads: -------
  (A)    y  |  1.0
  (BBB)  y  |  2.0

Times are in milliseconds (ms).

[----- q -----]
         |   d 
1 threads: ----
      y  |  3.5

Times are in milliseconds (ms).
"""  # noqa: W291


def test_compare_prints_a_table(results, capsys):
    table = Compare(results[:3])
    table.extend_results(results[3:])
    assert str(table) == PLAIN
    table.trim_significant_figures()
    table.print()
    assert capsys.readouterr().out == TRIMMED + "\n"
    with pytest.raises(ValueError, match="Expected an instance of `Measurement`"):
        table.extend_results([1])


def test_compare_shows_environments_and_labels():
    kinds = ((1, "A", "p"), (2, "BBB", "p"), (3.5, "A", "q"))
    tasks = [Measurement(1, [x * 1e-3], TaskSpec("y", "pass", "", label, None, "d", env)) for x, env, label in kinds]
    assert str(Compare(tasks)) == ENVIRONMENTS


def test_compare_colours_the_measurements_by_rank(results):
    table = Compare(results)
    table.trim_significant_figures()
    table.colorize()
    best, bad = "\033[92m\033[1m{}\033[0m\033[0m", "\033[31m\033[1m{}\033[0m\033[0m"
    lines = str(table).splitlines()
    assert lines[3] == f"      float  |  {best.format('2500')}  |  {best.format('100000')}"
    assert lines[4] == "      int    |  3100  |  120000"
    table.colorize(rowwise=True)
    lines = str(table).splitlines()
    assert lines[3] == f"      float  |  {best.format('2500')}  |  {bad.format('100000')}"
    assert lines[7] == f"      int    |        |  {best.format(' 31000')}"


def test_high_variance_is_marked():
    table = Compare([Measurement(1, [1e-3, 2e-3, 3e-3, 4e-3], TaskSpec("f", "pass", label="L", description="d"))])
    table.highlight_warnings()
    assert "2.5 (! 60%)" in str(table)
    assert str(table).endswith("\n(! XX%) Measurement has high variance, where XX is the IQR / median * 100.\n")


def test_measurements_of_one_task_are_merged():
    task = TaskSpec("f()", "pass")
    (merged,) = Measurement.merge([Measurement(1, [1.0, 2.0], task), Measurement(10, [30.0], TaskSpec("f()", "pass"))])
    assert merged.times == [1.0, 2.0, 3.0] and merged.task_spec == task


def test_timer_uses_the_given_threads_and_variables():
    threads = fb.get_num_threads()
    seen = []
    timer = Timer("seen.append(flambeau.get_num_threads())", globals={"seen": seen}, num_threads=threads + 1)
    measurement = timer.timeit(3)
    assert set(seen) == {threads + 1} and len(seen) == 2 + 3 and fb.get_num_threads() == threads
    assert measurement.number_per_run == 3 and len(measurement.raw_times) == 1 and measurement.median > 0
    if "torch" not in sys.modules:
        with pytest.raises(NameError):
            Timer("torch.ones(1)").timeit(1)


def test_a_statement_of_several_lines_is_unindented():
    timer = Timer(
        """
        for _ in range(2):
            x += 1
        """,
        setup="""
            x = 1
        """,
    )
    spec = timer.timeit(1).task_spec
    assert spec.stmt == "for _ in range(2):\n    x += 1" and spec.setup == "x = 1"


class Clock:
    """Simulated clock: a statement advances it by given times, and each reading by a microsecond."""

    def __init__(self, steps):
        self.now, self.steps = 0.0, iter(steps)

    def __call__(self):
        self.now += 1e-6
        return self.now

    def work(self):
        self.now += next(self.steps)


def forever(*values):
    while True:
        yield from values


def test_blocked_autorange_runs_blocks_longer_than_the_clock_overhead():
    clock = Clock(forever(1e-4))
    calls = []
    measurement = Timer("clock.work()", timer=clock, globals={"clock": clock}).blocked_autorange(
        lambda number, seconds: calls.append((number, seconds)), min_run_time=1.0
    )
    assert measurement.number_per_run == 100  # takes 0.01 s, of which reading the clock is a 10,000th
    assert len(measurement.raw_times) == len(calls) == 100 and calls[0][0] == 100
    assert math.isclose(measurement.median, 1e-4, rel_tol=1e-4)


def test_adaptive_autorange_repeats_until_the_times_agree():
    clock = Clock(forever(0.06))
    steady = Timer("clock.work()", timer=clock, globals={"clock": clock}).adaptive_autorange()
    assert steady.number_per_run == 1 and len(steady.raw_times) == 4
    clock = Clock(forever(0.1, 0.9))
    wild = Timer("clock.work()", timer=clock, globals={"clock": clock}).adaptive_autorange(max_run_time=20)
    assert sum(wild.raw_times) > 20 and not wild.meets_confidence()


def test_unsupported_arguments_are_rejected():
    with pytest.raises(NotImplementedError, match=r"C\+\+ statements are not supported"):
        Timer("x++;", language="c++")
    with pytest.raises(ValueError, match="Invalid language"):
        Timer(language="cobol")
    with pytest.raises(ValueError, match="only a `str`"):
        Timer(print)
    with pytest.raises(ValueError, match=r"global_setup is C\+\+ only"):
        Timer(global_setup="x")
    for method in ("repeat", "autorange", "collect_callgrind"):
        with pytest.raises(NotImplementedError):
            getattr(Timer(), method)()


def test_timer_without_a_gpu_uses_the_cpu_clock():
    before = timeit.default_timer()
    assert before <= benchmark.timer() <= timeit.default_timer()
