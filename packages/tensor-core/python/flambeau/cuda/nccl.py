"""Collectives on several GPUs with NCCL, which is an optional dependency (``pip install nvidia-nccl-cu13``).

Each tensor of a call is on a different GPU. Its position in the sequence is its rank. Calls are asynchronous: they
return when the work is queued on the streams, which are by default the current streams of the GPUs. Autograd does not
record these functions.

``flambeau.cuda.nccl.version()`` returns the version of NCCL, or raises RuntimeError if it is not installed.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Sequence

from flambeau import Tensor, _core

from ._devices import current_device
from .streams import Stream, current_stream

__all__ = [
    "AVG",
    "MAX",
    "MIN",
    "PROD",
    "SUM",
    "Communicator",
    "all_gather",
    "all_reduce",
    "broadcast",
    "init_rank",
    "is_available",
    "reduce",
    "reduce_scatter",
    "unique_id",
    "version",
]

SUM, PROD, MAX, MIN, AVG = range(5)


class Communicator:
    """Membership of one GPU in a NCCL communicator, created by `init_rank`."""

    def __init__(self, device: int, handle: int, ranks: int) -> None:
        self.device, self.handle, self.ranks = device, handle, ranks
        self._end = weakref.finalize(self, _destroy_communicator, device, handle)
        self._end.atexit = False


def _destroy_communicator(device: int, handle: int) -> None:
    with contextlib.suppress(RuntimeError):  # in a forked process, the communicator belongs to the parent
        _core._cuda_nccl_leave(device, handle)


def version() -> tuple[int, int, int]:
    """Return the version of NCCL as three numbers. Raises: RuntimeError if it is not installed."""
    number = _core._cuda_nccl_version()
    if not number:
        raise RuntimeError(
            "NCCL was not found; pip install nvidia-nccl-cu13, or nvidia-nccl-cu12 if the driver is for CUDA 12"
        )
    return number // 10000, number // 100 % 100, number % 100


def is_available(tensors: Sequence[Tensor]) -> bool:
    """Return True if NCCL is installed, and the tensors are contiguous and on different GPUs."""
    devices = {tensor.get_device() for tensor in tensors if tensor.is_cuda and tensor.is_contiguous()}
    return len(devices) == len(tensors) and _core._cuda_nccl_version() > 0


def unique_id() -> bytes:
    """Return a new communicator id. One process creates it and sends it to the others."""
    return _core._cuda_nccl_identity()


def init_rank(num_ranks: int, uid: bytes, rank: int) -> Communicator:
    """Join a communicator with the current GPU. Waits for the other ranks.

    Args:
        num_ranks: number of ranks.
        uid: the communicator id, which one rank created with `unique_id`.
        rank: rank of this GPU, from 0 to ``num_ranks - 1``. Each rank joins once.
    Returns: a communicator for the argument ``comms`` of the collectives.
    Raises: ValueError if ``rank`` is out of range.
    """
    if not 0 <= rank < num_ranks:
        raise ValueError(f"rank must be at least 0 and less than the number of ranks, {num_ranks}, but got {rank}")
    device = current_device()
    return Communicator(device, _core._cuda_nccl_join(device, uid, num_ranks, rank), num_ranks)


def all_reduce(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor] | None = None,
    op: int = SUM,
    streams: Sequence[Stream | None] | None = None,
    comms: Sequence[Communicator] | None = None,
) -> None:
    """Reduce the tensors elementwise. Every GPU receives the result.

    Args:
        inputs: contiguous tensors of one shape and dtype, one per GPU.
        outputs: tensors like the inputs, which receive the result. None means the inputs themselves.
        op: `SUM`, `PROD`, `MAX`, `MIN` or `AVG`. For bool, the sum is the logical or.
        streams: one stream per GPU. None means the current streams.
        comms: communicators from `init_rank`, for ranks in several processes. None means the GPUs of this call.
    Raises: TypeError, ValueError or RuntimeError for tensors that do not match; RuntimeError without NCCL.

    >>> x = flambeau.ones(3, device="cuda")
    >>> flambeau.cuda.nccl.all_reduce([x])  # a group of one GPU
    """
    tensors = _tensors("inputs", inputs)
    _collect("all_reduce", tensors, tensors if outputs is None else _tensors("outputs", outputs), streams, comms, op)


def reduce(
    inputs: Sequence[Tensor],
    output: Tensor | None = None,
    root: int = 0,
    op: int = SUM,
    streams: Sequence[Stream | None] | None = None,
    comms: Sequence[Communicator] | None = None,
) -> None:
    """Reduce the tensors elementwise. The GPU of rank ``root`` receives the result in ``output`` or in its input."""
    tensors = _tensors("inputs", inputs)
    outputs_by_rank = list(tensors)
    if output is not None:
        outputs_by_rank[_root(tensors, root, comms)] = output
    _collect("reduce", tensors, outputs_by_rank, streams, comms, op, _root(tensors, root, comms))


def broadcast(
    inputs: Sequence[Tensor],
    root: int = 0,
    streams: Sequence[Stream | None] | None = None,
    comms: Sequence[Communicator] | None = None,
) -> None:
    """Copy the tensor of rank ``root`` to all other ranks."""
    tensors = _tensors("inputs", inputs)
    _collect("broadcast", tensors, tensors, streams, comms, root=_root(tensors, root, comms))


def all_gather(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    streams: Sequence[Stream | None] | None = None,
    comms: Sequence[Communicator] | None = None,
) -> None:
    """Concatenate all inputs, in rank order, into each output."""
    _collect("all_gather", _tensors("inputs", inputs), _tensors("outputs", outputs), streams, comms)


def reduce_scatter(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    op: int = SUM,
    streams: Sequence[Stream | None] | None = None,
    comms: Sequence[Communicator] | None = None,
) -> None:
    """Reduce the tensors elementwise. Each rank receives its part of the result in its output."""
    _collect("reduce_scatter", _tensors("inputs", inputs), _tensors("outputs", outputs), streams, comms, op)


def _tensors(name: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, Sequence):
        raise TypeError(f"{name} should be a sequence of tensors, one for each GPU, not {type(tensors).__name__}")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} should hold tensors, but got {type(tensor).__name__}")
        if not tensor.is_cuda or not tensor.is_contiguous():
            state = "is on the CPU" if not tensor.is_cuda else "is not contiguous"
            raise RuntimeError(
                f"{name} should be contiguous CUDA tensors, but one of shape {list(tensor.shape)} {state}"
            )
    if not tensors:
        raise ValueError(f"{name} should hold a tensor for each GPU, but is empty")
    return list(tensors)


def _root(inputs: Sequence[Tensor], root: int, comms: Sequence[Communicator] | None) -> int:
    ranks = comms[0].ranks if comms else len(inputs)
    if not 0 <= root < ranks:
        raise ValueError(f"root must be at least 0 and less than the number of ranks, {ranks}, but got {root}")
    return root


def _check(collective: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], ranks: int) -> None:
    """Raise RuntimeError if sizes, dtypes or devices of the tensors do not match."""
    first, more, fewer = inputs[0], 1, 1
    if collective == "all_gather":
        more = ranks
    elif collective == "reduce_scatter":
        fewer = ranks
    for tensor, output in zip(inputs, outputs, strict=True):
        if (tensor.numel(), tensor.dtype) != (first.numel(), first.dtype):
            raise RuntimeError(
                f"{collective}: inputs must have the same size and dtype, but got {list(first.shape)} of "
                f"{first.dtype} and {list(tensor.shape)} of {tensor.dtype}"
            )
        if output.device != tensor.device or output.dtype != tensor.dtype:
            raise RuntimeError(
                f"{collective}: an output of {output.dtype} on {output.device} does not fit its input of "
                f"{tensor.dtype} on {tensor.device}"
            )
        if output.numel() * fewer != tensor.numel() * more:
            raise RuntimeError(
                f"{collective}: an output of {output.numel()} elements does not fit an input of {tensor.numel()} "
                f"for {ranks} rank{'s' if ranks > 1 else ''}"
            )


def _collect(
    collective: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    streams: Sequence[Stream | None] | None,
    comms: Sequence[Communicator] | None,
    op: int = SUM,
    root: int = 0,
) -> None:
    """Check the arguments and start a collective on the inputs' GPUs, on the given or else on the current streams."""
    if op not in range(5):
        raise ValueError(f"{collective}: op must be one of SUM, PROD, MAX, MIN and AVG, but got {op!r}")
    for name, given in (("outputs", outputs), ("streams", streams), ("comms", comms)):
        if given is not None and len(given) != len(inputs):
            raise ValueError(
                f"{collective}: expected as many {name} as inputs, got {len(given)} {name} for {len(inputs)} inputs"
            )
    devices = [tensor.get_device() for tensor in inputs]
    if len(set(devices)) < len(devices):
        raise ValueError(f"{collective}: inputs must be on different GPUs, but their devices are {devices}")
    _check(collective, inputs, outputs, comms[0].ranks if comms else len(inputs))
    given_streams = streams or [None] * len(inputs)
    work = [(stream or current_stream(at)).cuda_stream for stream, at in zip(given_streams, devices, strict=True)]
    handles = [each.handle for each in comms] if comms else _core._cuda_nccl_communicators(devices)
    _core._cuda_nccl_collect(collective, op, root, inputs, outputs, work, handles)
