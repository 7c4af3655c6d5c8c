"""Gradients that travel together, as a hook for their communication sees them."""

from __future__ import annotations

from collections.abc import Sequence

from flambeau import Tensor

__all__ = ["GradBucket"]


class GradBucket:
    """Gradients of one dtype on one device in one piece of memory, which `DistributedDataParallel` hands to its hook.

    Args:
        index: which of the buckets it is.
        buffer: the gradients one behind the other, one-dimensional.
        gradients: the same, each with the shape of its parameter.
        parameters: whose they are.
        is_last: whether no bucket comes behind it in this backward pass.

    >>> flat = fb.arange(6.0)
    >>> bucket = flambeau.distributed.GradBucket(0, flat, [flat[:2], flat[2:].view(2, 2)], [], True)
    >>> bucket.gradients()[1]
    tensor([[2., 3.],
            [4., 5.]])
    """

    def __init__(
        self, index: int, buffer: Tensor, gradients: Sequence[Tensor], parameters: Sequence[Tensor], is_last: bool
    ) -> None:
        self._index, self._buffer, self._is_last = index, buffer, is_last
        self._gradients, self._parameters = list(gradients), list(parameters)

    def index(self) -> int:
        """Which of the buckets it is; that of the last layers comes first."""
        return self._index

    def buffer(self) -> Tensor:
        """The gradients of this process one behind the other."""
        return self._buffer

    def gradients(self) -> list[Tensor]:
        """The gradients, each with its parameter's shape, over the memory of the buffer."""
        return self._gradients

    def parameters(self) -> list[Tensor]:
        """The parameters that the gradients belong to."""
        return self._parameters

    def is_last(self) -> bool:
        """Whether no bucket comes behind it in this backward pass."""
        return self._is_last

    def set_buffer(self, buffer: Tensor) -> None:
        """Replace the buffer by another tensor, such as a compressed one, for a hook that is called within a hook."""
        self._buffer = buffer
