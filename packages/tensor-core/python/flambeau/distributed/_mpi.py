"""Groups of processes that talk by MPI (``mpi4py``), for tensors in the memory of the CPU.

Importing this starts MPI where `_mpi_start` has not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from mpi4py import MPI

import flambeau
from flambeau import Tensor

from ._transport import Transport
from .errors import DistBackendError
from .reduce_op import ReduceOp
from .work import PAUSE, Work

__all__ = ["MPITransport"]

_OPERATIONS = {
    ReduceOp.SUM: MPI.SUM,
    ReduceOp.AVG: MPI.SUM,
    ReduceOp.PRODUCT: MPI.PROD,
    ReduceOp.MIN: MPI.MIN,
    ReduceOp.MAX: MPI.MAX,
    ReduceOp.BAND: MPI.BAND,
    ReduceOp.BOR: MPI.BOR,
    ReduceOp.BXOR: MPI.BXOR,
}
_OF_TRUTH_VALUES = {
    ReduceOp.SUM: MPI.LOR,
    ReduceOp.PRODUCT: MPI.LAND,
    ReduceOp.MIN: MPI.LAND,
    ReduceOp.MAX: MPI.LOR,
    ReduceOp.BAND: MPI.LAND,
    ReduceOp.BOR: MPI.LOR,
    ReduceOp.BXOR: MPI.LXOR,
}
_DATATYPES = {
    flambeau.float32: MPI.FLOAT,
    flambeau.float64: MPI.DOUBLE,
    flambeau.complex64: MPI.C_FLOAT_COMPLEX,
    flambeau.complex128: MPI.C_DOUBLE_COMPLEX,
    flambeau.bool: MPI.C_BOOL,
    **{getattr(flambeau, f"int{bits}"): getattr(MPI, f"INT{bits}_T") for bits in (8, 16, 32, 64)},
    **{getattr(flambeau, f"uint{bits}"): getattr(MPI, f"UINT{bits}_T") for bits in (8, 16, 32, 64)},
}
# What MPI has no numbers for, it moves as bytes, and flambeau computes.
_IN_PLACE: dict[ReduceOp, Callable[[Tensor, Tensor], Any]] = {
    ReduceOp.SUM: lambda total, more: total.add_(more),
    ReduceOp.AVG: lambda total, more: total.add_(more),
    ReduceOp.PRODUCT: lambda total, more: total.mul_(more),
    ReduceOp.MIN: lambda total, more: total.copy_(flambeau.minimum(total, more)),
    ReduceOp.MAX: lambda total, more: total.copy_(flambeau.maximum(total, more)),
}
_made: dict[Any, Any] = {}


def _once(key: Any, make: Callable[[], Any]) -> Any:
    """MPI's operations and datatypes are few: each is made once in a process."""
    if key not in _made:
        _made[key] = make()
    return _made[key]


def _datatype(dtype: flambeau.dtype) -> Any:
    found = _DATATYPES.get(dtype)
    return found if found is not None else _once(dtype, lambda: MPI.BYTE.Create_contiguous(dtype.itemsize).Commit())


def _operation(op: ReduceOp, dtype: flambeau.dtype) -> Any:
    if dtype == flambeau.bool:
        return _OF_TRUTH_VALUES[op]
    if dtype in _DATATYPES:
        return _OPERATIONS[op]
    combine = _IN_PLACE[op]

    def function(more: Any, total: Any, datatype: Any) -> None:
        combine(flambeau.frombuffer(total, dtype=dtype), flambeau.frombuffer(more, dtype=dtype))

    return _once((op, dtype), lambda: MPI.Op.Create(function, commute=True))


def _memory(tensor: Tensor) -> Any:
    return MPI.memory.fromaddress(tensor.data_ptr(), tensor.nbytes) if tensor.numel() else None


def _all(tensor: Tensor) -> list[Any]:
    """A tensor as MPI takes it."""
    return [_memory(tensor), tensor.numel(), _datatype(tensor.dtype)]


def _shares(tensor: Tensor, counts: int | Sequence[int]) -> list[Any]:
    """A tensor of which each rank has a share: all as many elements, or each its own number."""
    if isinstance(counts, int):
        return [_memory(tensor), counts, _datatype(tensor.dtype)]
    starts = [sum(counts[:rank]) for rank in range(len(counts))]
    return [_memory(tensor), list(counts), starts, _datatype(tensor.dtype)]


def _explained(what: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except MPI.Exception as error:
        raise DistBackendError(f"{what}: {error}") from error


class _Progress:
    """A thread that keeps messages going which nobody waits for, while there are any."""

    def __init__(self) -> None:
        self._works: list[Work] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, work: Work) -> None:
        """See to a work, which lives until it is done."""
        with self._changed:
            self._works.append(work)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="flambeau.distributed", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._works:
                    self._changed.wait()
                works = list(self._works)
            ended = {id(work) for work in works if work.progress()}
            with self._changed:
                self._works = [work for work in self._works if id(work) not in ended]
            time.sleep(PAUSE)


_progress = _Progress()


class MPITransport(Transport):
    """A group by a communicator of MPI."""

    def __init__(self, name: str, communicator: Any, timeout: timedelta | float) -> None:
        super().__init__(communicator.Get_rank(), communicator.Get_size(), timeout)
        self.name = name
        self._mpi = communicator

    def subgroup(self, ranks: Sequence[int], timeout: timedelta | float) -> MPITransport:
        """A group of some of the processes, which those call that it holds."""
        members = self._mpi.Get_group().Incl(list(ranks))
        return MPITransport(self.name, self._mpi.Create_group(members), timeout)

    def _begin(
        self,
        what: str,
        begin: Callable[[], Any],
        outputs: Sequence[Tensor | None] = (),
        inputs: Sequence[Tensor | None] = (),
        status: Any = None,
    ) -> Work:
        def ready() -> bool:
            return _explained(what, lambda: request.Test(status))  # type: ignore[no-any-return]

        request = _explained(what, begin)
        filled = [tensor for tensor in outputs if tensor is not None]
        kept = (request, inputs, outputs)
        common: dict[str, Any] = {
            "rank": self.rank,
            "size": self.size,
            "timeout": self.timeout,
            "watch": _progress.watch,
        }
        return Work(what, ready, filled, kept, **common)

    def _mean(self, op: ReduceOp, tensor: Tensor, work: Work) -> Work:
        """The work, after which a sum is divided where the mean was asked for."""
        return work.finish_with(lambda: tensor.div_(self.size)) if op is ReduceOp.AVG else work

    def all_reduce(self, tensor: Tensor, op: ReduceOp) -> Work:
        operation = _operation(op, tensor.dtype)
        begin = partial(self._mpi.Iallreduce, MPI.IN_PLACE, _all(tensor), operation)
        return self._mean(op, tensor, self._begin("all_reduce", begin, [tensor]))

    def reduce(self, tensor: Tensor, root: int, op: ReduceOp) -> Work:
        operation = _operation(op, tensor.dtype)
        if self.rank != root:
            begin = partial(self._mpi.Ireduce, _all(tensor), None, operation, root)
            return self._begin("reduce", begin, [tensor])
        begin = partial(self._mpi.Ireduce, MPI.IN_PLACE, _all(tensor), operation, root)
        return self._mean(op, tensor, self._begin("reduce", begin, [tensor]))

    def broadcast(self, tensor: Tensor, root: int) -> Work:
        return self._begin("broadcast", partial(self._mpi.Ibcast, _all(tensor), root), [tensor])

    def all_gather(self, output: Tensor, tensor: Tensor) -> Work:
        begin = partial(self._mpi.Iallgather, _all(tensor), _shares(output, tensor.numel()))
        return self._begin("all_gather", begin, [output], [tensor])

    def gather(self, output: Tensor | None, tensor: Tensor, root: int) -> Work:
        shares = None if output is None else _shares(output, tensor.numel())
        return self._begin("gather", partial(self._mpi.Igather, _all(tensor), shares, root), [output], [tensor])

    def scatter(self, output: Tensor, tensor: Tensor | None, root: int) -> Work:
        shares = None if tensor is None else _shares(tensor, output.numel())
        return self._begin("scatter", partial(self._mpi.Iscatter, shares, _all(output), root), [output], [tensor])

    def reduce_scatter(self, output: Tensor, tensor: Tensor, op: ReduceOp) -> Work:
        operation = _operation(op, tensor.dtype)
        begin = partial(self._mpi.Ireduce_scatter_block, _shares(tensor, output.numel()), _all(output), operation)
        return self._mean(op, output, self._begin("reduce_scatter", begin, [output], [tensor]))

    def all_to_all(self, output: Tensor, tensor: Tensor, received: Sequence[int], sent: Sequence[int]) -> Work:
        begin = partial(self._mpi.Ialltoallv, _shares(tensor, sent), _shares(output, received))
        return self._begin("all_to_all", begin, [output], [tensor])

    def send(self, tensor: Tensor, to: int, tag: int) -> Work:
        return self._begin("send", partial(self._mpi.Isend, _all(tensor), to, tag), [], [tensor])

    def receive(self, tensor: Tensor, source: int | None, tag: int) -> Work:
        status = MPI.Status()
        begin = partial(self._mpi.Irecv, _all(tensor), MPI.ANY_SOURCE if source is None else source, tag)
        work = self._begin("recv", begin, [tensor], status=status)

        def check() -> None:
            arrived = status.Get_elements(MPI.BYTE)
            if arrived != tensor.nbytes:
                raise DistBackendError(
                    f"recv: a tensor of {tensor.nbytes} bytes ({tuple(tensor.shape)}, {tensor.dtype}) was to be "
                    f"filled, but {arrived} came from rank {status.source}"
                )

        work.source_rank = lambda: status.source  # type: ignore[method-assign]
        return work.finish_with(check)

    def barrier(self) -> Work:
        return self._begin("barrier", self._mpi.Ibarrier)
