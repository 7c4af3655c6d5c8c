"""Tensors as a transport takes them, and the way back."""

from __future__ import annotations

from collections.abc import Sequence

from flambeau import Tensor

from ._transport import Transport
from .groups import ProcessGroup
from .work import Work

__all__ = ["carried", "carrier", "handed", "into", "room_for", "together"]


def carrier(group: ProcessGroup, tensor: Tensor) -> tuple[Transport, str]:
    """What carries a tensor, and on which device it takes it."""
    found = group.transport(tensor.device)
    return (group.on_the_host(), "cpu") if found is None else (found, str(tensor.device))


def carried(tensor: Tensor, device: str) -> Tensor:
    """A tensor as it is sent: contiguous, and of that device; itself where it is."""
    return tensor.detach().resolve_conj().resolve_neg().to(device).contiguous()


def room_for(tensor: Tensor, device: str) -> Tensor:
    """Where a tensor is received: its own memory, if it is contiguous there."""
    if tensor.device.type == device.partition(":")[0] and tensor.is_contiguous() and not tensor.is_conj():
        return tensor.detach()
    return tensor.new_empty(tensor.shape, device=device)


def into(work: Work, tensor: Tensor, received: Tensor) -> Work:
    """The work, after which what was received is in a tensor."""
    if received.numel() and received.data_ptr() != tensor.data_ptr():
        work.finish_with(lambda: tensor.detach().copy_(received.view(tensor.shape)))
    return work


def together(inputs: Sequence[Tensor], device: str) -> Tensor | None:
    """Tensors of as many elements, as the rows of one; None of none."""
    if not inputs:
        return None
    room = inputs[0].new_empty((len(inputs), inputs[0].numel()), device=device)
    for row, each in zip(room, inputs, strict=True):
        row.copy_(each.detach().reshape(-1))
    return room


def handed(work: Work, async_op: bool, outputs: Sequence[Tensor]) -> Work | None:
    """What a collective returns: the work under way, or None when it is done."""
    work.fills(outputs)
    if async_op:
        return work.leave()
    work.wait()
    return None
