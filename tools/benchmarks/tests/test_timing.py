"""Tests that measurements are precise enough, and leave the interpreter unchanged."""

import gc
import itertools
import sys

import pytest

from ..timing import Effort, seconds_per_call
from ..workload import Code, Library, expression

BRIEF = Effort(warm_up=1_000_000, batch=1_000_000, total=5_000_000, least_batches=3)


def test_the_time_per_call_follows_the_clock() -> None:
    """Take the fastest batch: every third call is interrupted for 1 ms."""
    now, calls = 0, 0

    def work() -> None:
        nonlocal now, calls
        calls += 1
        now += 2_000_000 + (1_000_000 if calls % 3 == 0 else 0)

    assert seconds_per_call(Code(work), BRIEF, clock=lambda: now) == pytest.approx(0.002)


def called_functions(code: Code) -> set[str]:
    """Return the names of the Python functions that run while the code is timed."""
    names: set[str] = set()
    sys.setprofile(lambda frame, event, _: names.add(frame.f_code.co_name) if event == "call" else None)
    try:
        seconds_per_call(code, BRIEF, clock=itertools.count(step=BRIEF.batch).__next__)
    finally:
        sys.setprofile(None)
    return names


def test_statements_are_timed_without_a_call() -> None:
    assert called_functions(Code(lambda: 1)) == {*called_functions(Code("x", {"x": 1})), "<lambda>"}


def test_the_garbage_collector_is_disabled_during_timing() -> None:
    seen: set[bool] = set()
    seconds_per_call(Code(lambda: seen.add(gc.isenabled())), BRIEF)
    assert seen == {False}
    assert gc.isenabled()


def test_every_library_receives_the_same_inputs() -> None:
    first, second = (expression("x", x=(3, 4))(LibraryOfArrays("numpy")).result() for _ in range(2))
    assert first.shape == (3, 4)
    assert (first == second).all()


class LibraryOfArrays(Library):
    """NumPy posing as a tensor library."""

    class fb:
        tensor = staticmethod(lambda array: array)
