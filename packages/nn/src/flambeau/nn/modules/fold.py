"""Layers that convert the sliding windows of an image to columns, and back."""

from __future__ import annotations

from flambeau import Tensor

from .. import functional as F
from .module import Module
from .utils import Size, options_of


class Unfold(Module):
    """Extract each window of ``(N, C, H, W)`` as a column: ``(N, C * kernel_height * kernel_width, windows)``.

    >>> tuple(nn.Unfold(2)(fb.zeros(1, 3, 4, 4)).shape)
    (1, 12, 9)
    """

    def __init__(self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return options_of(self, "kernel_size", "dilation", "padding", "stride")


class Fold(Module):
    """Sum columns to an image of ``output_size``; each column is a window. This is the transpose of `Unfold`.

    >>> nn.Fold((3, 3), (2, 2))(fb.ones(1, 4, 4)).squeeze()
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """

    def __init__(
        self, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return options_of(self, "output_size", "kernel_size", "dilation", "padding", "stride")
