"""Process groups over MPI (``mpi4py``), for CPU tensors.

Importing this module starts MPI unless `_mpi_start` has started it.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from mpi4py import MPI

import flambeau
from flambeau import Tensor

from ._in_order import InOrder, Steps
from ._shared_memory import Kind, SharedMemory
from ._signatures import TEXT_SIZE, Signature, mismatch
from ._transport import Transport
from ._watch import Participation, Peers
from .errors import DistBackendError
from .reduce_op import ReduceOp
from .work import PAUSE, Work

T = TypeVar("T")

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
_BOOL_OPERATIONS = {
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
# Reductions of dtypes that MPI does not have: MPI sends them as bytes, and flambeau reduces them.
_IN_PLACE: dict[ReduceOp, Callable[[Tensor, Tensor], Any]] = {
    ReduceOp.SUM: lambda total, more: total.add_(more),
    ReduceOp.AVG: lambda total, more: total.add_(more),
    ReduceOp.PRODUCT: lambda total, more: total.mul_(more),
    ReduceOp.MIN: lambda total, more: total.copy_(flambeau.minimum(total, more)),
    ReduceOp.MAX: lambda total, more: total.copy_(flambeau.maximum(total, more)),
}
_SPLIT_SIZES_DIFFER = (
    "all_to_all: rank {source} sends {given} elements to rank {to}, which expects {expected}: split sizes must match"
)
_cache: dict[Any, Any] = {}


def _cached(key: Any, make: Callable[[], T]) -> T:
    """Return an MPI operation or datatype from the cache; create it with ``make`` on first use."""
    if key not in _cache:
        _cache[key] = make()
    value: T = _cache[key]
    return value


def _datatype(dtype: flambeau.dtype) -> Any:
    datatype = _DATATYPES.get(dtype)
    return (
        datatype
        if datatype is not None
        else _cached(dtype, lambda: MPI.BYTE.Create_contiguous(dtype.itemsize).Commit())
    )


def _operation(op: ReduceOp, dtype: flambeau.dtype) -> Any:
    if dtype == flambeau.bool:
        return _BOOL_OPERATIONS[op]
    if dtype in _DATATYPES:
        return _OPERATIONS[op]
    combine = _IN_PLACE[op]

    def function(more: Any, total: Any, datatype: Any) -> None:
        combine(flambeau.frombuffer(total, dtype=dtype), flambeau.frombuffer(more, dtype=dtype))

    return _cached((op, dtype), lambda: MPI.Op.Create(function, commute=True))


def _memory(tensor: Tensor) -> Any:
    return MPI.memory.fromaddress(tensor.data_ptr(), tensor.nbytes) if tensor.numel() else None


def _whole_buffer(tensor: Tensor) -> list[Any]:
    """Return the MPI buffer of a whole tensor."""
    return [_memory(tensor), tensor.numel(), _datatype(tensor.dtype)]


def _split_buffer(tensor: Tensor, counts: int | Sequence[int]) -> list[Any]:
    """Return the MPI buffer of a tensor with one part per rank. ``counts`` has the numbers of elements of the parts."""
    if isinstance(counts, int):
        return [_memory(tensor), counts, _datatype(tensor.dtype)]
    starts = [sum(counts[:rank]) for rank in range(len(counts))]
    return [_memory(tensor), list(counts), starts, _datatype(tensor.dtype)]


def _explain_errors(what: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except MPI.Exception as error:
        raise DistBackendError(f"{what}: {error}") from error


class _Progress:
    """Background thread that makes progress on works that no thread waits for."""

    def __init__(self) -> None:
        self._works: list[Work] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, work: Work) -> None:
        """Make progress on ``work`` in the background, and keep it alive until it is complete."""
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
    """Transport over an MPI communicator, or over shared memory if all ranks are on one machine.

    Before each collective, the ranks exchange and compare signatures of the call. The exchange uses a second
    communicator, because the exchange starts immediately, while the collective starts only after the exchange.
    """

    def __init__(
        self,
        name: str,
        communicator: Any,
        ranks: Sequence[int],
        timeout: timedelta | float,
        peers: Peers | None = None,
    ) -> None:
        super().__init__(communicator.Get_rank(), communicator.Get_size(), timeout, peers)
        self.name, self.ranks = name, ranks
        self._mpi, self._control = communicator, communicator.Dup()
        self._order = InOrder()
        self._shared = SharedMemory.open(communicator, ranks)

    @classmethod
    def of(
        cls, name: str, everyone: Any, ranks: Sequence[int], timeout: timedelta | float, peers: Peers | None
    ) -> MPITransport:
        """Create the transport of ``ranks``, a subset of the communicator ``everyone``, in each of these ranks."""
        members = everyone.Get_group().Incl(list(ranks))
        return cls(name, everyone.Create_group(members), ranks, timeout, peers)

    def _pending(
        self,
        what: str,
        ready: Callable[[], bool],
        outputs: Sequence[Tensor | None],
        kept: Any,
        part: Participation | None,
    ) -> Work:
        filled = [tensor for tensor in outputs if tensor is not None]
        options: dict[str, Any] = {"rank": self.rank, "size": self.size, "timeout": self.timeout}
        return Work(what, ready, filled, kept, watch=_progress.watch, part=part, **options)

    def _collective(
        self,
        signature: Signature,
        begin: Callable[[], Any],
        outputs: Sequence[Tensor | None] = (),
        inputs: Sequence[Tensor | None] = (),
        further: Steps | None = None,
    ) -> Work:
        """Return the work of a collective that starts when all ranks have called it.

        Args:
            begin: function that starts the collective and returns its MPI request.
            further: steps between the comparison of signatures and the start of the collective.
        """
        what = signature.call

        def steps() -> Steps:
            yield from self._compare_signatures(signature)
            if further is not None:
                yield from further
            return begin()

        ready = _explain_errors(what, lambda: self._order.add(steps()))
        part = None if self.peers is None else self.peers.of_collective()
        return self._pending(what, lambda: _explain_errors(what, ready), outputs, (ready, inputs, outputs), part)

    def _in_memory(
        self,
        kind: Kind,
        signature: Signature,
        outputs: Sequence[Tensor],
        inputs: Sequence[Tensor] = (),
        share: int = 0,
    ) -> Work | None:
        """Return the work of a collective through shared memory, or None if shared memory does not support it.

        Args:
            share: bytes that each rank contributes.
        """
        shared = self._shared
        if shared is None or not shared.takes(kind, share, signature):
            return None
        request = shared.begin(kind, signature, inputs, outputs, share)
        part = None if self.peers is None else self.peers.of_collective()
        options: dict[str, Any] = {"rank": self.rank, "size": self.size, "timeout": self.timeout}
        alive = (request, list(inputs), list(outputs))
        return Work(
            signature.call, request.Test, outputs, alive, watch=partial(shared.attend, request), part=part, **options
        )

    def _compare_signatures(self, signature: Signature) -> Steps:
        """Exchange and compare signatures. Raises: RuntimeError, in all ranks, if they differ."""
        if self._shared is not None:
            yield self._shared.begin(Kind.CHECK, signature)
            return
        own, text = signature.encoded()
        everyone = bytearray(len(own) * self.size)
        yield self._control.Iallgather(own, everyone)
        if everyone != own * self.size:
            texts = bytearray(TEXT_SIZE * self.size)
            yield self._mpi.Iallgather(text, texts)
            raise mismatch(self.ranks, texts)

    def _same_counts(self, received: Sequence[int], sent: Sequence[int]) -> Steps:
        """Compare the numbers of elements that ranks send and expect.

        Raises: RuntimeError, in all ranks, if the numbers differ.
        """
        everyone = array("q", bytes(16 * self.size * self.size))
        yield self._mpi.Iallgather(array("q", [*sent, *received]), everyone)
        for source in range(self.size):
            for to in range(self.size):
                given = everyone[2 * self.size * source + to]
                expected = everyone[2 * self.size * to + self.size + source]
                if given != expected:
                    pair = {"source": self.ranks[source], "to": self.ranks[to]}
                    raise RuntimeError(_SPLIT_SIZES_DIFFER.format(given=given, expected=expected, **pair))

    def _mean(self, op: ReduceOp, tensor: Tensor, work: Work) -> Work:
        """Add a final step that divides the sum by the number of ranks if ``op`` is ``AVG``."""
        return work.finish_with(lambda: tensor.div_(self.size)) if op is ReduceOp.AVG else work

    def all_reduce_coalesced(self, tensors: Sequence[Tensor], op: ReduceOp) -> Work:
        signature = Signature("all_reduce", tensors[0], op, shapes=[each.shape for each in tensors])
        size = sum(each.nbytes for each in tensors)
        work = self._in_memory(Kind.ALL_REDUCE, signature, tensors, tensors, size)
        return super().all_reduce_coalesced(tensors, op) if work is None else work

    def all_reduce(self, tensor: Tensor, op: ReduceOp, shapes: Sequence[Sequence[int]] = ()) -> Work:
        signature = Signature("all_reduce", tensor, op, shapes=shapes)
        if work := self._in_memory(Kind.ALL_REDUCE, signature, [tensor], [tensor], tensor.nbytes):
            return work
        begin = partial(self._mpi.Iallreduce, MPI.IN_PLACE, _whole_buffer(tensor), _operation(op, tensor.dtype))
        return self._mean(op, tensor, self._collective(signature, begin, [tensor]))

    def reduce(self, tensor: Tensor, root: int, op: ReduceOp) -> Work:
        operation = _operation(op, tensor.dtype)
        signature = Signature("reduce", tensor, op, root)
        if self.rank != root:
            begin = partial(self._mpi.Ireduce, _whole_buffer(tensor), None, operation, root)
            return self._collective(signature, begin, [tensor])
        begin = partial(self._mpi.Ireduce, MPI.IN_PLACE, _whole_buffer(tensor), operation, root)
        return self._mean(op, tensor, self._collective(signature, begin, [tensor]))

    def broadcast(self, tensor: Tensor, root: int) -> Work:
        signature = Signature("broadcast", tensor, root=root)
        if work := self._in_memory(Kind.BROADCAST, signature, [tensor], [tensor], tensor.nbytes):
            return work
        return self._collective(signature, partial(self._mpi.Ibcast, _whole_buffer(tensor), root), [tensor])

    def all_gather(self, output: Tensor, tensor: Tensor) -> Work:
        signature = Signature("all_gather", tensor)
        if work := self._in_memory(Kind.ALL_GATHER, signature, [output], [tensor], tensor.nbytes):
            return work
        begin = partial(self._mpi.Iallgather, _whole_buffer(tensor), _split_buffer(output, tensor.numel()))
        return self._collective(signature, begin, [output], [tensor])

    def gather(self, output: Tensor | None, tensor: Tensor, root: int) -> Work:
        shares = None if output is None else _split_buffer(output, tensor.numel())
        begin = partial(self._mpi.Igather, _whole_buffer(tensor), shares, root)
        return self._collective(Signature("gather", tensor, root=root), begin, [output], [tensor])

    def scatter(self, output: Tensor, tensor: Tensor | None, root: int) -> Work:
        shares = None if tensor is None else _split_buffer(tensor, output.numel())
        begin = partial(self._mpi.Iscatter, shares, _whole_buffer(output), root)
        return self._collective(Signature("scatter", output, root=root), begin, [output], [tensor])

    def reduce_scatter(self, output: Tensor, tensor: Tensor, op: ReduceOp) -> Work:
        signature = Signature("reduce_scatter", tensor, op)
        if work := self._in_memory(Kind.REDUCE_SCATTER, signature, [output], [tensor], output.nbytes):
            return work
        operation = _operation(op, tensor.dtype)
        begin = partial(
            self._mpi.Ireduce_scatter_block, _split_buffer(tensor, output.numel()), _whole_buffer(output), operation
        )
        work = self._collective(signature, begin, [output], [tensor])
        return self._mean(op, output, work)

    def all_to_all(self, output: Tensor, tensor: Tensor, received: Sequence[int], sent: Sequence[int]) -> Work:
        begin = partial(self._mpi.Ialltoallv, _split_buffer(tensor, sent), _split_buffer(output, received))
        signature = Signature("all_to_all", tensor.new_empty(0))  # sizes may differ, but not dtypes
        return self._collective(signature, begin, [output], [tensor], self._same_counts(received, sent))

    def _message(
        self, what: str, begin: Callable[[], Any], tensor: Tensor, other: int | None, status: Any = None
    ) -> Work:
        request = _explain_errors(what, begin)
        outputs = [] if status is None else [tensor]
        part = None if self.peers is None else self.peers.of_message(other)
        ready = partial(request.Test, status)
        return self._pending(what, lambda: _explain_errors(what, ready), outputs, (request, tensor), part)

    def send(self, tensor: Tensor, to: int, tag: int) -> Work:
        return self._message("send", partial(self._mpi.Isend, _whole_buffer(tensor), to, tag), tensor, to)

    def receive(self, tensor: Tensor, source: int | None, tag: int) -> Work:
        status = MPI.Status()
        begin = partial(self._mpi.Irecv, _whole_buffer(tensor), MPI.ANY_SOURCE if source is None else source, tag)
        work = self._message("recv", begin, tensor, source, status)

        def check() -> None:
            arrived = status.Get_elements(MPI.BYTE)
            if arrived != tensor.nbytes:
                raise DistBackendError(
                    f"recv: expected {tensor.nbytes} bytes for the tensor of shape {list(tensor.shape)} and "
                    f"{tensor.dtype}, got {arrived} bytes from rank {status.source}"
                )

        work.source_rank = lambda: status.source  # type: ignore[method-assign]
        return work.finish_with(check)

    def barrier(self) -> Work:
        signature = Signature("barrier")
        return self._in_memory(Kind.CHECK, signature, []) or self._collective(signature, self._mpi.Ibarrier)
