"""Layers that summarise windows of an image."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor, avg_pool2d, max_pool2d

from ._module import Module
from ._sizes import Size2d


class MaxPool2d(Module):
    """The largest value in each window.

    Args:
        kernel_size: window, as an int or (height, width).
        stride: step between windows; the window's size by default.
        padding: -inf on each side, at most half the window.
        dilation: step between the pixels of a window.
        return_indices: True gives also where in its plane each maximum stands.
        ceil_mode: True keeps windows that reach over the edge.
    Shapes: ``(N, C, H, W)`` or ``(C, H, W)``.

    >>> nn.MaxPool2d(2)(fb.arange(4.0).reshape(1, 1, 2, 2)).item()
    3.0
    """

    def __init__(
        self,
        kernel_size: Size2d,
        stride: Size2d | None = None,
        padding: Size2d = 0,
        dilation: Size2d = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        window = (self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        return max_pool2d(input, *window, return_indices=True) if self.return_indices else max_pool2d(input, *window)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of each window.

    Args:
        kernel_size: window, as an int or (height, width).
        stride: step between windows; the window's size by default.
        padding: zeros on each side, at most half the window.
        ceil_mode: True keeps windows that reach over the edge.
        count_include_pad: whether padded zeros count in the mean.
        divisor_override: divides the window's sum instead of its size.
    Shapes: ``(N, C, H, W)`` or ``(C, H, W)``.

    >>> nn.AvgPool2d(2)(fb.arange(4.0).reshape(1, 1, 2, 2)).item()
    1.5
    """

    def __init__(
        self,
        kernel_size: Size2d,
        stride: Size2d | None = None,
        padding: Size2d = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
