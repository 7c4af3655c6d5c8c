"""Conversion of tensors for a transport and back."""

from __future__ import annotations

from collections.abc import Sequence

from flambeau import Tensor

from ._transport import Transport
from .groups import ProcessGroup
from .work import Work

__all__ = ["carried", "carrier", "handed", "into", "room_for", "together"]


def carrier(group: ProcessGroup, tensor: Tensor) -> tuple[Transport, str]:
    """Return the transport for a tensor and the device that the transport needs."""
    found = group.transport(tensor.device)
    return (group.on_the_host(), "cpu") if found is None else (found, str(tensor.device))


def carried(tensor: Tensor, device: str) -> Tensor:
    """Return a contiguous tensor on the device; the same tensor if possible."""
    return tensor.detach().resolve_conj().resolve_neg().to(device).contiguous()


def room_for(tensor: Tensor, device: str) -> Tensor:
    """Return a buffer to receive into: the tensor's own memory if it is contiguous on the device."""
    if tensor.device.type == device.partition(":")[0] and tensor.is_contiguous() and not tensor.is_conj():
        return tensor.detach()
    return tensor.new_empty(tensor.shape, device=device)


def into(work: Work, tensor: Tensor, received: Tensor) -> Work:
    """Add a step to the work that copies the received data to the tensor."""
    if received.numel() and received.data_ptr() != tensor.data_ptr():
        work.finish_with(lambda: tensor.detach().copy_(received.view(tensor.shape)))
    return work


def together(inputs: Sequence[Tensor], device: str) -> Tensor | None:
    """Stack tensors of the same size as rows of one tensor; None for an empty list."""
    if not inputs:
        return None
    room = inputs[0].new_empty((len(inputs), inputs[0].numel()), device=device)
    for row, each in zip(room, inputs, strict=True):
        row.copy_(each.detach().reshape(-1))
    return room


def handed(work: Work, async_op: bool, outputs: Sequence[Tensor]) -> Work | None:
    """Return the work if ``async_op``, else wait for it and return None."""
    work.fills(outputs)
    if async_op:
        return work.leave()
    work.wait()
    return None
