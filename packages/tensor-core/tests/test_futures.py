"""Tests of futures."""

import threading

import pytest

from flambeau.futures import Awaited, Future, collect_all, wait_all


def test_set_result_runs_callbacks():
    future, seen = Future(), []
    future.add_done_callback(lambda done: seen.append(done.value()))
    following = future.then(lambda done: done.value() + 1).then(lambda done: done.value() * 10)
    assert not future.done() and not following.done()
    with pytest.raises(RuntimeError, match="the future has no result yet"):
        future.value()
    threading.Timer(0.05, lambda: future.set_result(1)).start()
    assert future.wait() == 1 and following.wait() == 20 and seen == [1]
    future.add_done_callback(lambda done: seen.append("at once"))
    assert seen == [1, "at once"] and future.done() and future.value() == 1
    with pytest.raises(RuntimeError, match="mark a completed Future as complete again"):
        future.set_result(2)


def test_a_future_can_hold_an_exception():
    future = Future()
    following, handled = future.then(lambda done: done.value()), future.then(lambda done: "handled")
    future.set_exception(KeyError("gone"))
    for each in (future, following):
        with pytest.raises(KeyError, match="gone"):
            each.wait()
    assert handled.wait() == "handled"
    with pytest.raises(TypeError, match="set_exception takes an exception, not str"):
        Future().set_exception("gone")


def test_a_future_may_compute_its_result_in_wait():
    calls, ready = [], []
    future = Awaited(lambda: bool(ready), lambda: calls.append(1) or "got")
    following = future.then(lambda done: done.value() + "!")
    assert not future.done() and not following.done() and not calls
    ready.append(True)
    assert following.done() and following.wait() == "got!" and future.wait() == "got" and calls == [1]

    def fail():
        raise ValueError("no")

    failing = Awaited(lambda: False, fail)
    with pytest.raises(ValueError, match="no"):
        failing.then(lambda done: done.value()).wait()


def test_collect_all_and_wait_all_wait_for_all_futures():
    first, second = Future(), Future()
    both = collect_all([first, second])
    first.set_result(1)
    assert not both.done()
    second.set_result(2)
    assert both.wait() == [first, second] and wait_all([first, second]) == [1, 2]


def test_collect_all_and_wait_all_raise_the_exception_of_a_future():
    first, second = Future(), Future()
    both = collect_all([first, second])
    first.set_result(1)
    second.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        both.wait()
    with pytest.raises(ValueError, match="no"):
        wait_all([first, second])
    assert wait_all([first]) == [1]
    with pytest.raises(TypeError, match="expected futures, got int"):
        wait_all([first, 1])
