"""A worker: reads batches on request and sends them to the loader."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import _errors, _random_state, _tensors
from ._batches import Sender
from ._channel import Channel
from ._fetch import Fetcher, Recipe
from ._seeds import Seeds
from .worker import WorkerInfo, set_worker_info

_PATIENCE = 2000  # milliseconds between two looks whether the loader's process is still there


@dataclass(frozen=True)
class Assignment:
    """What a worker process is started with."""

    id: int
    num_workers: int
    recipe: Recipe
    worker_init_fn: Callable[[int], None] | None
    forked: bool
    parent: int


def main(assignment: Assignment, end: socket.socket) -> None:
    """The life of a worker process, from its start to the end of the loader's messages."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the loader's process answers it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.freeze()  # what was inherited stays in pages shared with the parent: the collector leaves its marks elsewhere
    _tensors.use_one_thread()
    threading.Thread(target=_end_with_the_loader, args=(end, assignment), daemon=True).start()
    channel = Channel(end)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the loader wants no more
        _serve(assignment, channel)


def _end_with_the_loader(end: socket.socket, assignment: Assignment) -> None:
    """End this process at once when the loader's has gone, even from the middle of reading a sample."""
    poller = select.poll()
    poller.register(end, 0)  # it hangs up: the loader's end is closed
    while not poller.poll(_PATIENCE):
        if assignment.parent and os.getppid() != assignment.parent:
            break
    os._exit(1)


def _serve(assignment: Assignment, channel: Channel) -> None:
    sender = Sender()
    fetcher = assignment.recipe.fetcher(Seeds(guest=False))
    refusal: BaseException | None = None  # what worker_init_fn raised: the answer to the first request
    started = False
    while True:
        payload, _ = channel.receive()
        kind, *details = pickle.loads(payload)
        if kind == "end" or channel.is_deserted():
            return
        if kind == "epoch":
            begin_epoch(assignment.id, assignment.num_workers, assignment.recipe, fetcher, details[0])
            if not started and assignment.worker_init_fn is not None:
                try:
                    assignment.worker_init_fn(assignment.id)
                except Exception as error:
                    error.add_note("raised by worker_init_fn")
                    refusal = error
            started = True
        else:
            number, indices, released = details
            sender.release(released)
            _answer(assignment, channel, sender, fetcher, number, indices, refusal)
            refusal = None


def begin_epoch(worker: int, num_workers: int, recipe: Recipe, fetcher: Fetcher, epoch_seed: int) -> None:
    """What comes before the first batch of an epoch in a process of its own: seeds."""
    seed = epoch_seed + worker
    set_worker_info(WorkerInfo(worker, num_workers, seed, recipe.dataset))
    _random_state.seed_all(seed)
    fetcher.begin(epoch_seed)


def _answer(
    assignment: Assignment,
    channel: Channel,
    sender: Sender,
    fetcher: Fetcher,
    number: int,
    indices: Any,
    refusal: BaseException | None,
) -> None:
    """Make a batch and send it, or say why there is none."""
    segment = None
    try:
        if refusal is not None:
            raise refusal
        sender.begin()
        description, segment = sender.pack([fetcher(indices)])
        message = (number, "batch", description)
    except StopIteration:
        message = (number, "end", None)
    except Exception as error:
        message = (number, "error", _errors.describe(error, f"worker {assignment.id} (pid {os.getpid()})"))
    channel.send(pickle.dumps(message, protocol=5), None if segment is None else segment.descriptor)
    if segment is not None:
        segment.close_descriptor()
