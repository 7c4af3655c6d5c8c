"""Buckets of gradients: gradients that are sent in one message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import flambeau
from flambeau import Tensor, distributed

__all__ = ["Bucket", "in_buckets"]


class Bucket:
    """Bucket of gradients with the same dtype and device.

    Args:
        index: index of the bucket.
        parameters: parameters of the gradients.
        is_last: True for the last bucket.
    """

    def __init__(self, index: int, parameters: Sequence[Tensor], is_last: bool) -> None:
        self.index, self.parameters, self.is_last = index, list(parameters), is_last
        self.waiting: set[Tensor] = set()  # parameters whose gradients this backward pass has not computed yet
        self.expected = 0  # number of expected gradients
        self.finish: Callable[[], Tensor | None] | None = None  # function that waits for the messages

    @cached_property
    def buffer(self) -> Tensor:
        """Concatenated gradients."""
        first = self.parameters[0]
        return flambeau.zeros(sum(each.numel() for each in self.parameters), dtype=first.dtype, device=first.device)

    @cached_property
    def views(self) -> list[Tensor]:
        """Views of the buffer with the shapes of the parameters."""
        parts = self.buffer.split([each.numel() for each in self.parameters])
        return [part.view(each.shape) for part, each in zip(parts, self.parameters, strict=True)]

    def shown(self) -> distributed.GradBucket:
        """Return the bucket in the form that communication hooks receive."""
        return distributed.GradBucket(self.index, self.buffer, self.views, self.parameters, self.is_last)

    def begin_backward(self, unused: set[Tensor]) -> None:
        """Prepare for a backward pass that computes the gradients of all parameters except ``unused`` ones."""
        self.waiting.update(self.parameters)
        if unused:
            self.waiting -= unused
        self.expected = len(self.waiting)

    def pack(self) -> None:
        """Copy the gradients to the buffer. Missing gradients are zeros."""
        for parameter, view in zip(self.parameters, self.views, strict=True):
            gradient = parameter.grad
            if gradient is None:
                view.zero_()
            elif gradient is not view:
                view.copy_(gradient)

    def unpack(self, result: Tensor, untouched: set[Tensor], as_views: bool) -> None:
        """Set the gradients of the parameters from the result.

        Args:
            result: the buffer, or the result of a hook.
            untouched: parameters whose gradients stay unchanged.
            as_views: if True, gradients are views of the buffer instead of copies.
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
    """Assign parameters to buckets of one dtype and device, in reverse order, because gradients arrive in that order.

    Args:
        parameters: parameters in order of use.
        caps: sizes of the first buckets in bytes; the last entry applies to all further buckets. A bucket is complete
            when a parameter reaches or exceeds this size.
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
    finished.sort(key=lambda members: -members[-1])  # ordered by the arrival of their last gradient
    last = len(finished) - 1
    return [Bucket(i, [parameters[each] for each in members], i == last) for i, members in enumerate(finished)]
