"""Deformable convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import flambeau as fb
from flambeau import nn

from ._regions import pair

Size = int | Sequence[int]


def deform_conv2d(
    input: fb.Tensor,
    offset: fb.Tensor,
    weight: fb.Tensor,
    bias: fb.Tensor | None = None,
    stride: Size = (1, 1),
    padding: Size = (0, 0),
    dilation: Size = (1, 1),
    mask: fb.Tensor | None = None,
) -> fb.Tensor:
    """Apply a convolution in which each kernel element reads at a position that is shifted by an offset.

    Args:
        input: ``(N, C, H, W)``. Positions between pixels are interpolated bilinearly; pixels outside the input are 0.
        offset: ``(N, 2 * groups * kh * kw, H_out, W_out)``, y and x for each kernel element and group of input
            channels.
        weight: ``(C_out, C / convolution groups, kh, kw)``.
        bias: ``(C_out,)`` or None.
        stride, padding, dilation: height and width, or one number for both.
        mask: ``(N, groups * kh * kw, H_out, W_out)``, factors for the values that are read; None for ones.
    Returns: ``(N, C_out, H_out, W_out)``. Gradient: defined for all tensors.
    Raises: RuntimeError for shapes that do not match.
    Source: Dai et al. 2017, arXiv:1703.06211; with a mask Zhu et al. 2018, arXiv:1811.11168.

    >>> image, weight = fb.arange(9.0).view(1, 1, 3, 3), fb.ones(1, 1, 1, 1)
    >>> deform_conv2d(image, fb.full((1, 2, 3, 3), 0.5), weight)
    tensor([[[[2.0000, 3.0000, 1.7500],
              [5.0000, 6.0000, 3.2500],
              [3.2500, 3.7500, 2.0000]]]])
    """
    steps, pads, rates = pair(stride), pair(padding), pair(dilation)
    kernel = tuple(weight.shape[2:])
    taps = kernel[0] * kernel[1]
    size = [
        (length + 2 * pad - rate * (tap - 1) - 1) // step + 1
        for length, step, pad, rate, tap in zip(input.shape[2:], steps, pads, rates, kernel, strict=True)
    ]
    groups = _groups(input, offset, weight, mask, taps, size)
    count, channels = input.shape[:2]
    shifts = offset.view(count, groups, taps, 2, *size)
    y = _grid(size[0], kernel[0], steps[0], pads[0], rates[0], offset)[:, None, :, None].expand(*kernel, size[0], 1)
    x = _grid(size[1], kernel[1], steps[1], pads[1], rates[1], offset)[None, :, None, :].expand(*kernel, 1, size[1])
    places_y = (shifts[:, :, :, 0] + y.reshape(taps, size[0], 1)).flatten(2)
    places_x = (shifts[:, :, :, 1] + x.reshape(taps, 1, size[1])).flatten(2)
    read = _bilinear(input.view(count, groups, channels // groups, *input.shape[2:]), places_y, places_x)
    if mask is not None:
        read = read * mask.view(count, groups, 1, taps * size[0] * size[1])
    parts = channels // weight.shape[1] if channels else 1
    columns = read.reshape(count, parts, channels // parts * taps, size[0] * size[1])
    rows = weight.view(parts, weight.shape[0] // parts, channels // parts * taps)
    result = (rows @ columns).view(count, weight.shape[0], *size)
    return result if bias is None else result + bias[:, None, None]


def _groups(
    input: fb.Tensor, offset: fb.Tensor, weight: fb.Tensor, mask: fb.Tensor | None, taps: int, size: Sequence[int]
) -> int:
    """Return the number of channel groups with separate offsets. Raises: RuntimeError for shapes that do not match."""
    groups = offset.shape[1] // (2 * taps)
    if groups == 0 or offset.shape[1] % (2 * taps):
        raise RuntimeError(
            "the shape of the offset tensor at dimension 1 is not valid. It should be a multiple of 2 * weight.size[2] "
            f"* weight.size[3].\nGot offset.shape[1]={offset.shape[1]}, while 2 * weight.size[2] * weight.size[3]="
            f"{2 * taps}"
        )
    channels, of_weight = input.shape[1], weight.shape[1]
    if channels % groups or (channels % of_weight if of_weight else channels):
        raise RuntimeError(
            f"the number of input channels should be a multiple of the number of offset groups and of weight.shape[1], "
            f"got {channels}, {groups} and {of_weight}"
        )
    for name, given, count in (("offset", offset, 2 * groups * taps), ("mask", mask, groups * taps)):
        if given is not None and tuple(given.shape) != (len(input), count, *size):
            raise RuntimeError(f"{name} should have shape {[len(input), count, *size]}, got {list(given.shape)}")
    return groups


def _grid(size: int, taps: int, step: int, pad: int, rate: int, like: fb.Tensor) -> fb.Tensor:
    """Return the positions ``(taps, size)`` of the kernel elements for each output along one dimension."""
    outputs = fb.arange(size, dtype=like.dtype, device=like.device) * step - pad
    return outputs + fb.arange(taps, dtype=like.dtype, device=like.device)[:, None] * rate


def _bilinear(maps: fb.Tensor, y: fb.Tensor, x: fb.Tensor) -> fb.Tensor:
    """Interpolate feature maps ``(N, G, C, H, W)`` at points ``(N, G, P)``, with zeros outside: ``(N, G, C, P)``.

    ``grid_sample`` is not suitable, because it rounds coordinates. At integer positions (zero offsets), the result must
    have the derivative towards the next pixel.
    """
    height, width = maps.shape[3:]
    table = maps.flatten(3)
    top, left = y.detach().floor(), x.detach().floor()
    below, right = y - top, x - left
    total = None
    for row, share_y in ((top, 1 - below), (top + 1, below)):
        for column, share_x in ((left, 1 - right), (left + 1, right)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
            indices = index.long()[:, :, None].expand(-1, -1, maps.shape[2], -1)
            part = table.gather(3, indices) * (share_y * share_x * inside)[:, :, None]
            total = part if total is None else total + part
    assert total is not None
    return total


class DeformConv2d(nn.Module):
    """Layer that applies :func:`deform_conv2d`, with weights and a bias as in ``Conv2d``.

    The arguments of a call are the input, the offsets and optionally the mask.

    >>> layer = DeformConv2d(3, 8, kernel_size=3, padding=1)
    >>> layer(fb.zeros(1, 3, 6, 6), fb.zeros(1, 18, 6, 6)).shape
    flambeau.Size([1, 8, 6, 6])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name} must be divisible by groups, got {channels} and {groups}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair(kernel_size)
        self.stride = pair(stride)
        self.padding = pair(padding)
        self.dilation = pair(dilation)
        self.groups = groups
        self.weight = nn.Parameter(fb.empty(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = nn.Parameter(fb.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill weights and biases with random numbers from ``U(-1 / sqrt(fan_in), 1 / sqrt(fan_in))``."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, input: fb.Tensor, offset: fb.Tensor, mask: fb.Tensor | None = None) -> fb.Tensor:
        return deform_conv2d(input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask)

    def extra_repr(self) -> str:
        usual = {"padding": (0, 0), "dilation": (1, 1), "groups": 1}
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += "".join(
            f", {name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value
        )
        return text + ("" if self.bias is not None else ", bias=False")
