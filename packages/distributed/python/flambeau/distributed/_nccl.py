"""Process groups over NCCL, for GPU tensors: one GPU per process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import flambeau
from flambeau import Tensor, _core, cuda
from flambeau.cuda import nccl

from ._transport import Transport
from ._watch import Participation, Peers
from .errors import DistBackendError, DistStoreError
from .reduce_op import ReduceOp
from .stores import PrefixStore, Store, seconds
from .work import Work

__all__ = ["NCCLTransport"]

_NEEDS_GPU = "the backend 'nccl' needs a GPU and NCCL: {error}"
_SAME_GPU = (
    "ranks {first} and {second} of the group use the same GPU, {gpu}, but NCCL requires one GPU for each process: "
    "call flambeau.cuda.set_device(int(os.environ['LOCAL_RANK'])) first, or pass init_process_group(device_id=...)"
)
_ANOTHER_GPU = "{what}: this process uses cuda:{device} in its group, but got tensors on {others}"
_MISSING = (
    "ranks {ranks} of the group did not connect through NCCL within {limit:g} s. All ranks of the group must make the "
    "first collective together, and both ranks of a message the first send and recv"
)
_FROM_ANYONE = "recv: NCCL cannot receive from any source; pass src=..."
_NO_BITS = "{what}: NCCL does not support ReduceOp.{op}; use tensors on the CPU, with the backend 'gloo'"
_NO_COMPLEX = "{what}: NCCL does not support ReduceOp.{op} for complex tensors, only SUM and AVG"

_NUMBERS = {
    ReduceOp.SUM: nccl.SUM,
    ReduceOp.AVG: nccl.AVG,
    ReduceOp.PRODUCT: nccl.PROD,
    ReduceOp.MIN: nccl.MIN,
    ReduceOp.MAX: nccl.MAX,
}


def _bytes(tensor: Tensor) -> Tensor:
    """Return the elements of a contiguous tensor as a uint8 view."""
    return tensor.view(-1).view(flambeau.uint8)


class _Communicator:
    """NCCL communicator of all or some ranks of a group, with the CUDA stream on which it runs."""

    def __init__(self, communicator: nccl.Communicator) -> None:
        self.handle, self.device = communicator.handle, communicator.device
        self.stream = cuda.Stream(self.device)
        self.communicators, self.streams = [communicator], [self.stream]  # lists, as arguments of cuda.nccl


class _End:
    """Holder of the CUDA event that follows an operation; ``event`` is None until the operation is queued."""

    event: cuda.Event | None = None

    def is_past(self) -> bool:
        return self.event is not None and self.event.query()


class _Queued(Work):
    """Work on a communicator's stream. Waiting for it blocks the current stream, but not the program."""

    end: _End
    on_host = False

    def wait(self, timeout: timedelta | float | None = None) -> bool:
        """Make the current stream wait for the work, and return True.

        Args:
            timeout: if given, block the program until the work is complete, for at most this time.
        Raises: DistBackendError after the timeout.
        """
        event = self.end.event
        if event is None:
            raise RuntimeError(
                f"{self._what} has not started: wait for it after the block that starts several messages together"
            )
        if timeout is not None or self.on_host:
            return super().wait(timeout)
        event.wait(cuda.current_stream(event.device))
        self._finish()
        if self._error is not None:
            raise self._error
        return True

    def is_completed(self) -> bool:
        """Return True if the work is complete, so that its tensors can be used."""
        return self.progress() and super().is_completed()

    def complete_in_background(self) -> Work:
        """Return the work unchanged, because GPU work completes without further calls."""
        return self

    def _finish(self) -> None:
        if self._finishing:  # the steps run on the current stream, which may differ from the memory's stream
            for tensor in self._kept or ():
                tensor.record_stream(cuda.current_stream(tensor.device))
        super()._finish()


class _Message(NamedTuple):
    """Message to or from another rank."""

    tensor: Tensor
    peer: int
    sent: bool
    work: _Queued


class NCCLTransport(Transport):
    """Transport over NCCL communicators: one for all ranks, and one for each pair of ranks that exchange messages.

    A communicator is created on first use, for the GPU of the tensors or the current GPU, and stays on that GPU.
    """

    name, device = "nccl", "cuda"

    def __init__(
        self, store: Store, rank: int, size: int, timeout: timedelta | float, peers: Peers | None = None
    ) -> None:
        super().__init__(rank, size, timeout, peers)
        try:
            cuda.init()
            nccl.version()
        except RuntimeError as error:
            raise DistBackendError(_NEEDS_GPU.format(error=error)) from error
        self._store = store
        self._communicators: dict[str, _Communicator] = {}
        self._together: list[_Message] | None = None

    def _communicator(self, name: str, ranks: Sequence[int], device: int) -> _Communicator:
        """Return the communicator of ``ranks``, and create it on first use."""
        if name not in self._communicators:
            store = PrefixStore(f"nccl {name}", self._store)
            self._communicators[name] = _Communicator(_join(store, ranks, self.rank, device, self.timeout))
        return self._communicators[name]

    def _queue(
        self, what: str, tensors: Sequence[Tensor], queue: Callable[[_Communicator], Any], peer: int | None = None
    ) -> cuda.Event:
        """Queue a collective, or a message between this rank and ``peer``, after the work of the current stream.

        Args:
            queue: function that calls NCCL.
        Returns: an event that follows the operation.
        Raises: ValueError if a tensor is on another GPU than the communicator.
        """
        pair = sorted({self.rank, self.rank if peer is None else peer})
        name, ranks = ("all", range(self.size)) if peer is None else (",".join(map(str, pair)), pair)
        communicator = self._communicator(name, ranks, tensors[0].get_device())
        if others := sorted({str(each.device) for each in tensors if each.get_device() != communicator.device}):
            raise ValueError(_ANOTHER_GPU.format(what=what, device=communicator.device, others=" and ".join(others)))
        for tensor in tensors:
            tensor.data_ptr()  # this call copies deferred CPU results to the GPU, on the current stream
        communicator.stream.wait_stream(cuda.current_stream(communicator.device))
        queue(communicator)
        return communicator.stream.record_event()

    def _begin(
        self, what: str, outputs: Sequence[Tensor], inputs: Sequence[Tensor], queue: Callable[[_Communicator], Any]
    ) -> _Queued:
        work = self._queued(what, outputs, None if self.peers is None else self.peers.of_collective())
        work.end.event = self._queue(what, [*outputs, *inputs], queue)
        return work

    def _queued(self, what: str, outputs: Sequence[Tensor], part: Participation | None = None) -> _Queued:
        end = _End()
        options: dict[str, Any] = {"rank": self.rank, "size": self.size, "timeout": self.timeout}
        work = _Queued(what, end.is_past, outputs, list(outputs), part=part, **options)
        work.end = end
        return work

    def all_reduce(self, tensor: Tensor, op: ReduceOp, shapes: Sequence[Sequence[int]] = ()) -> Work:
        number, operand = _reduction("all_reduce", op, tensor)

        def queue(communicator: _Communicator) -> None:
            nccl.all_reduce([operand], op=number, streams=communicator.streams, comms=communicator.communicators)

        return self._begin("all_reduce", [tensor], [], queue)

    def reduce(self, tensor: Tensor, root: int, op: ReduceOp) -> Work:
        number, operand = _reduction("reduce", op, tensor)

        def queue(communicator: _Communicator) -> None:
            nccl.reduce([operand], root=root, op=number, streams=communicator.streams, comms=communicator.communicators)

        return self._begin("reduce", [tensor], [], queue)

    def broadcast(self, tensor: Tensor, root: int) -> Work:
        def queue(communicator: _Communicator) -> None:
            nccl.broadcast([_bytes(tensor)], root=root, streams=communicator.streams, comms=communicator.communicators)

        return self._begin("broadcast", [tensor], [], queue)

    def all_gather(self, output: Tensor, tensor: Tensor) -> Work:
        def queue(communicator: _Communicator) -> None:
            given, got = [_bytes(tensor)], [_bytes(output)]
            nccl.all_gather(given, got, streams=communicator.streams, comms=communicator.communicators)

        return self._begin("all_gather", [output], [tensor], queue)

    def reduce_scatter(self, output: Tensor, tensor: Tensor, op: ReduceOp) -> Work:
        number, operand = _reduction("reduce_scatter", op, tensor)
        _, got = _reduction("reduce_scatter", op, output)

        def queue(communicator: _Communicator) -> None:
            nccl.reduce_scatter(
                [operand], [got], op=number, streams=communicator.streams, comms=communicator.communicators
            )

        return self._begin("reduce_scatter", [output], [tensor], queue)

    def gather(self, output: Tensor | None, tensor: Tensor, root: int) -> Work:
        received = [] if output is None else list(enumerate(output.view(self.size, tensor.numel())))
        outputs = [] if output is None else [output]
        return self._begin("gather", outputs, [tensor], partial(_exchange, [(root, tensor)], received))

    def scatter(self, output: Tensor, tensor: Tensor | None, root: int) -> Work:
        sent = [] if tensor is None else list(enumerate(tensor.view(self.size, output.numel())))
        inputs = [] if tensor is None else [tensor]
        return self._begin("scatter", [output], inputs, partial(_exchange, sent, [(root, output)]))

    def all_to_all(self, output: Tensor, tensor: Tensor, received: Sequence[int], sent: Sequence[int]) -> Work:
        sent_parts = list(enumerate(tensor.view(-1).split(list(sent))))
        got = list(enumerate(output.view(-1).split(list(received))))
        return self._begin("all_to_all", [output], [tensor], partial(_exchange, sent_parts, got))

    def send(self, tensor: Tensor, to: int, tag: int) -> Work:
        return self._message(_Message(tensor, to, True, self._queued("send", [])))

    def receive(self, tensor: Tensor, source: int | None, tag: int) -> Work:
        if source is None:
            raise ValueError(_FROM_ANYONE)
        work = self._queued("recv", [tensor])
        work.source_rank = lambda: source  # type: ignore[method-assign]
        return self._message(_Message(tensor, source, False, work))

    def _message(self, message: _Message) -> Work:
        if self._together is None:
            self._pass(message.peer, [message])
        else:
            self._together.append(message)
        return message.work

    def _pass(self, peer: int, messages: Sequence[_Message]) -> None:
        """Queue messages between this rank and ``peer``, which run concurrently."""
        peer_index = int(peer > self.rank)  # index in the communicator of the two ranks
        sent = [(peer_index, each.tensor) for each in messages if each.sent]
        received = [(peer_index, each.tensor) for each in messages if not each.sent]
        tensors = [each.tensor for each in messages]
        event = self._queue("send and recv", tensors, partial(_exchange, sent, received), peer)
        for each in messages:
            each.work.end.event = event

    @contextmanager
    def batched_messages(self) -> Iterator[None]:
        messages: list[_Message] = []
        self._together = messages
        try:
            yield
        finally:
            self._together = None
        for peer in sorted({each.peer for each in messages}):
            self._pass(peer, [each for each in messages if each.peer == peer])

    def barrier(self) -> Work:
        device = next((communicator.device for communicator in self._communicators.values()), cuda.current_device())
        work = self.all_reduce(flambeau.ones(1, device=f"cuda:{device}"), ReduceOp.SUM).fills([])
        assert isinstance(work, _Queued)
        work.on_host = True
        return work

    def close(self) -> None:
        for communicator in self._communicators.values():
            communicator.stream.synchronize()
        self._communicators.clear()


def _exchange(
    sent: Sequence[tuple[int, Tensor]], received: Sequence[tuple[int, Tensor]], communicator: _Communicator
) -> None:
    """Queue concurrent messages of a communicator. ``sent`` and ``received`` are pairs of rank and tensor."""
    to, tensors = [rank for rank, _ in sent], [tensor for _, tensor in sent]
    source, got = [rank for rank, _ in received], [tensor for _, tensor in received]
    _core._cuda_nccl_exchange(tensors, to, got, source, communicator.stream.cuda_stream, communicator.handle)


def _reduction(what: str, op: ReduceOp, tensor: Tensor) -> tuple[int, Tensor]:
    """Return NCCL's number for ``op``, and the tensor, as a real view if it is complex."""
    if op not in _NUMBERS:
        raise ValueError(_NO_BITS.format(what=what, op=op.name))
    if not tensor.is_complex():
        return _NUMBERS[op], tensor
    if op not in (ReduceOp.SUM, ReduceOp.AVG):
        raise ValueError(_NO_COMPLEX.format(what=what, op=op.name))
    return _NUMBERS[op], flambeau.view_as_real(tensor)


def _join(store: Store, ranks: Sequence[int], rank: int, device: int, timeout: timedelta | float) -> nccl.Communicator:
    """Create the NCCL communicator of ``ranks`` in this process.

    The ranks first wait for each other through ``store``, because this wait has a timeout and NCCL's wait does not.
    """
    turn = store.add(f"turn of {rank}", 1)  # number of the communicator, because a store can outlive a group
    keys = [f"{turn} gpu of {each}" for each in ranks]
    store.set(keys[ranks.index(rank)], f"{cuda.get_device_properties(device).uuid} of {socket.gethostname()}")
    try:
        store.wait(keys, timeout)
    except DistStoreError as error:
        absent = [each for each, key in zip(ranks, keys, strict=True) if not store.check([key])]
        raise DistBackendError(_MISSING.format(ranks=absent, limit=seconds(timeout))) from error
    gpus = [gpu.decode() for gpu in store.multi_get(keys)]
    for index, gpu in enumerate(gpus):
        if gpus.index(gpu) < index:
            raise DistBackendError(_SAME_GPU.format(first=ranks[gpus.index(gpu)], second=ranks[index], gpu=gpu))
    try:
        if rank == ranks[0]:
            store.set(f"{turn} identity", nccl.unique_id())
        with cuda.device(device):
            return nccl.init_rank(len(ranks), store.get(f"{turn} identity"), ranks.index(rank))
    except RuntimeError as error:
        raise DistBackendError(
            f"the ranks {list(ranks)} of the group could not connect through NCCL: {error}"
        ) from error
