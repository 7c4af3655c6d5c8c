"""Conversion of tensors to the buffers that a transport sends and receives, and back."""

from __future__ import annotations

from collections.abc import Sequence

from flambeau import Tensor

from ._transport import Transport
from .groups import ProcessGroup
from .work import Work

__all__ = ["copy_received", "receive_buffer", "send_buffer", "stack_rows", "transport_for", "wait_unless_async"]


def transport_for(group: ProcessGroup, tensor: Tensor) -> tuple[Transport, str]:
    """Return the transport of ``group`` for a tensor, and the device on which the transport needs tensors."""
    transport = group.transport(tensor.device)
    return (group.on_the_host(), "cpu") if transport is None else (transport, str(tensor.device))


def send_buffer(tensor: Tensor, device: str) -> Tensor:
    """Return the tensor, detached, contiguous and on ``device``, without a copy if possible."""
    return tensor.detach().resolve_conj().resolve_neg().to(device).contiguous()


def receive_buffer(tensor: Tensor, device: str) -> Tensor:
    """Return a receive buffer on ``device`` for ``tensor``: the tensor itself if it is there and contiguous."""
    if tensor.device.type == device.partition(":")[0] and tensor.is_contiguous() and not tensor.is_conj():
        return tensor.detach()
    return tensor.new_empty(tensor.shape, device=device)


def copy_received(work: Work, tensor: Tensor, received: Tensor) -> Work:
    """Add a final step to ``work`` that copies ``received`` to ``tensor``, unless they share memory."""
    if received.numel() and received.data_ptr() != tensor.data_ptr():
        work.finish_with(lambda: tensor.detach().copy_(received.view(tensor.shape)))
    return work


def stack_rows(inputs: Sequence[Tensor], device: str) -> Tensor | None:
    """Stack tensors of the same size as rows of one tensor on ``device``. Return None for an empty list."""
    if not inputs:
        return None
    buffer = inputs[0].new_empty((len(inputs), inputs[0].numel()), device=device)
    for row, each in zip(buffer, inputs, strict=True):
        row.copy_(each.detach().reshape(-1))
    return buffer


def wait_unless_async(work: Work, async_op: bool, outputs: Sequence[Tensor]) -> Work | None:
    """Return ``work`` if ``async_op`` is True, otherwise wait for it and return None.

    Args:
        outputs: the tensors that ``work.result()`` returns.
    """
    work.fills(outputs)
    if async_op:
        return work.complete_in_background()
    work.wait()
    return None
