"""Batches in pinned memory, from which GPUs copy asynchronously."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty
from typing import Any

from . import _tensors
from ._iterators import Epoch

_CHECK_INTERVAL = 5.0  # seconds between checks of the event ``done``


class PinnedEpoch(Epoch):
    """Pass that pins the batches of another pass.

    Args:
        unpinned: the pass whose batches are pinned.
        ahead: if True, a thread pins the next batch while the program uses the current one. Therefore the loader also
            reads the next batch earlier. If False, each batch is pinned when the program requests it.
    """

    def __init__(self, unpinned: Epoch, ahead: bool) -> None:
        self._unpinned = unpinned
        self._wanted = 2 if ahead else 1
        self._thread = ThreadPoolExecutor(1, "flambeau-pin-memory") if ahead else None
        self._pinned: deque[Future[Any]] = deque()
        self._exhausted = False

    def _next(self) -> Any:
        while len(self._pinned) < self._wanted and not self._exhausted:
            self._pinned.append(self._pin_next())
        if not self._pinned:
            raise StopIteration
        result = self._pinned.popleft()
        try:
            return result.result()
        except _EndOfEpoch:
            raise StopIteration from None
        finally:
            del result  # avoid a reference cycle, because the traceback refers to this frame

    def _pin_next(self) -> Future[Any]:
        """Start to pin the next batch. Return its future, which also stores an error of the unpinned pass."""
        done: Future[Any] = Future()
        try:
            batch = next(self._unpinned)
            if self._thread is not None:
                return self._thread.submit(pin, batch)
            done.set_result(pin(batch))
        except StopIteration:
            self._exhausted = True
            done.set_exception(_EndOfEpoch())
        except Exception as error:
            done.set_exception(error)
        return done

    def supersede(self) -> None:
        """End the other pass because a new pass uses the workers. Pinned batches are still delivered."""
        self._unpinned.supersede()


class _EndOfEpoch(Exception):  # noqa: N818, only this module uses the exception
    """Exception in a future at the end of the pass, because a future cannot raise StopIteration."""


def pin(batch: Any) -> Any:
    """Move tensors and all objects with ``pin_memory`` to pinned memory. Arrays are returned unchanged."""
    if _tensors.is_tensor(batch) or hasattr(batch, "pin_memory"):
        return batch.pin_memory()
    if isinstance(batch, Mapping):
        content = {key: pin(value) for key, value in batch.items()}
        if type(batch) is dict or not isinstance(batch, MutableMapping):
            return content
        same = copy.copy(batch)
        same.update(content)
        return same
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(pin, batch))
    if isinstance(batch, tuple):
        return tuple(map(pin, batch))
    if type(batch) is list:
        return [pin(value) for value in batch]
    return batch


def pin_memory(data: Any, device: str | None = None) -> Any:
    """Return ``pin(data)``. PyTorch has this private name. ``device`` is ignored."""
    return pin(data)


def _pin_memory_loop(incoming: Any, outgoing: Any, device_id: int, done: Any, device: str | None = None) -> None:
    """Pin the numbered batches of one queue and put them in another queue until the event ``done`` is set.

    Programs run this function in a thread.
    """
    while not done.is_set():
        try:
            number, content = incoming.get(timeout=_CHECK_INTERVAL)
        except Empty:
            continue
        if not done.is_set():
            outgoing.put((number, pin(content)))
