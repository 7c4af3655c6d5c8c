"""Starting a function in several processes, and hearing of the one that fails."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PR_SET_PDEATHSIG = 1
WAIT_FOR_REPORT = 1.0  # seconds


class ProcessException(Exception):  # noqa: N818
    """A process did not end well.

    Attributes:
        msg: what happened.
        error_index: the number of the process.
        pid: its identifier.
    """

    def __init__(self, msg: str, error_index: int, pid: int | None) -> None:
        super().__init__(msg)
        self.msg = msg
        self.error_index = error_index
        self.pid = pid

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.msg, self.error_index, self.pid)


class ProcessRaisedException(ProcessException):
    """A process raised an exception, whose traceback is in the message."""


class ProcessExitedException(ProcessException):
    """A process was ended by a signal or by an exit code other than 0.

    Attributes:
        exit_code: the code, or minus the number of the signal.
        signal_name: the name of the signal, if there was one.
    """

    def __init__(
        self, msg: str, error_index: int, error_pid: int | None, exit_code: int, signal_name: str | None = None
    ) -> None:
        super().__init__(msg, error_index, error_pid)
        self.exit_code = exit_code
        self.signal_name = signal_name

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.msg, self.error_index, self.pid, self.exit_code, self.signal_name)


def _run(function: Callable[..., Any], index: int, args: Sequence[Any], report: Any) -> None:
    _end_with_parent()
    try:
        function(index, *args)
    except KeyboardInterrupt:
        pass  # the parent was interrupted as well, and says so
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        report.send(traceback.format_exc())
        sys.last_value = error  # as after an exception that nobody handled, for what runs at the end
        sys.exit(1)
    finally:
        report.close()


def _end_with_parent() -> None:
    """Have the system interrupt this process when the one that started it is gone."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


class ProcessContext:
    """Processes that were started together.

    Attributes:
        processes: the processes, in order.
    """

    def __init__(self, processes: list[Any], reports: list[Any]) -> None:
        self.processes = processes
        self._reports = reports
        self._running = {process.sentinel: index for index, process in enumerate(processes)}

    @property
    def sentinels(self) -> list[int]:
        """What to wait for with ``multiprocessing.connection.wait``: those of the processes that run."""
        return list(self._running)

    def pids(self) -> list[int | None]:
        """The processes' identifiers."""
        return [process.pid for process in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait until one of the processes ends; end the others and raise if that one failed.

        Args:
            timeout: seconds to wait; None waits for ever.
            grace_period: seconds that the others get to end by themselves after one failed.
        Returns: whether all have ended. ``while not context.join(): pass`` waits for them.
        Raises: ProcessRaisedException, ProcessExitedException.
        """
        if not self._running:
            return True
        ready = multiprocessing.connection.wait(self.sentinels, timeout=timeout)
        for sentinel in ready:
            index = self._running.pop(sentinel)
            self.processes[index].join()
            if self.processes[index].exitcode != 0:
                self._end_all(grace_period)
                self._raise(index)
        return not self._running

    def _end_all(self, grace_period: float | None) -> None:
        deadline = time.monotonic() + (grace_period or 0)
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in self.processes:
            if process.is_alive():
                process.terminate()
        for process in self.processes:
            process.join()

    def _raise(self, index: int) -> None:
        process, report = self.processes[index], self._reports[index]
        if report.poll(WAIT_FOR_REPORT if process.exitcode == 1 else 0):
            with contextlib.suppress(EOFError):
                text = f"\n\n-- Process {index} terminated with the following error:\n{report.recv()}"
                raise ProcessRaisedException(text, index, process.pid)
        code = process.exitcode
        name = signal.Signals(-code).name if code < 0 and -code in set(signal.Signals) else None
        how = f"signal {name or -code}" if code < 0 else f"exit code {code}"
        raise ProcessExitedException(f"process {index} terminated with {how}", index, process.pid, code, name)


SpawnContext = ProcessContext


def start_processes(
    fn: Callable[..., Any],
    args: Sequence[Any] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Run ``fn(index, *args)`` in ``nprocs`` processes. See `spawn`, which starts them as its name says."""
    context: Any = multiprocessing.get_context(start_method)
    processes, reports = [], []
    for index in range(nprocs):
        report, reported = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(fn, index, args, reported), daemon=daemon)
        process.start()
        reported.close()
        processes.append(process)
        reports.append(report)
    started = ProcessContext(processes, reports)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any],
    args: Sequence[Any] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Run ``fn(index, *args)`` in ``nprocs`` fresh processes; if one fails, the others are ended.

    Args:
        fn: a function at the top of a module, which the processes import.
        args: must pickle; tensors among them share their memory with the processes.
        nprocs: how many.
        join: wait for all of them.
        daemon: they end when this process ends (they are interrupted in any case).
        start_method: ``"spawn"``; others as in `start_processes`.
    Returns: None, or with ``join=False`` the processes.
    Raises: ProcessRaisedException with the traceback if ``fn`` raises, ProcessExitedException if a process ends
        otherwise.
    """
    return start_processes(fn, args, nprocs, join, daemon, start_method)
