"""Test the check for failed workers that a program started itself, and ``get_worker_info`` in such a worker."""

import multiprocessing
import os
import signal

import pytest

from flambeau.data import get_worker_info, signal_handling, worker

FORK = multiprocessing.get_context("fork")


def _watched_end(function):
    process = FORK.Process(target=function, daemon=True)
    process.start()
    signal_handling._set_worker_pids(1, [process.pid])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # wait without reaping it
    try:
        signal_handling._error_if_any_worker_fails()
    finally:
        signal_handling._remove_worker_pids(1)
        process.join()


def _fail():
    os._exit(3)


def _be_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def _succeed():
    os._exit(0)


def test_the_death_of_a_watched_worker_raises():
    with pytest.raises(RuntimeError, match="exited unexpectedly with exit code 3"):
        _watched_end(_fail)
    with pytest.raises(RuntimeError, match="killed by signal: SIGKILL"):
        _watched_end(_be_killed)


def test_a_worker_that_succeeds_or_is_not_watched_does_not_raise():
    _watched_end(_succeed)
    process = FORK.Process(target=_fail, daemon=True)
    process.start()
    signal_handling._set_worker_pids(2, [process.pid])
    signal_handling._remove_worker_pids(2)
    process.join()
    signal_handling._error_if_any_worker_fails()
    assert process.exitcode == 3


def test_get_worker_info_works_in_custom_workers(monkeypatch):
    assert get_worker_info() is None
    monkeypatch.setattr(worker, "_worker_info", worker.WorkerInfo(1, 2, 5, "abc"))
    assert get_worker_info().id == 1 and get_worker_info().num_workers == 2


def test_the_watchdog_detects_the_end_of_the_parent():
    watchdog = worker.ManagerWatchdog()
    assert watchdog.is_alive()
    watchdog._parent = os.getpid()
    assert not watchdog.is_alive()
