"""Worker process, which makes batches on request and sends them to the loader."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pickle
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import _errors, _random_state, _tensors
from ._batches import Sender
from ._channel import Channel
from ._fetch import Recipe
from ._seeds import Seeds
from .worker import Introduction, WorkerInfo, _generate_state, set_worker_info

_CHECK_INTERVAL = 2000  # milliseconds between checks that the loader's process is alive


@dataclass(frozen=True)
class Assignment:
    """Arguments of a worker process."""

    id: int
    num_workers: int
    recipe: Recipe
    worker_init_fn: Callable[[int], None] | None
    forked: bool
    parent: int
    as_pytorch: bool  # if True, one seed for the worker's lifetime, as in PyTorch; if False, one seed per sample


def main(assignment: Assignment, end: socket.socket) -> None:
    """Run a worker process until the loader closes the channel."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the loader's process handles Ctrl-C
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.freeze()  # keep the garbage collector from writing to memory pages that are shared with the parent
    _tensors.use_one_thread()
    threading.Thread(target=_exit_with_loader, args=(end, assignment), daemon=True).start()
    channel = Channel(end)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the loader has closed the channel
        _Server(assignment, channel).run()
        if sys.platform == "win32":  # the loader may not have mapped the memory of the last batches yet
            channel.receive()


def _exit_with_loader(end: socket.socket, assignment: Assignment) -> None:
    """Wait until the loader's process has ended, then end this process, even while it reads a sample."""
    if sys.platform == "win32":
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
    else:
        poller = select.poll()
        poller.register(end, 0)  # the poller reports a hang-up when the loader's end is closed
        while not poller.poll(_CHECK_INTERVAL):
            if assignment.parent and os.getppid() != assignment.parent:
                break
    os._exit(1)


class _Server:
    """Loop that responds to the loader's messages."""

    def __init__(self, assignment: Assignment, channel: Channel) -> None:
        self._assignment = assignment
        self._channel = channel
        self._sender = Sender()
        self._fetcher = assignment.recipe.fetcher(None if assignment.as_pytorch else Seeds(guest=False))
        self._introduction = Introduction(assignment.id, assignment.worker_init_fn)
        self._seeded = False

    def run(self) -> None:
        while True:
            payload, _ = self._channel.receive()
            kind, *details = pickle.loads(payload)
            if kind == "end" or self._channel.is_closed_by_peer():
                return
            if kind == "epoch":
                self._begin_epoch(*details)
            else:
                self._respond(*details)

    def _begin_epoch(self, epoch_seed: int) -> None:
        if not (self._seeded and self._assignment.as_pytorch):
            self._seed(epoch_seed)
        self._fetcher.begin(epoch_seed)
        self._introduction.run()

    def _seed(self, epoch_seed: int) -> None:
        assignment, self._seeded = self._assignment, True
        seed = epoch_seed + assignment.id
        set_worker_info(WorkerInfo(assignment.id, assignment.num_workers, seed, assignment.recipe.dataset))
        if assignment.as_pytorch:
            _tensors.draw_as_pytorch()  # a process that was not forked did not inherit this setting
            _random_state.seed_all(seed, _generate_state(epoch_seed, assignment.id))
        else:
            _random_state.seed_all(seed)

    def _respond(self, number: int, indices: Any, released: list[int]) -> None:
        """Make a batch and send it, or send the error."""
        self._sender.release(released)
        segment = None
        try:
            self._introduction.check()
            self._sender.begin()
            description, segment = self._sender.pack([self._fetcher(indices)])
            message = (number, "batch", description)
        except StopIteration:
            message = (number, "end", None)
        except Exception as error:
            worker = f"worker {self._assignment.id} (pid {os.getpid()})"
            message = (number, "error", _errors.describe(error, worker))
        self._channel.send(pickle.dumps(message, protocol=5), None if segment is None else segment.handle)
        if segment is not None:
            segment.close_handle()
