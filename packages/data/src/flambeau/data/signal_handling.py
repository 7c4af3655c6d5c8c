"""PyTorch's private functions that raise an error if a worker process dies, for programs that start workers."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any

_worker_pids: dict[int, set[int]] = {}  # the key is the id of the pass
_SIGCHLD_handler_set = False


def _set_worker_pids(loader_id: int, pids: Iterable[int]) -> None:
    """Watch the workers of a pass."""
    _worker_pids[loader_id] = set(pids)


def _remove_worker_pids(loader_id: int) -> None:
    """Stop watching the workers of a pass."""
    _worker_pids.pop(loader_id, None)


def _error_if_any_worker_fails() -> None:
    """Raise RuntimeError if a watched worker was killed or failed. Do not reap the process.

    On macOS and Windows, which have no ``os.waitid``, do nothing.
    """
    if sys.platform == "darwin" or sys.platform == "win32":
        return
    for pids in _worker_pids.values():
        for pid in list(pids):
            try:
                ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # already reaped
                continue
            if ended is None or (ended.si_code == os.CLD_EXITED and ended.si_status == 0):
                continue
            pids.clear()  # raise only one error for the workers of a pass
            worker = f"DataLoader worker (pid {pid})"
            if ended.si_code == os.CLD_EXITED:
                raise RuntimeError(f"{worker} exited unexpectedly with exit code {ended.si_status}.")
            raise RuntimeError(f"{worker} is killed by signal: {signal.Signals(ended.si_status).name}.")


def _set_SIGCHLD_handler() -> None:
    """Set a signal handler that checks the watched workers when a child process ends.

    Only the main thread can set the handler. Windows has no such signal.
    """
    global _SIGCHLD_handler_set
    if sys.platform == "win32":
        return
    if _SIGCHLD_handler_set or threading.current_thread() is not threading.main_thread():
        return
    previous = signal.getsignal(signal.SIGCHLD)

    def handle(number: int, frame: Any) -> None:
        _error_if_any_worker_fails()
        if callable(previous):
            previous(number, frame)

    signal.signal(signal.SIGCHLD, handle)
    _SIGCHLD_handler_set = True


def _set_worker_signal_handlers() -> None:
    """Restore the default action of SIGTERM, so that it ends a worker at once."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
