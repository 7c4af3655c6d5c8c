"""Convolutions and transposed convolutions over one to three dimensions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from flambeau import Tensor, empty

from .. import functional as F
from ..parameter import Parameter
from ._sizes import check_sizes
from .linear import reset_weight_and_bias
from .module import Module
from .utils import Size, _reverse_repeat_tuple, repeated

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """Base class of convolutions; a subclass defines ``dimensions`` and the name of its ``_function`` in `functional`.

    Each call looks the function up, so that programs can replace it, as in PyTorch. Pooling and dropout do the same.

    Each subclass has a constructor of its own, so that errors about arguments name the subclass.

    Programs also derive from this class. Then ``kernel_size`` is a tuple, which determines the number of dimensions,
    and the subclass defines ``forward``.
    """

    dimensions: int
    _function: ClassVar[str]
    transposed: bool = False

    weight: Tensor
    bias: Tensor | None
    output_padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: str | Size,
        dilation: Size,
        transposed: bool,
        output_padding: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if not hasattr(type(self), "dimensions"):
            self.dimensions = len(kernel_size)  # type: ignore[arg-type]
        count = self.dimensions
        check_sizes(self, in_channels=in_channels, out_channels=out_channels, groups=groups)
        _check_channels(in_channels, out_channels, groups)
        _check_padding(padding, repeated(stride, count), padding_mode)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = repeated(kernel_size, count)
        self.stride = repeated(stride, count)
        self.padding = padding if isinstance(padding, str) else repeated(padding, count)
        self.dilation = repeated(dilation, count)
        self.transposed = transposed
        self.output_padding = repeated(output_padding, count)
        self.groups = groups
        self.padding_mode = padding_mode
        channels = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        shape = (channels[0], channels[1] // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise the parameters again, with new random values."""
        reset_weight_and_bias(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        function: Callable[..., Tensor] = getattr(F, self._function)
        if self.padding_mode == "zeros":
            return function(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        padded = F.pad(input, self._reversed_padding_repeated_twice, self.padding_mode)
        return function(padded, weight, bias, self.stride, 0, self.dilation, self.groups)

    @functools.cached_property
    def _reversed_padding_repeated_twice(self) -> tuple[int, ...]:
        """Return the padding in the format of `functional.pad`.

        For ``"same"`` with an odd number of elements, the end gets one more element than the start.
        """
        if self.padding == "valid":
            return (0,) * (2 * self.dimensions)
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return tuple(amount for total in reversed(totals) for amount in (total // 2, total - total // 2))
        return _reverse_repeat_tuple(self.padding, 2)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        count = self.dimensions
        usual = {"padding": (0,) * count, "dilation": (1,) * count, "output_padding": (0,) * count, "groups": 1}
        parts = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        fixed = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        return ", ".join([fixed, *parts])


class Conv1d(_ConvNd):
    """Slide ``out_channels`` filters along a sequence. Arguments as in `Conv2d`.

    Shapes: ``(N, in_channels, L)`` or ``(in_channels, L)``.

    >>> tuple(nn.Conv1d(3, 16, 3, padding=1)(fb.zeros(1, 3, 8)).shape)
    (1, 16, 8)
    """

    dimensions = 1
    _function = "conv1d"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: str | Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = (kernel_size, stride, padding, dilation)
        super().__init__(in_channels, out_channels, *sizes, False, 0, groups, bias, padding_mode, device, dtype)


class Conv2d(_ConvNd):
    """Slide ``out_channels`` filters over an image (cross-correlation).

    Args:
        in_channels, out_channels: numbers of channels; both divisible by ``groups``.
        kernel_size, stride, dilation: an int, or one int for each dimension.
        padding: amount added at each side, as an int or one int for each dimension; or ``"valid"`` (no padding) or
            ``"same"`` (the output has the input's size; requires stride 1).
        groups: the channels are split into this many groups that do not mix.
        bias: if False, the layer has no bias.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        device, dtype: device and dtype of the parameters.
    Shapes: ``(N, in_channels, H, W)`` or ``(in_channels, H, W)``; an output side has
        ``(side + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1`` pixels.
    Parameters: ``weight`` ``(out_channels, in_channels / groups, *kernel_size)`` and ``bias`` ``(out_channels,)``, both
        uniform in ``±1/sqrt(in_channels / groups * kernel_height * kernel_width)``.
    Raises: ValueError if ``groups`` does not divide the numbers of channels, or if a padding is unknown.

    >>> tuple(nn.Conv2d(3, 16, 3, padding=1)(fb.zeros(1, 3, 8, 8)).shape)
    (1, 16, 8, 8)
    """

    dimensions = 2
    _function = "conv2d"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: str | Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = (kernel_size, stride, padding, dilation)
        super().__init__(in_channels, out_channels, *sizes, False, 0, groups, bias, padding_mode, device, dtype)


class Conv3d(_ConvNd):
    """Slide ``out_channels`` filters through a volume. Arguments as in `Conv2d`.

    Shapes: ``(N, in_channels, D, H, W)`` or ``(in_channels, D, H, W)``.

    >>> tuple(nn.Conv3d(1, 2, 3)(fb.zeros(1, 1, 4, 4, 4)).shape)
    (1, 2, 2, 2, 2)
    """

    dimensions = 3
    _function = "conv3d"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: str | Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = (kernel_size, stride, padding, dilation)
        super().__init__(in_channels, out_channels, *sizes, False, 0, groups, bias, padding_mode, device, dtype)


class _ConvTransposeNd(_ConvNd):
    """Base class of transposed convolutions, which compute the gradient of a convolution with respect to its input."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Any = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}, got {padding_mode!r}')
        if isinstance(padding, str):
            raise TypeError(
                f"padding of {type(self).__name__} must be an int or an int for each dimension, got {padding!r}"
            )
        sizes = (kernel_size, stride, padding, dilation)
        extra = output_padding
        super().__init__(in_channels, out_channels, *sizes, True, extra, groups, bias, padding_mode, device, dtype)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._output_padding(input, output_size)
        options = (self.stride, self.padding, extra, self.groups, self.dilation)
        function: Callable[..., Tensor] = getattr(F, self._function)
        return function(input, self.weight, self.bias, *options)

    def _output_padding(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """Return the amounts to add at one side of the output to reach ``output_size``.

        Raises: ValueError for a size that needs an amount greater than or equal to the stride.
        """
        count = self.dimensions
        leading = 2 if input.ndim == count + 2 else 1
        sizes = list(output_size)[-count:] if len(output_size) == count + leading else list(output_size)
        if len(sizes) != count:
            raise ValueError(
                f"{type(self).__name__}: for {input.ndim}D input, output_size must have {count} or {count + leading} "
                f"elements (got {len(output_size)})"
            )
        window = zip(input.shape[leading:], self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        smallest = [(side - 1) * s - 2 * int(p) + d * (k - 1) + 1 for side, s, p, d, k in window]
        largest = [low + step - 1 for low, step in zip(smallest, self.stride, strict=True)]
        if any(not low <= size <= high for low, size, high in zip(smallest, sizes, largest, strict=True)):
            raise ValueError(
                f"requested an output size of {sizes}, but valid sizes range from {smallest} to {largest} "
                f"(for an input of {list(input.shape[leading:])})"
            )
        return tuple(size - low for size, low in zip(sizes, smallest, strict=True))


class ConvTranspose1d(_ConvTransposeNd):
    """`ConvTranspose2d` along a sequence.

    Shapes: ``(N, in_channels, L)`` or ``(in_channels, L)``.

    >>> nn.ConvTranspose1d(4, 2, 3, stride=2)(fb.zeros(1, 4, 8)).shape
    flambeau.Size([1, 2, 17])
    """

    dimensions = 1
    _function = "conv_transpose1d"


class ConvTranspose2d(_ConvTransposeNd):
    """Transposed convolution, which maps the shape of the output of a `Conv2d` back to the shape of the input.

    Args:
        in_channels, out_channels, kernel_size, stride, groups, bias, dilation: as in `Conv2d`.
        padding: number of pixels removed at each side of the output.
        output_padding: number of pixels added at one side of the output. It selects one of the output sizes that the
            stride allows.
        padding_mode: ``"zeros"``.
    Shapes: ``(N, in_channels, H, W)`` or ``(in_channels, H, W)``; an output side has
        ``(side - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1`` pixels. ``forward``
        takes an ``output_size`` instead of ``output_padding``.
    Parameters: ``weight`` ``(in_channels, out_channels / groups, *kernel_size)`` and ``bias`` ``(out_channels,)``.
    Raises: ValueError for an impossible ``output_size``.

    >>> upsample = nn.ConvTranspose2d(3, 1, 3, stride=2, padding=1)
    >>> tuple(upsample(fb.zeros(1, 3, 6, 6)).shape), tuple(upsample(fb.zeros(1, 3, 6, 6), output_size=[12, 12]).shape)
    ((1, 1, 11, 11), (1, 1, 12, 12))
    """

    dimensions = 2
    _function = "conv_transpose2d"


class ConvTranspose3d(_ConvTransposeNd):
    """`ConvTranspose2d` through a volume.

    Shapes: ``(N, in_channels, D, H, W)`` or ``(in_channels, D, H, W)``.

    >>> nn.ConvTranspose3d(4, 2, 3, stride=2)(fb.zeros(1, 4, 8, 8, 8)).shape
    flambeau.Size([1, 2, 17, 17, 17])
    """

    dimensions = 3
    _function = "conv_transpose3d"


def _check_channels(in_channels: int, out_channels: int, groups: int) -> None:
    if groups <= 0:
        raise ValueError(f"groups must be a positive integer, got {groups}")
    for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        if channels % groups:
            raise ValueError(f"{name} must be divisible by groups, got {name}={channels} and groups={groups}")


def _check_padding(padding: str | Size, stride: tuple[int, ...], padding_mode: str) -> None:
    if padding_mode not in PADDING_MODES:
        raise ValueError(f"padding_mode must be one of {PADDING_MODES}, but got padding_mode={padding_mode!r}")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"Invalid padding string {padding!r}, should be one of 'valid', 'same'")
        if padding == "same" and any(step != 1 for step in stride):
            raise ValueError(f"padding='same' is not supported for strided convolutions, got stride={stride}")
