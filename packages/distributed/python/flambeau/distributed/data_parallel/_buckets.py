"""Gradients in pieces of memory of some size, so that few messages carry many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import flambeau
from flambeau import Tensor, distributed

__all__ = ["Bucket", "in_buckets"]


class Bucket:
    """Gradients of one dtype on one device that travel together.

    Args:
        index: which of the buckets it is.
        parameters: whose gradients they are.
        is_last: whether there is none behind it.
    """

    def __init__(self, index: int, parameters: Sequence[Tensor], is_last: bool) -> None:
        self.index, self.parameters, self.is_last = index, list(parameters), is_last
        self.waiting: set[Tensor] = set()  # whose gradients the backward pass has not made yet
        self.expected = 0  # how many gradients it makes
        self.finish: Callable[[], Tensor | None] | None = None  # waits for what travels; None: it is in place

    @cached_property
    def buffer(self) -> Tensor:
        """The gradients one behind the other."""
        first = self.parameters[0]
        return flambeau.zeros(sum(each.numel() for each in self.parameters), dtype=first.dtype, device=first.device)

    @cached_property
    def views(self) -> list[Tensor]:
        """The buffer in parts with the shapes of the parameters."""
        parts = self.buffer.split([each.numel() for each in self.parameters])
        return [part.view(each.shape) for part, each in zip(parts, self.parameters, strict=True)]

    def shown(self) -> distributed.GradBucket:
        """What a hook for the communication is given."""
        return distributed.GradBucket(self.index, self.buffer, self.views, self.parameters, self.is_last)

    def expect(self, unused: set[Tensor]) -> None:
        """Wait for the gradients of all but some parameters."""
        self.waiting.update(self.parameters)
        if unused:
            self.waiting -= unused
        self.expected = len(self.waiting)

    def pack(self) -> None:
        """Copy the gradients into the buffer where they are not there; those that are missing are zeros."""
        for parameter, view in zip(self.parameters, self.views, strict=True):
            gradient = parameter.grad
            if gradient is None:
                view.zero_()
            elif gradient is not view:
                view.copy_(gradient)

    def unpack(self, result: Tensor, untouched: set[Tensor], as_views: bool) -> None:
        """Give what arrived to the parameters.

        Args:
            result: the buffer, or what a hook made of it.
            untouched: parameters that keep what they have.
            as_views: have the gradients be parts of the buffer, instead of copying from it.
        """
        if result is not self.buffer:
            self.buffer.copy_(result.view(-1))
        for parameter, view in zip(self.parameters, self.views, strict=True):
            gradient = parameter.grad
            if gradient is view or parameter in untouched:
                continue
            if as_views:
                parameter.grad = view
            elif gradient is None:
                parameter.grad = view.clone()
            else:
                gradient.copy_(view)


def in_buckets(parameters: Sequence[Tensor], caps: Sequence[int]) -> list[Bucket]:
    """Parameters in buckets of one dtype and device, the last first, as their gradients come in this order.

    Args:
        parameters: in the order in which they are used.
        caps: how many bytes the first bucket has, the second and so on; the last number holds for the rest. A bucket
            ends with the parameter that reaches it.
    """
    finished: list[list[int]] = []
    open_: dict[tuple[flambeau.dtype, flambeau.device], list[int]] = {}
    sizes: Counter[Any] = Counter()
    ended: Counter[Any] = Counter()
    for number in reversed(range(len(parameters))):
        kind = (parameters[number].dtype, parameters[number].device)
        open_.setdefault(kind, []).append(number)
        sizes[kind] += parameters[number].nbytes
        if sizes[kind] >= caps[min(ended[kind], len(caps) - 1)]:
            finished.append(open_.pop(kind))
            ended[kind] += 1
            sizes[kind] = 0
    finished.extend(open_.values())
    finished.sort(key=lambda members: -members[-1])  # by when their last gradient comes
    last = len(finished) - 1
    return [Bucket(i, [parameters[each] for each in members], i == last) for i, members in enumerate(finished)]
