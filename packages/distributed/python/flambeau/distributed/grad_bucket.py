"""Bucket of gradients for communication hooks."""

from __future__ import annotations

from collections.abc import Sequence

from flambeau import Tensor

__all__ = ["GradBucket"]


class GradBucket:
    """Gradients of one dtype and device in one buffer, which `DistributedDataParallel` passes to its hook.

    Args:
        index: index of the bucket.
        buffer: one-dimensional tensor of the concatenated gradients.
        gradients: the gradients with the shapes of their parameters.
        parameters: the parameters of the gradients.
        is_last: True for the last bucket of the backward pass.

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
        """Return the index of the bucket. The bucket of the last layers has index 0."""
        return self._index

    def buffer(self) -> Tensor:
        """Return the concatenated gradients of this process."""
        return self._buffer

    def gradients(self) -> list[Tensor]:
        """Return the gradients with their parameters' shapes, as views of the buffer."""
        return self._gradients

    def parameters(self) -> list[Tensor]:
        """Return the parameters to which the gradients belong."""
        return self._parameters

    def is_last(self) -> bool:
        """Return True for the last bucket of the backward pass."""
        return self._is_last

    def set_buffer(self, buffer: Tensor) -> None:
        """Replace the buffer with another tensor, such as compressed gradients, for a nested hook."""
        self._buffer = buffer
