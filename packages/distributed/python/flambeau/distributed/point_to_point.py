"""Messages from one process to another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from flambeau import Tensor

from ._buffers import copy_received, receive_buffer, send_buffer, transport_for
from ._checks import among_members, check_tensor, resolve_group_rank
from .groups import ProcessGroup, get_rank, member
from .work import Work

__all__ = ["P2POp", "batch_isend_irecv", "irecv", "isend", "recv", "send"]


@among_members
def isend(
    tensor: Tensor, dst: int | None = None, group: Any = None, tag: int = 0, group_dst: int | None = None
) -> Work | None:
    """Start to send a tensor. It must not be changed until the work is complete.

    Args:
        tensor: the tensor. The receiver passes a tensor of the same size and dtype.
        dst: rank of the receiver.
        tag: tag of the message. A receiver gets only messages with the tag that it specifies.
    Returns: the work to wait for.
    Raises: ValueError if ``dst`` is this process.

    >>> tensor = fb.ones(2)
    >>> if flambeau.distributed.get_rank() == 0:  # doctest: +SKIP
    ...     work = flambeau.distributed.isend(tensor, dst=1)
    ... else:
    ...     work = flambeau.distributed.irecv(tensor, src=0)
    >>> work.wait()  # doctest: +SKIP
    True
    """
    return _begin_to_send("isend", tensor, dst, group, tag, group_dst).complete_in_background()


@among_members
def irecv(
    tensor: Tensor, src: int | None = None, group: Any = None, tag: int = 0, group_src: int | None = None
) -> Work | None:
    """Start to receive a tensor. The data are valid when the work is complete.

    Args:
        tensor: tensor that receives the data.
        src: rank of the sender; None for any sender (see ``work.source_rank()``).
        tag: tag of the message.
    Returns: the work to wait for.

    See `isend`.
    """
    return _begin_to_receive("irecv", tensor, src, group, tag, group_src).complete_in_background()


@among_members
def send(tensor: Tensor, dst: int | None = None, group: Any = None, tag: int = 0, group_dst: int | None = None) -> None:
    """Send a tensor like `isend`, and wait until the tensor may be changed.

    >>> tensor = fb.ones(2)
    >>> if flambeau.distributed.get_rank() == 0:  # doctest: +SKIP
    ...     flambeau.distributed.send(tensor, dst=1)
    ... else:
    ...     sender = flambeau.distributed.recv(tensor, src=0)
    """
    _begin_to_send("send", tensor, dst, group, tag, group_dst).wait()


@among_members
def recv(tensor: Tensor, src: int | None = None, group: Any = None, tag: int = 0, group_src: int | None = None) -> int:
    """Receive a tensor like `irecv`, and wait until it is received. Return the rank of the sender. See `send`."""
    work = _begin_to_receive("recv", tensor, src, group, tag, group_src)
    work.wait()
    return group.ranks[work.source_rank()]  # type: ignore[no-any-return]


def _begin_to_send(
    call: str, tensor: Tensor, to: int | None, group: ProcessGroup, tag: int, group_rank: int | None
) -> Work:
    rank = _peer_rank(group, call, "dst", to, group_rank)
    transport, device = transport_for(group, check_tensor(call, "tensor", tensor))
    return transport.send(send_buffer(tensor, device), rank, tag)


def _begin_to_receive(
    call: str, tensor: Tensor, source: int | None, group: ProcessGroup, tag: int, group_rank: int | None
) -> Work:
    rank = None if source is None and group_rank is None else _peer_rank(group, call, "src", source, group_rank)
    transport, device = transport_for(group, check_tensor(call, "tensor", tensor))
    buffer = receive_buffer(tensor, device)
    return copy_received(transport.receive(buffer, rank, tag), tensor, buffer).fills([tensor])


def _peer_rank(group: ProcessGroup, call: str, name: str, rank: int | None, group_rank: int | None) -> int:
    peer = resolve_group_rank(call, name, group, rank, group_rank)
    if peer == group.rank():
        raise ValueError(
            f"{call}: {name} should be the rank of another process, got {get_rank()}, the rank of this process"
        )
    return peer


class P2POp:
    """Message for `batch_isend_irecv`.

    Args:
        op: `isend` or `irecv`.
        tensor, group, tag: arguments of ``op``.
        peer: rank of the other process.

    >>> message = flambeau.distributed.P2POp(flambeau.distributed.isend, fb.ones(2), peer=1)
    >>> message.peer, message.tensor
    (1, tensor([1., 1.]))
    """

    def __init__(
        self,
        op: Callable[..., Work | None],
        tensor: Tensor,
        peer: int | None = None,
        group: Any = None,
        tag: int = 0,
        group_peer: int | None = None,
    ) -> None:
        if op not in (isend, irecv):
            raise ValueError(
                f"P2POp: op should be flambeau.distributed.isend or flambeau.distributed.irecv, got {op!r}"
            )
        check_tensor("P2POp", "tensor", tensor)
        self.op, self.tensor, self.group, self.tag = op, tensor, group, tag
        self.peer, self.group_peer = peer, group_peer


def batch_isend_irecv(p2p_op_list: Sequence[P2POp]) -> list[Work]:
    """Start several messages concurrently, so that processes that send to each other do not deadlock.

    Returns: one work per message.

    >>> import flambeau.distributed as dist
    >>> def swap(sent, received, peer):  # two processes call this, each with the other's rank
    ...     messages = [dist.P2POp(dist.isend, sent, peer), dist.P2POp(dist.irecv, received, peer)]
    ...     for work in dist.batch_isend_irecv(messages):
    ...         work.wait()
    """
    operations = list(p2p_op_list)
    if not operations or not all(isinstance(each, P2POp) for each in operations):
        raise ValueError("batch_isend_irecv: p2p_op_list should be a list of at least one P2POp")
    groups_and_tensors = [(member(each.group), each.tensor) for each in operations]
    with ExitStack() as block:
        for transport in dict.fromkeys(
            transport_for(group, tensor)[0] for group, tensor in groups_and_tensors if group is not None
        ):
            block.enter_context(transport.batched_messages())
        works = [each.op(each.tensor, each.peer, each.group, each.tag, each.group_peer) for each in operations]
    return [work for work in works if work is not None]
