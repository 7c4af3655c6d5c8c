"""Convolution layers."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor, conv2d, empty

from ._linear import reset_weight_and_bias
from ._module import Module
from ._sizes import Size2d, pair
from .parameter import Parameter


class Conv2d(Module):
    """Slide ``out_channels`` filters over an image (cross-correlation).

    Args:
        in_channels, out_channels: numbers of channels; both divisible by ``groups``.
        kernel_size, stride, dilation: one int or (height, width).
        padding: zeros on each side, as an int or (height, width), or ``"valid"`` (none) or ``"same"`` (the output has
            the input's size; needs stride 1).
        groups: the channels are split into this many groups that do not mix.
        bias: False leaves the bias out.
        padding_mode: ``"zeros"``.
    Shapes: ``(N, in_channels, H, W)`` or ``(in_channels, H, W)``; an output side has
        ``(side + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1`` pixels.
    Parameters: ``weight`` ``(out_channels, in_channels / groups, *kernel_size)`` and ``bias`` ``(out_channels,)``, both
        uniform in ``±1/sqrt(in_channels / groups * kernel_height * kernel_width)``.
    Raises: ValueError for channels that ``groups`` does not divide and for unknown paddings.

    >>> tuple(nn.Conv2d(3, 16, 3, padding=1)(fb.zeros(1, 3, 8, 8)).shape)
    (1, 16, 8, 8)
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2d,
        stride: Size2d = 1,
        padding: str | Size2d = 0,
        dilation: Size2d = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_channels(in_channels, out_channels, groups)
        _check_padding(padding, pair(stride), padding_mode)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair(kernel_size)
        self.stride = pair(stride)
        self.padding = padding if isinstance(padding, str) else pair(padding)
        self.dilation = pair(dilation)
        self.groups = groups
        self.padding_mode = padding_mode
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters again."""
        reset_weight_and_bias(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        unusual = [
            f"{name}={getattr(self, name)}"
            for name, usual in (("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1))
            if getattr(self, name) != usual
        ]
        if self.bias is None:
            unusual.append("bias=False")
        fixed = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        return ", ".join([fixed, *unusual])


def _check_channels(in_channels: int, out_channels: int, groups: int) -> None:
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        if channels % groups:
            raise ValueError(f"{name} must be divisible by groups, got {name}={channels} and groups={groups}")


def _check_padding(padding: str | Size2d, stride: tuple[int, ...], padding_mode: str) -> None:
    if padding_mode != "zeros":
        raise ValueError(f"padding_mode must be 'zeros', got {padding_mode!r}")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"Invalid padding string {padding!r}, should be one of 'valid', 'same'")
        if padding == "same" and any(step != 1 for step in stride):
            raise ValueError(f"padding='same' is not supported for strided convolutions, got stride={stride}")
