"""The loader's side of worker processes."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import pickle
import selectors
import signal
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from typing import Any

from . import _tensors, _worker
from ._batches import unpack
from ._channel import Channel
from ._errors import rebuild
from ._fetch import Recipe
from ._results import Batch, End, Failure, Result
from ._shared_memory import Reader

_STOP_TIMEOUT = 1.0  # seconds for a worker to finish its batch when the loader stops
_CHECK_INTERVAL = 2.0  # seconds between checks that all workers are alive
_MAX_HELD_BATCHES = 8  # number of batches per worker that the program can keep in shared memory; see `Reader`

_NOT_PICKLABLE = (
    "the DataLoader cannot send {what} to its workers: {reason}. With start method {method!r}, the dataset, collate_fn "
    "and worker_init_fn must be picklable: define their classes and functions at the top level of a module, without "
    "lambdas and open files{alternative}."
)
_NO_MAIN_GUARD = (
    "this script starts DataLoader workers while a worker is importing it. With start method {method!r}, every worker "
    "imports the main script, so its code must be protected by a guard:\n\n"
    "    def main():\n        for batch in loader: ...\n\n"
    "    if __name__ == '__main__':\n        main()"
)
_NO_SHARED_MEMORY = (
    "DataLoader workers cannot allocate shared memory ({reason}): batches are copied through sockets, which is "
    "slower. In a container, increase the shared memory (docker run --shm-size=...)."
)


class WorkerProcesses:
    """Worker processes of one loader.

    Args:
        recipe: dataset, collate function and options that a worker needs to make batches.
        count: number of workers.
        ahead: number of batches that a worker prefetches.
        worker_init_fn: function that each worker calls with its id.
        context: context of ``multiprocessing``.
    """

    def __init__(
        self,
        recipe: Recipe,
        count: int,
        ahead: int,
        worker_init_fn: Callable[[int], None] | None,
        context: BaseContext,
    ) -> None:
        self.count = count
        self.posted = 0
        self._owner = os.getpid()
        self.stopped = False
        self._recipe = recipe
        self._worker_init_fn = worker_init_fn
        self._context = context
        self._method = context.get_start_method()
        self._as_pytorch = _tensors.draws_as_pytorch()
        self.seed: int | None = None
        self._channels: list[Channel] = []
        self._processes: list[Any] = []
        self._early: dict[int, list[bytes]] = {
            worker: [] for worker in range(count)
        }  # messages for workers that have not started
        self._readers = [Reader(ahead + _MAX_HELD_BATCHES) for _ in range(count)]
        self._pending: list[set[int]] = [set() for _ in range(count)]
        self._selector = selectors.DefaultSelector()
        self._warned = False
        _check_main_guard(self._method)
        _pools.add(self)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the running processes, for programs that iterate over ``_workers`` of PyTorch's iterators."""
        return iter(self._processes)

    def begin_epoch(self, epoch_seed: int) -> None:
        self.seed = epoch_seed if self._as_pytorch else None
        message = pickle.dumps(("epoch", epoch_seed))
        for worker in range(self.count):
            self._send(worker, message)

    def start(self) -> None:
        """Start the processes. Their channels already contain the first requests, so they read without delay."""
        for worker in range(len(self._processes), self.count):
            channel, end = Channel.pair()
            self._channels.append(channel)
            for message in self._early.pop(worker):
                channel.post(message)
            with end:  # the block closes the end before the next fork, which would inherit it
                self._processes.append(self._start(worker, end))
            self._selector.register(channel, channel.events(), worker)

    def _send(self, worker: int, message: bytes) -> None:
        if worker < len(self._channels):
            self._channels[worker].post(message)
        else:
            self._early[worker].append(message)

    def _start(self, worker: int, end: Any) -> Any:
        forked = self._method == "fork"
        parent = 0 if self._method == "forkserver" else os.getpid()
        assignment = _worker.Assignment(
            worker, self.count, self._recipe, self._worker_init_fn, forked, parent, self._as_pytorch
        )
        process = self._context.Process(  # type: ignore[attr-defined]
            target=_worker.main, args=(assignment, end), name=f"DataLoader worker {worker}", daemon=True
        )
        try:
            _start_process(process, forked)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            self.stop(at_once=True)
            raise self._explain(error) from error
        return process

    def _explain(self, error: Exception) -> Exception:
        parts = {"dataset": self._recipe.dataset, "collate_fn": self._recipe.collate_fn}
        if self._worker_init_fn is not None:
            parts["worker_init_fn"] = self._worker_init_fn
        guilty = [f"its {name} ({_name_of(part)})" for name, part in parts.items() if not _picklable(part)]
        if not guilty:
            return error
        fork = "fork" in multiprocessing.get_all_start_methods()
        alternative = ", or pass multiprocessing_context='fork'" if fork else ""
        what = " and ".join(guilty)
        message = _NOT_PICKLABLE.format(what=what, reason=error, method=self._method, alternative=alternative)
        return pickle.PicklingError(message)

    def post(self, worker: int, indices: Any) -> None:
        """Send a request for a batch to a worker. Requests are numbered consecutively."""
        number = self.posted
        self.posted += 1
        self._pending[worker].add(number)
        released = self._readers[worker].take_released()
        self._send(worker, pickle.dumps(("fetch", number, indices, released), protocol=5))

    def dismiss(self) -> None:
        """Tell the workers to end after they have completed all requests."""
        for worker in range(self.count):
            self._send(worker, pickle.dumps(("end",)))

    def receive(self, timeout: float | None) -> list[tuple[int, Result]]:
        """Wait for responses. Return pairs of the number of a request and its response.

        Raises: RuntimeError if a worker ended before it responded; TimeoutError after ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            for key in list(self._selector.get_map().values()):
                if key.events != (events := self._channels[key.data].events()):
                    self._selector.modify(key.fileobj, events, key.data)
            left = _CHECK_INTERVAL if deadline is None else min(_CHECK_INTERVAL, deadline - time.monotonic())
            ready = self._selector.select(max(0.0, left))
            responses = [response for key, events in ready for response in self._receive_from(key.data, events)]
            if responses:
                return responses
            if not ready:
                self._check_alive()
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError

    def _receive_from(self, worker: int, events: int) -> list[tuple[int, Result]]:
        """Exchange data with a worker whose channel is ready. Return the numbers and results of finished requests."""
        channel = self._channels[worker]
        if events & selectors.EVENT_WRITE:
            channel.flush()
        if not events & selectors.EVENT_READ:
            return []
        try:
            payload, handle = channel.receive()
        except (EOFError, ConnectionResetError):
            self._forget(worker)
            if self._pending[worker]:
                raise self._exit_error(worker) from None
            return []
        number, kind, content = pickle.loads(payload)
        self._pending[worker].discard(number)
        if kind == "error":
            return [(number, Failure(rebuild(content)))]
        if kind == "end":
            return [(number, End(worker))]
        batch, sharing_error = unpack(content, handle, self._readers[worker])
        if sharing_error is not None and not self._warned:
            self._warned = True
            warnings.warn(_NO_SHARED_MEMORY.format(reason=sharing_error), RuntimeWarning, stacklevel=4)
        return [(number, Batch(batch))]

    def _check_alive(self) -> None:
        for worker, process in enumerate(self._processes):
            if self._pending[worker] and not process.is_alive():
                self._forget(worker)
                raise self._exit_error(worker)

    def _forget(self, worker: int) -> None:
        """Stop waiting for a worker that has ended."""
        with contextlib.suppress(KeyError):  # already forgotten
            self._selector.unregister(self._channels[worker])

    def _exit_error(self, worker: int) -> RuntimeError:
        process = self._processes[worker]
        process.join(_STOP_TIMEOUT)
        code, who = process.exitcode, f"DataLoader worker (pid {process.pid})"
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            hint = " The system may have run out of memory." if name == "SIGKILL" else ""
            return RuntimeError(f"{who} is killed by signal: {name}.{hint}")
        hint = "" if self._method == "fork" else f" See its traceback. A possible cause: {_main_guard(self._method)}"
        return RuntimeError(f"{who} exited unexpectedly with exit code {code}.{hint}")

    def stop(self, at_once: bool = False) -> None:
        """End all workers and wait until they have ended.

        Idle workers end immediately. Busy workers get a second to finish their batch, or no time if ``at_once``.
        """
        self.stopped = True
        _pools.discard(self)
        if os.getpid() != self._owner:  # a forked process does not own the workers
            return
        processes = self._processes
        if not at_once:
            for channel in self._channels:
                channel.close_sending()
            deadline = time.monotonic() + _STOP_TIMEOUT
            for process in processes:
                process.join(max(0.0, deadline - time.monotonic()))
        self._selector.close()
        for channel in self._channels:
            channel.close()
        for process in processes:
            if process.exitcode is None:
                process.kill()
        for process in processes:
            process.join()
            process.close()
        self._channels, self._processes = [], []

    _shutdown_workers = stop  # PyTorch's name


def _start_process(process: Any, forked: bool) -> None:
    with warnings.catch_warnings():
        if forked:  # Python warns about the threads of the tensor library, which handles forks
            warnings.filterwarnings("ignore", message=".*use of fork.*", category=DeprecationWarning)
        process.start()


def _check_main_guard(method: str) -> None:
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(_main_guard(method))


def _main_guard(method: str) -> str:
    return _NO_MAIN_GUARD.format(method=method)


def _picklable(part: Any) -> bool:
    try:
        pickle.dumps(part)
    except Exception:  # pickling runs code of the object's class, which can raise any exception
        return False
    return True


def _name_of(part: Any) -> str:
    return getattr(part, "__qualname__", type(part).__qualname__)


_pools: weakref.WeakSet[WorkerProcesses] = weakref.WeakSet()


def _stop_all() -> None:
    for pool in list(_pools):
        pool.stop(at_once=True)


atexit.register(_stop_all)


def _forget_workers_in_child() -> None:
    """Remove the workers from multiprocessing's list of children in a forked process.

    Otherwise the exit of the forked process would end the workers of its parent.
    """
    children: set[Any] = getattr(multiprocessing.process, "_children", set())
    for pool in _pools:
        children.difference_update(pool._processes)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers_in_child)
