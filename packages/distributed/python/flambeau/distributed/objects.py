"""Exchange of Python objects by pickle.

Unpickling runs code that the sender chooses: use these functions only among processes of one program.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor

from ._checks import among_members, resolve_group_rank
from .collectives import broadcast
from .exchanges import all_gather_into_tensor, gather
from .groups import ProcessGroup
from .point_to_point import recv, send

__all__ = [
    "all_gather_object",
    "broadcast_object_list",
    "gather_object",
    "recv_object_list",
    "scatter_object_list",
    "send_object_list",
]


def _device(group: ProcessGroup, device: Any) -> Any:
    return next(iter(group.transports.values())).device if device is None else device


def _pickle_objects(objects: Sequence[Any], device: Any) -> tuple[Tensor, Tensor]:
    """Return the concatenated pickled objects and their sizes in bytes."""
    pickled = [pickle.dumps(each) for each in objects]
    data = flambeau.frombuffer(bytearray(b"".join(pickled)), dtype=flambeau.uint8)
    return data.to(device), flambeau.tensor([len(each) for each in pickled], dtype=flambeau.int64, device=device)


def _unpacked(data: Tensor, sizes: Tensor) -> list[Any]:
    whole, objects, start = data.cpu().numpy().tobytes(), [], 0
    for size in sizes.tolist():
        objects.append(pickle.loads(whole[start : start + size]))
        start += size
    return objects


def _exchange_padded(group: ProcessGroup, obj: Any) -> tuple[Tensor, Tensor]:
    """Return the pickled object, padded to the largest size of all processes, and the sizes in all processes."""
    data, size = _pickle_objects([obj], _device(group, None))
    sizes = size.new_empty(group.size())
    all_gather_into_tensor(sizes, size, group)
    padded = data.new_zeros(int(sizes.max().item()))
    padded[: data.numel()] = data
    return padded, sizes


def _fill_list(call: str, name: str, given: Any, size: int) -> None:
    if not isinstance(given, list):
        raise TypeError(f"{call}: {name} should be a list, got {type(given).__name__}")
    if len(given) != size:
        raise ValueError(f"{call}: {name} should have an element for each of {size} processes, got {len(given)}")


@among_members
def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """Gather the objects of all processes in a list, in all processes.

    Args:
        object_list: list with one entry per process, which is replaced.
        obj: any picklable object.

    >>> found = [None]
    >>> flambeau.distributed.all_gather_object(found, {"rank": 0})
    >>> found
    [{'rank': 0}]
    """
    _fill_list("all_gather_object", "object_list", object_list, group.size())
    padded, sizes = _exchange_padded(group, obj)
    everyone = padded.new_empty((group.size(), padded.numel()))
    all_gather_into_tensor(everyone, padded, group)
    object_list[:] = [_unpacked(row, size.view(1))[0] for row, size in zip(everyone, sizes, strict=True)]
    return


@among_members
def gather_object(
    obj: Any,
    object_gather_list: list[Any] | None = None,
    dst: int | None = None,
    group: Any = None,
    group_dst: int | None = None,
) -> None:
    """Gather the objects of all processes in a list of the process of rank ``dst``, 0 by default.

    >>> found = [None]  # a group of one process
    >>> flambeau.distributed.gather_object({"loss": 0.5}, found, dst=0)
    >>> found
    [{'loss': 0.5}]
    """
    root = resolve_group_rank("gather_object", "dst", group, dst, group_dst, default=0)
    if group.rank() == root:
        _fill_list("gather_object", "object_gather_list", object_gather_list, group.size())
    padded, sizes = _exchange_padded(group, obj)
    rows = [flambeau.empty_like(padded) for _ in range(group.size())] if group.rank() == root else None
    gather(padded, rows, group=group, group_dst=root)
    if rows is not None and object_gather_list is not None:
        object_gather_list[:] = [_unpacked(row, size.view(1))[0] for row, size in zip(rows, sizes, strict=True)]
    return


@among_members
def broadcast_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: Any = None,
    device: Any = None,
    group_src: int | None = None,
) -> None:
    """Replace the objects in a list with the objects of the process of rank ``src``.

    Args:
        object_list: list with the same length in all processes.
        device: device of the tensors that hold the bytes.

    >>> settings = [{"lr": 0.1}, "cosine"]
    >>> flambeau.distributed.broadcast_object_list(settings, src=0)  # a group of one process
    >>> settings
    [{'lr': 0.1}, 'cosine']
    """
    root, target = resolve_group_rank("broadcast_object_list", "src", group, src, group_src), _device(group, device)
    if group.rank() == root:
        data, sizes = _pickle_objects(object_list, target)
    else:
        sizes = flambeau.empty(len(object_list), dtype=flambeau.int64, device=target)
    broadcast(sizes, group=group, group_src=root)
    if group.rank() != root:
        data = flambeau.empty(int(sizes.sum().item()), dtype=flambeau.uint8, device=target)
    broadcast(data, group=group, group_src=root)
    if group.rank() != root:
        object_list[:] = _unpacked(data, sizes)
    return


@among_members
def scatter_object_list(
    scatter_object_output_list: list[Any],
    scatter_object_input_list: list[Any] | None = None,
    src: int | None = None,
    group: Any = None,
    group_src: int | None = None,
) -> None:
    """Send one object of a list from the process of rank ``src``, 0 by default, to each process.

    Args:
        scatter_object_output_list: list whose first entry is replaced with the received object.
        scatter_object_input_list: in rank ``src``, one object per process.

    >>> received = [None]
    >>> flambeau.distributed.scatter_object_list(received, [{"rank": 0}])  # a group of one process
    >>> received
    [{'rank': 0}]
    """
    root = resolve_group_rank("scatter_object_list", "src", group, src, group_src, default=0)
    if not isinstance(scatter_object_output_list, list) or not scatter_object_output_list:
        raise ValueError("scatter_object_list: scatter_object_output_list should be a list with at least one element")
    if group.rank() == root:
        _fill_list("scatter_object_list", "scatter_object_input_list", scatter_object_input_list, group.size())
        for rank, each in enumerate(scatter_object_input_list or ()):
            if rank == root:
                scatter_object_output_list[0] = each
            else:
                _send([each], group, rank)
    else:
        scatter_object_output_list[0] = _receive(1, group, root)[0]
    return


@among_members
def send_object_list(
    object_list: list[Any],
    dst: int | None = None,
    group: Any = None,
    device: Any = None,
    group_dst: int | None = None,
) -> None:
    """Send the objects of a list to the process of rank ``dst``, which calls `recv_object_list`.

    >>> if flambeau.distributed.get_rank() == 0:  # doctest: +SKIP
    ...     flambeau.distributed.send_object_list(["epoch", 3], dst=1)
    ... else:
    ...     received = [None, None]
    ...     sender = flambeau.distributed.recv_object_list(received, src=0)
    """
    return _send(object_list, group, resolve_group_rank("send_object_list", "dst", group, dst, group_dst), device)


def _send(objects: Sequence[Any], group: ProcessGroup, to: int, device: Any = None) -> None:
    data, sizes = _pickle_objects(objects, _device(group, device))
    send(sizes, group=group, group_dst=to)
    send(data, group=group, group_dst=to)


@among_members
def recv_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: Any = None,
    device: Any = None,
    group_src: int | None = None,
) -> int:
    """Receive objects into a list. Return the rank of the sender.

    Args:
        object_list: list of the same length as the list that the sender sends.
        src: rank of the sender; None for any sender.

    See `send_object_list`.
    """
    source = (
        None
        if src is None and group_src is None
        else resolve_group_rank("recv_object_list", "src", group, src, group_src)
    )
    sizes = flambeau.empty(len(object_list), dtype=flambeau.int64, device=_device(group, device))
    came_from = recv(sizes, group=group, group_src=source)
    object_list[:] = _receive_objects(sizes, group, group.ranks.index(came_from))
    return came_from


def _receive(count: int, group: ProcessGroup, source: int) -> list[Any]:
    sizes = flambeau.empty(count, dtype=flambeau.int64, device=_device(group, None))
    recv(sizes, group=group, group_src=source)
    return _receive_objects(sizes, group, source)


def _receive_objects(sizes: Tensor, group: ProcessGroup, source: int) -> list[Any]:
    data = flambeau.empty(int(sizes.sum().item()), dtype=flambeau.uint8, device=sizes.device)
    recv(data, group=group, group_src=source)
    return _unpacked(data, sizes)
