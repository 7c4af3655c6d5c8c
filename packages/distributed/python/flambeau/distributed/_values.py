"""Broadcast of many tensors in few messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import flambeau
from flambeau import Tensor

from .collectives import broadcast
from .groups import ProcessGroup

__all__ = ["begin_broadcast", "broadcast_values"]


def broadcast_values(tensors: Sequence[Tensor], group: ProcessGroup, source: int = 0) -> None:
    """Copy the values of ``tensors`` from the process ``source``, with one message per dtype and device.

    Args:
        source: rank within the group.
    """
    begin_broadcast(tensors, group, source)()


@flambeau.no_grad()
def begin_broadcast(tensors: Sequence[Tensor], group: ProcessGroup, source: int) -> Callable[[], None]:
    """Start `broadcast_values`. Return a function that waits until it is complete."""
    kinds: dict[tuple[flambeau.dtype, flambeau.device], list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.dtype, tensor.device), []).append(tensor.detach())
    packed = [flambeau.cat([each.reshape(-1) for each in alike]) for alike in kinds.values()]
    works = [broadcast(whole, group=group, async_op=True, group_src=source) for whole in packed]

    def finish() -> None:
        for work, whole, alike in zip(works, packed, kinds.values(), strict=True):
            if work is not None:
                work.wait()
            if group.rank() != source:
                for each, values in zip(alike, whole.split([each.numel() for each in alike]), strict=True):
                    each.copy_(values.view(each.shape))

    return finish
