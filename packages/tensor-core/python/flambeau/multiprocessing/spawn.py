"""Functions that run in several processes, with error reports from the processes."""

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
    """Error for a process that failed. See `ProcessRaisedException`.

    Attributes:
        msg: description of the failure.
        error_index: index of the process.
        pid: process identifier.
    """

    def __init__(self, msg: str, error_index: int, pid: int | None) -> None:
        super().__init__(msg)
        self.msg = msg
        self.error_index = error_index
        self.pid = pid

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.msg, self.error_index, self.pid)


class ProcessRaisedException(ProcessException):
    """Error for a process that raised an exception. The message contains its traceback.

    >>> from flambeau import multiprocessing as mp
    >>> try:
    ...     mp.start_processes(lambda index: 1 / 0, start_method="fork")
    ... except mp.ProcessRaisedException as error:
    ...     print(error.error_index, str(error).splitlines()[-1])
    0 ZeroDivisionError: division by zero
    """


class ProcessExitedException(ProcessException):
    """Error for a process that a signal or a nonzero exit code terminated.

    Attributes:
        exit_code: the exit code, or the negative signal number.
        signal_name: name of the signal, or None.

    >>> import os
    >>> from flambeau import multiprocessing as mp
    >>> try:
    ...     mp.start_processes(lambda index: os.kill(os.getpid(), 9), start_method="fork")
    ... except mp.ProcessExitedException as error:
    ...     print(error.exit_code, error.signal_name)
    -9 SIGKILL
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
        pass  # the parent was also interrupted, and reports it
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        report.send(traceback.format_exc())
        sys.last_value = error  # exit handlers read it, as after an unhandled exception
        sys.exit(1)
    finally:
        report.close()


def _end_with_parent() -> None:
    """Ask the system to interrupt this process when its parent ends. Only Linux supports this."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


class ProcessContext:
    """Processes that were started together.

    Attributes:
        processes: the processes, in order.

    >>> from flambeau import multiprocessing as mp
    >>> started = mp.start_processes(lambda index: None, nprocs=2, join=False, start_method="fork")
    >>> while not started.join():
    ...     pass
    >>> [process.exitcode for process in started.processes]
    [0, 0]
    """

    def __init__(self, processes: list[Any], reports: list[Any]) -> None:
        self.processes = processes
        self._reports = reports
        self._running = {process.sentinel: index for index, process in enumerate(processes)}

    @property
    def sentinels(self) -> list[int]:
        """Sentinels of the running processes, for ``multiprocessing.connection.wait``."""
        return list(self._running)

    def pids(self) -> list[int | None]:
        """Return the process identifiers."""
        return [process.pid for process in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait until a process ends. If it failed, terminate the others and raise an exception.

        Args:
            timeout: seconds to wait. None means no limit.
            grace_period: seconds that the other processes have to end by themselves after a failure.
        Returns: True if all processes have ended. ``while not context.join(): pass`` waits for all of them.
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
    """Run ``fn(index, *args)`` in ``nprocs`` processes, which start with ``start_method``.

    For the arguments and errors, see `spawn`. With ``"fork"``, ``fn`` can be any function.

    >>> from flambeau import multiprocessing as mp
    >>> results = fb.zeros(3).share_memory_()
    >>> mp.start_processes(lambda index: results[index].fill_(index**2), nprocs=3, start_method="fork")
    >>> results
    tensor([0., 1., 4.])
    """
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
    """Run ``fn(index, *args)`` in ``nprocs`` new processes. If one process fails, terminate the others.

    A script must call this function below ``if __name__ == "__main__":``, because the processes import the script.
    See `start_processes`.

    Args:
        fn: a function at module level, which the processes can import.
        args: arguments that can be pickled. Tensors share their memory with the processes.
        nprocs: number of processes.
        join: if True, wait for all processes.
        daemon: if True, Python terminates the processes when this process exits. On Linux, they also receive SIGINT
            when this process ends, regardless of ``daemon``.
        start_method: start method of Python's multiprocessing.
    Returns: None, or with ``join=False`` the ProcessContext.
    Raises: ProcessRaisedException with the traceback if ``fn`` raises; ProcessExitedException if a process ends
        otherwise.
    """
    return start_processes(fn, args, nprocs, join, daemon, start_method)
