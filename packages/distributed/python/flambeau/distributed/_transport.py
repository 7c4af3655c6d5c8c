"""Transports, which send tensors between the processes of a group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import partial
from typing import Any

import flambeau
from flambeau import Tensor

from ._watch import Peers
from .reduce_op import ReduceOp
from .work import Work

__all__ = ["SingleProcessTransport", "Transport"]


class Transport(ABC):
    """Base class of transports for the tensors of one device type and the processes of one group.

    Callers pass contiguous tensors of the right sizes, and ranks within the group. Methods return immediately with a
    `Work` to wait for.
    """

    name: str
    device = "cpu"  # device type of the tensors

    def __init__(self, rank: int, size: int, timeout: timedelta | float, peers: Peers | None = None) -> None:
        self.rank, self.size, self.timeout = rank, size, timeout
        self.peers = peers  # None if the ends of other ranks are not detected

    @abstractmethod
    def all_reduce(self, tensor: Tensor, op: ReduceOp, shapes: Sequence[Sequence[int]] = ()) -> Work:
        """Reduce a tensor over all ranks in place.

        Args:
            shapes: shapes of the tensors that are packed into ``tensor``; they must be the same on all ranks.
        """

    def all_reduce_coalesced(self, tensors: Sequence[Tensor], op: ReduceOp) -> Work:
        """Reduce several tensors of one dtype in place. The base class packs them into one tensor."""
        sizes = [each.numel() for each in tensors]
        packed = flambeau.cat([each.view(-1) for each in tensors])
        work = self.all_reduce(packed, op, [each.shape for each in tensors])
        for each, part in zip(tensors, packed.split(sizes), strict=True):
            work.finish_with(partial(each.view(-1).copy_, part))
        return work

    @abstractmethod
    def reduce(self, tensor: Tensor, root: int, op: ReduceOp) -> Work:
        """Reduce a tensor to the rank ``root``."""

    @abstractmethod
    def broadcast(self, tensor: Tensor, root: int) -> Work:
        """Copy the tensor of the rank ``root`` to all ranks."""

    @abstractmethod
    def all_gather(self, output: Tensor, tensor: Tensor) -> Work:
        """Concatenate the tensors of all ranks on each rank."""

    @abstractmethod
    def gather(self, output: Tensor | None, tensor: Tensor, root: int) -> Work:
        """Concatenate the tensors of all ranks on the rank ``root``."""

    @abstractmethod
    def scatter(self, output: Tensor, tensor: Tensor | None, root: int) -> Work:
        """Distribute equal parts of the tensor of the rank ``root``."""

    @abstractmethod
    def reduce_scatter(self, output: Tensor, tensor: Tensor, op: ReduceOp) -> Work:
        """Reduce the tensors of all ranks and scatter the result: each rank receives one part in ``output``."""

    @abstractmethod
    def all_to_all(self, output: Tensor, tensor: Tensor, received: Sequence[int], sent: Sequence[int]) -> Work:
        """Send a part of ``tensor`` to each rank. ``sent`` and ``received`` are the numbers of elements per rank."""

    @abstractmethod
    def send(self, tensor: Tensor, to: int, tag: int) -> Work:
        """Send a tensor to a rank."""

    @abstractmethod
    def receive(self, tensor: Tensor, source: int | None, tag: int) -> Work:
        """Receive a tensor from a rank, or from the first rank that sends if ``source`` is None."""

    def batched_messages(self) -> AbstractContextManager[Any]:
        """Return a context. Messages that are started in this context are sent concurrently."""
        return nullcontext()

    @abstractmethod
    def barrier(self) -> Work:
        """Wait until all ranks have called this."""

    def close(self) -> None:  # noqa: B027, some transports have no resources
        """Release the resources of the group."""

    def _work(self, what: str, outputs: Sequence[Tensor] = ()) -> Work:
        """Return a work that is already complete."""
        return Work(what, lambda: True, outputs, rank=self.rank, size=self.size, timeout=self.timeout)


class SingleProcessTransport(Transport):
    """Transport of a group with one process. It sends nothing."""

    def __init__(self, name: str, timeout: timedelta | float) -> None:
        super().__init__(0, 1, timeout)
        self.name = name

    def _copy(self, what: str, output: Tensor | None, tensor: Tensor | None) -> Work:
        if output is not None and tensor is not None:
            output.view(-1).copy_(tensor.view(-1))
        return self._work(what, [] if output is None else [output])

    def all_reduce(self, tensor: Tensor, op: ReduceOp, shapes: Sequence[Sequence[int]] = ()) -> Work:
        return self._work("all_reduce", [tensor])

    def reduce(self, tensor: Tensor, root: int, op: ReduceOp) -> Work:
        return self._work("reduce", [tensor])

    def broadcast(self, tensor: Tensor, root: int) -> Work:
        return self._work("broadcast", [tensor])

    def all_gather(self, output: Tensor, tensor: Tensor) -> Work:
        return self._copy("all_gather", output, tensor)

    def gather(self, output: Tensor | None, tensor: Tensor, root: int) -> Work:
        return self._copy("gather", output, tensor)

    def scatter(self, output: Tensor, tensor: Tensor | None, root: int) -> Work:
        return self._copy("scatter", output, tensor)

    def reduce_scatter(self, output: Tensor, tensor: Tensor, op: ReduceOp) -> Work:
        return self._copy("reduce_scatter", output, tensor)

    def all_to_all(self, output: Tensor, tensor: Tensor, received: Sequence[int], sent: Sequence[int]) -> Work:
        return self._copy("all_to_all", output, tensor)

    def send(self, tensor: Tensor, to: int, tag: int) -> Work:
        raise ValueError("send: a process cannot send to itself, and this group has no other process")

    def receive(self, tensor: Tensor, source: int | None, tag: int) -> Work:
        raise ValueError("recv: a process cannot receive from itself, and this group has no other process")

    def barrier(self) -> Work:
        return self._work("barrier")
