"""Tensors on several GPUs: copied to all of them, summed, cut into parts, put together.

Copies between GPUs are queued, and sums are NCCL's where it is installed.
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

_BUFFER = 10485760  # bytes that small tensors share on their way


def _device(index: int) -> flambeau.device:
    return flambeau.device("cuda", index)


def broadcast(
    tensor: Tensor, devices: Iterable[Any] | None = None, *, out: Sequence[Tensor] | None = None
) -> tuple[Tensor, ...]:
    """A tensor on each of several GPUs.

    Args:
        tensor: on any device.
        devices: the GPUs; the tensor itself is what stands for the one it is on.
        out: instead of them, where the copies go.
    Raises: RuntimeError for both or neither, and for ``out`` of another shape or on the CPU.

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
    """Tensors on each of several GPUs, small ones copied together.

    Args:
        tensors: on the first of the GPUs.
        devices: the GPUs.
        buffer_size: at most how many bytes are copied together.
    Returns: for each GPU its tensors; for the first the given ones.
    Raises: RuntimeError where a tensor is elsewhere.
    """
    indices = [index_of(each) for each in devices]
    for tensor in tensors:
        if tensor.device != _device(indices[0]):
            raise RuntimeError(f"all tensors must be on devices[0]: {indices[0]}, but one is on {tensor.device}")
    made = [list(tensors) for _ in indices]
    for positions in _batches(tensors, buffer_size):
        batch = [tensors[position] for position in positions]
        flat = _flat(batch)
        for index, own in zip(indices[1:], made[1:], strict=True):
            _place(flat.to(_device(index), non_blocking=True), own, positions)
    return made


def reduce_add(inputs: Sequence[Tensor], destination: Any = None) -> Tensor:
    """The sum of tensors that are on several GPUs.

    Args:
        inputs: of one shape and dtype, each on a GPU.
        destination: the GPU that gets the sum, on which one of them must be; the current one if None.
    Raises: AssertionError for a tensor on the CPU, ValueError for another shape, RuntimeError for a ``destination``
        without a tensor.
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
    """The sums of several tensors each of which is on all GPUs, small ones summed together.

    Args:
        inputs: for each GPU its tensors.
        destination: the GPU that gets the sums; the current one if None.
        buffer_size: at most how many bytes are summed together.
    """
    made = list(inputs[0])
    for positions in _batches(made, buffer_size):
        flats = [_flat([tensors[position] for position in positions]) for tensors in inputs]
        _place(reduce_add(flats, destination), made, positions)
    return tuple(made)


def scatter(
    tensor: Tensor,
    devices: Iterable[Any] | None = None,
    chunk_sizes: Sequence[int] | None = None,
    dim: int = 0,
    streams: Sequence[Stream | None] | None = None,
    *,
    out: Sequence[Tensor] | None = None,
) -> tuple[Tensor, ...]:
    """A tensor in parts, one on each of several GPUs.

    Args:
        tensor: on any device.
        devices: the GPUs.
        chunk_sizes: how much of ``dim`` each gets; the same for all by default.
        dim: along which it is cut.
        streams: on which the copies go, one for each GPU; the current ones by default.
        out: instead of ``devices`` and ``chunk_sizes``, where the parts go.
    Raises: RuntimeError for ``out`` beside them, or sizes that do not fit.

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
    """Tensors of several GPUs put together along a dimension.

    Args:
        tensors: of one shape but for ``dim``.
        dim: along which.
        destination: the device, which may be the CPU; the current GPU if None.
        out: instead of it, where the result goes.
    Raises: RuntimeError for both, or shapes that do not fit.
    """
    given = list(tensors)
    if out is not None:
        if destination is not None:
            raise RuntimeError(
                f"'destination' must not be specified when 'out' is specified, but got destination={destination}"
            )
        parts = out.split([each.shape[dim] for each in given], dim)
        for part, each in zip(parts, given, strict=True):
            part.copy_(each, non_blocking=part.is_cuda)
        return out
    place = _destination(destination)
    return flambeau.cat([each.to(place, non_blocking=place.type == "cuda") for each in given], dim)


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
    """Which tensors go together: of one dtype, and of ``size`` bytes at most where they are several."""
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


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return flambeau.cat([tensor.detach().reshape(-1) for tensor in tensors])


def _place(flat: Tensor, tensors: list[Tensor], positions: list[int]) -> None:
    """Puts the parts of a flat tensor in place of tensors of their shapes."""
    parts = flat.split([tensors[position].numel() for position in positions])
    for position, part in zip(positions, parts, strict=True):
        tensors[position] = part.reshape(tensors[position].shape)
