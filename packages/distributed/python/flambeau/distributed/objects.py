"""Objects of Python that processes hand each other, by pickle.

Who receives runs what the sender says: use these among processes of one program only.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor

from ._checks import among_members, peer
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


def _packed(objects: Sequence[Any], device: Any) -> tuple[Tensor, Tensor]:
    """Objects as bytes, one behind the other, and how many each has."""
    pickled = [pickle.dumps(each) for each in objects]
    data = flambeau.frombuffer(bytearray(b"".join(pickled)), dtype=flambeau.uint8)
    return data.to(device), flambeau.tensor([len(each) for each in pickled], dtype=flambeau.int64, device=device)


def _unpacked(data: Tensor, sizes: Tensor) -> list[Any]:
    whole, objects, start = data.cpu().numpy().tobytes(), [], 0
    for size in sizes.tolist():
        objects.append(pickle.loads(whole[start : start + size]))
        start += size
    return objects


def _padded(group: ProcessGroup, obj: Any) -> tuple[Tensor, Tensor]:
    """An object as bytes, as many as the longest of all processes has, and how many each has."""
    data, size = _packed([obj], _device(group, None))
    sizes = size.new_empty(group.size())
    all_gather_into_tensor(sizes, size, group)
    padded = data.new_zeros(int(sizes.max().item()))
    padded[: data.numel()] = data
    return padded, sizes


def _filled(call: str, name: str, given: Any, size: int) -> None:
    if not isinstance(given, list):
        raise TypeError(f"{call}: {name} should be a list, not {type(given).__name__}")
    if len(given) != size:
        raise ValueError(f"{call}: {name} should have a place for each of {size} processes, but has {len(given)}")


@among_members
def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """Puts the objects of all processes into a list, in all of them.

    Args:
        object_list: with a place for each process.
        obj: what pickle takes.

    >>> found = [None]
    >>> flambeau.distributed.all_gather_object(found, {"rank": 0})
    >>> found
    [{'rank': 0}]
    """
    _filled("all_gather_object", "object_list", object_list, group.size())
    padded, sizes = _padded(group, obj)
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
    """Puts the objects of all processes into a list of the process of rank ``dst``, 0 by default."""
    root = peer("gather_object", "dst", group, dst, group_dst, default=0)
    if group.rank() == root:
        _filled("gather_object", "object_gather_list", object_gather_list, group.size())
    padded, sizes = _padded(group, obj)
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
    """Replaces the objects of a list by those that the process of rank ``src`` has there.

    Args:
        object_list: of one length in all processes.
        device: where the bytes go through.
    """
    root, place = peer("broadcast_object_list", "src", group, src, group_src), _device(group, device)
    if group.rank() == root:
        data, sizes = _packed(object_list, place)
    else:
        sizes = flambeau.empty(len(object_list), dtype=flambeau.int64, device=place)
    broadcast(sizes, group=group, group_src=root)
    if group.rank() != root:
        data = flambeau.empty(int(sizes.sum().item()), dtype=flambeau.uint8, device=place)
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
    """Puts one object of a list that the process of rank ``src``, 0 by default, has, into each process's list.

    Args:
        scatter_object_output_list: its first place is filled.
        scatter_object_input_list: there, one object for each process.
    """
    root = peer("scatter_object_list", "src", group, src, group_src, default=0)
    if not isinstance(scatter_object_output_list, list) or not scatter_object_output_list:
        raise ValueError("scatter_object_list: scatter_object_output_list should be a list with one place at least")
    if group.rank() == root:
        _filled("scatter_object_list", "scatter_object_input_list", scatter_object_input_list, group.size())
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
    """Sends the objects of a list to the process of rank ``dst``, which calls `recv_object_list`."""
    return _send(object_list, group, peer("send_object_list", "dst", group, dst, group_dst), device)


def _send(objects: Sequence[Any], group: ProcessGroup, to: int, device: Any = None) -> None:
    data, sizes = _packed(objects, _device(group, device))
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
    """Fills a list with the objects that a process sends. Returns: its rank.

    Args:
        object_list: of the length of what is sent.
        src: from which rank; None: from whoever sends first.
    """
    source = None if src is None and group_src is None else peer("recv_object_list", "src", group, src, group_src)
    sizes = flambeau.empty(len(object_list), dtype=flambeau.int64, device=_device(group, device))
    came_from = recv(sizes, group=group, group_src=source)
    object_list[:] = _rest(sizes, group, group.ranks.index(came_from))
    return came_from


def _receive(count: int, group: ProcessGroup, source: int) -> list[Any]:
    sizes = flambeau.empty(count, dtype=flambeau.int64, device=_device(group, None))
    recv(sizes, group=group, group_src=source)
    return _rest(sizes, group, source)


def _rest(sizes: Tensor, group: ProcessGroup, source: int) -> list[Any]:
    data = flambeau.empty(int(sizes.sum().item()), dtype=flambeau.uint8, device=sizes.device)
    recv(data, group=group, group_src=source)
    return _unpacked(data, sizes)
