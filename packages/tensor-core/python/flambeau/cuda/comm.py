"""Collective operations on tensors of several GPUs: broadcast, sum, scatter, gather.

Copies between GPUs are asynchronous. Sums use NCCL if it is installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import flambeau
from flambeau import Tensor

from . import nccl
from ._devices import index_of
from .streams import Stream, stream

__all__ = ["broadcast", "broadcast_coalesced", "gather", "reduce_add", "reduce_add_coalesced", "scatter"]

_BUFFER = 10485760  # default size in bytes of the buffers that combine small tensors


def _device(index: int) -> flambeau.device:
    return flambeau.device("cuda", index)


def broadcast(
    tensor: Tensor, devices: Iterable[Any] | None = None, *, out: Sequence[Tensor] | None = None
) -> tuple[Tensor, ...]:
    """Copy a tensor to several GPUs.

    Args:
        tensor: a tensor on any device.
        devices: the GPUs. For the GPU that holds the tensor, the result is the tensor itself.
        out: the tensors that receive the copies, as an alternative to ``devices``.
    Returns: a tuple of the tensors on the GPUs.
    Raises: RuntimeError if both or neither of ``devices`` and ``out`` are given, or if a tensor of ``out`` has another
        shape or is on the CPU.

    >>> flambeau.cuda.comm.broadcast(flambeau.ones(2), [0])
    (tensor([1., 1.], device='cuda:0'),)
    """
    if (devices is None) == (out is None):
        raise RuntimeError(
            f"Exactly one of 'devices' and 'out' must be specified, but got devices={devices} and out={out}"
        )
    if out is None:
        return tuple(tensor.to(_device(index_of(each)), non_blocking=True) for each in devices or ())
    for position, each in enumerate(out):
        if not each.is_cuda or each.shape != tensor.shape:
            raise RuntimeError(
                f"Expected all output tensors to be CUDA tensors of shape {list(tensor.shape)}, but output tensor at "
                f"index {position} is of shape {list(each.shape)} on {each.device}"
            )
        each.copy_(tensor, non_blocking=True)
    return tuple(out)


def broadcast_coalesced(
    tensors: Sequence[Tensor], devices: Iterable[Any], buffer_size: int = _BUFFER
) -> list[list[Tensor]]:
    """Copy several tensors to several GPUs. Small tensors are combined into larger copies.

    Args:
        tensors: tensors on the first of the GPUs.
        devices: the GPUs.
        buffer_size: largest number of bytes that are copied together.
    Returns: a list of tensors for each GPU. The first list contains the given tensors.
    Raises: RuntimeError if a tensor is on another device.
    """
    indices = [index_of(each) for each in devices]
    for tensor in tensors:
        if tensor.device != _device(indices[0]):
            raise RuntimeError(f"all tensors must be on devices[0]: {indices[0]}, but one is on {tensor.device}")
    copies = [list(tensors) for _ in indices]
    for positions in _batches(tensors, buffer_size):
        batch = [tensors[position] for position in positions]
        flat = _concatenate_flat(batch)
        for index, copy in zip(indices[1:], copies[1:], strict=True):
            _copy_parts(flat.to(_device(index), non_blocking=True), copy, positions)
    return copies


def reduce_add(inputs: Sequence[Tensor], destination: Any = None) -> Tensor:
    """Sum tensors that are on several GPUs.

    Args:
        inputs: tensors of one shape and dtype, each on a GPU.
        destination: the GPU of the result. One of the inputs must be on it. None means the current GPU.
    Returns: the sum, on ``destination``.
    Raises: AssertionError for a tensor on the CPU; ValueError for different shapes; RuntimeError if no input is on
        ``destination``.
    """
    index, root = index_of(destination), None
    for position, tensor in enumerate(inputs):
        if not tensor.is_cuda:
            raise AssertionError(f"reduce_add expects all inputs to be on GPUs, but input {position} is on CPU")
        if tensor.shape != inputs[0].shape:
            got, expected = ("x".join(map(str, each.shape)) for each in (tensor, inputs[0]))
            raise ValueError(f"input {position} has invalid size: got {got}, but expected {expected}")
        if tensor.get_device() == index:
            root = position
    if root is None:
        raise RuntimeError("reduce_add expects destination to be on the same GPU with one of the tensors")
    if len(inputs) == 1:
        return inputs[0]
    if nccl.is_available(inputs):
        result = flambeau.empty_like(inputs[root])
        nccl.reduce([tensor.detach() for tensor in inputs], result, root)
        return result
    result = inputs[root].clone()
    for position, tensor in enumerate(inputs):
        if position != root:
            result += tensor.to(_device(index), non_blocking=True)
    return result


def reduce_add_coalesced(
    inputs: Sequence[Sequence[Tensor]], destination: Any = None, buffer_size: int = _BUFFER
) -> tuple[Tensor, ...]:
    """Sum several tensors over GPUs. Small tensors are combined into larger sums.

    Args:
        inputs: for each GPU, a sequence of tensors.
        destination: the GPU of the results. None means the current GPU.
        buffer_size: largest number of bytes that are summed together.
    Returns: a tuple of the sums, on ``destination``.
    """
    sums = list(inputs[0])
    for positions in _batches(sums, buffer_size):
        flats = [_concatenate_flat([tensors[position] for position in positions]) for tensors in inputs]
        _copy_parts(reduce_add(flats, destination), sums, positions)
    return tuple(sums)


def scatter(
    tensor: Tensor,
    devices: Iterable[Any] | None = None,
    chunk_sizes: Sequence[int] | None = None,
    dim: int = 0,
    streams: Sequence[Stream | None] | None = None,
    *,
    out: Sequence[Tensor] | None = None,
) -> tuple[Tensor, ...]:
    """Split a tensor and copy the parts to several GPUs.

    Args:
        tensor: a tensor on any device.
        devices: the GPUs.
        chunk_sizes: the size of each part along ``dim``. By default, the parts are equal.
        dim: the dimension to split.
        streams: the streams for the copies, one per GPU. The default is the current stream of each GPU.
        out: the tensors that receive the parts, as an alternative to ``devices`` and ``chunk_sizes``.
    Returns: a tuple of the parts.
    Raises: RuntimeError if ``out`` is given together with ``devices`` or ``chunk_sizes``, or if sizes do not match.

    >>> flambeau.cuda.comm.scatter(flambeau.arange(3), [0], dim=0)
    (tensor([0, 1, 2], device='cuda:0'),)
    """
    if out is not None:
        for name, given in (("devices", devices), ("chunk_sizes", chunk_sizes)):
            if given is not None:
                raise RuntimeError(f"'{name}' must not be specified when 'out' is specified, but got {name}={given}")
        parts = tensor.split([each.shape[dim] for each in out], dim)
        for each, part in zip(out, parts, strict=True):
            each.copy_(part, non_blocking=True)
        return tuple(out)
    indices = [index_of(each) for each in devices or ()]
    parts = tensor.chunk(len(indices), dim) if chunk_sizes is None else tensor.split(list(chunk_sizes), dim)
    if chunk_sizes is not None and len(chunk_sizes) != len(indices):
        raise RuntimeError(
            f"Expected devices and chunk_sizes to be of same length, but got {indices} and {chunk_sizes}"
        )
    placed = []
    for part, index, on in zip(parts, indices, streams or [None] * len(indices), strict=False):
        with stream(on):
            placed.append(part.to(_device(index), non_blocking=True))
    return tuple(placed)


def gather(tensors: Iterable[Tensor], dim: int = 0, destination: Any = None, *, out: Tensor | None = None) -> Tensor:
    """Concatenate tensors of several GPUs.

    Args:
        tensors: tensors with equal sizes in all dimensions except ``dim``.
        dim: the dimension to concatenate along.
        destination: the device of the result, which may be the CPU. None means the current GPU.
        out: the tensor that receives the result, as an alternative to ``destination``.
    Returns: the concatenated tensor.
    Raises: RuntimeError if both ``out`` and ``destination`` are given, or if the shapes do not match.
    """
    listed = list(tensors)
    if out is not None:
        if destination is not None:
            raise RuntimeError(
                f"'destination' must not be specified when 'out' is specified, but got destination={destination}"
            )
        parts = out.split([each.shape[dim] for each in listed], dim)
        for part, each in zip(parts, listed, strict=True):
            part.copy_(each, non_blocking=part.is_cuda)
        return out
    target = _destination(destination)
    return flambeau.cat([each.to(target, non_blocking=target.type == "cuda") for each in listed], dim)


def _destination(named: Any) -> flambeau.device:
    if isinstance(named, int) and named == -1:
        warnings.warn(
            "Using -1 to represent CPU tensor is deprecated. Please use a device object or string instead, e.g., "
            '"cpu".',
            FutureWarning,
            stacklevel=3,
        )
        return flambeau.device("cpu")
    if named is not None and not isinstance(named, int) and flambeau.device(named).type == "cpu":
        return flambeau.device("cpu")
    return _device(index_of(named))


def _batches(tensors: Sequence[Tensor], size: int) -> Iterator[list[int]]:
    """Yield the positions of tensors to combine: tensors of one dtype with at most ``size`` bytes, or one tensor."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        batch: list[int] = []
        used = 0
        for position, tensor in enumerate(tensors):
            if tensor.dtype is not dtype:
                continue
            if batch and used + tensor.nbytes > size:
                yield batch
                batch, used = [], 0
            batch.append(position)
            used += tensor.nbytes
        yield batch


def _concatenate_flat(tensors: Sequence[Tensor]) -> Tensor:
    return flambeau.cat([tensor.detach().reshape(-1) for tensor in tensors])


def _copy_parts(flat: Tensor, tensors: list[Tensor], positions: list[int]) -> None:
    """Replace the tensors at ``positions`` with the parts of a flat tensor. Keep their shapes."""
    parts = flat.split([tensors[position].numel() for position in positions])
    for position, part in zip(positions, parts, strict=True):
        tensors[position] = part.reshape(tensors[position].shape)
