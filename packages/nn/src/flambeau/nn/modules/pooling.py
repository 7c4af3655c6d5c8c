"""Pooling layers for sequences, images and volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from flambeau import Tensor

from .. import functional as F
from ._inputs import check_no_input
from .module import Module
from .utils import Size, options_of, repeated

OutputSize = int | Sequence[int | None] | None


class _MaxPoolNd(Module):
    _function: ClassVar[str]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        check_no_input(self, kernel_size=kernel_size)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        pool: Callable[..., Tensor | tuple[Tensor, Tensor]] = getattr(F, self._function)
        window = (self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        return pool(input, *window, return_indices=True) if self.return_indices else pool(input, *window)

    def extra_repr(self) -> str:
        return options_of(self, "kernel_size", "stride", "padding", "dilation", "ceil_mode")


class MaxPool1d(_MaxPoolNd):
    """The largest value in each window of ``(N, C, L)`` or ``(C, L)``. Arguments as in `MaxPool2d`.

    >>> nn.MaxPool1d(2)(fb.zeros(1, 3, 8)).shape
    flambeau.Size([1, 3, 4])
    """

    _function = "max_pool1d"


class MaxPool2d(_MaxPoolNd):
    """The largest value in each window.

    Args:
        kernel_size: window, as an int or one for each dimension.
        stride: step between windows; the window's size by default.
        padding: number of -inf values added on each side, at most half of the window.
        dilation: step between the pixels of a window.
        return_indices: if True, also return the index of each maximum in its plane.
        ceil_mode: if True, keep windows that extend beyond the edge.
    Shapes: ``(N, C, H, W)`` or ``(C, H, W)``.

    >>> nn.MaxPool2d(2)(fb.arange(4.0).reshape(1, 1, 2, 2)).item()
    3.0
    """

    _function = "max_pool2d"


class MaxPool3d(_MaxPoolNd):
    """The largest value in each window of ``(N, C, D, H, W)`` or ``(C, D, H, W)``. Arguments as in `MaxPool2d`.

    >>> nn.MaxPool3d(2)(fb.zeros(1, 3, 8, 8, 8)).shape
    flambeau.Size([1, 3, 4, 4, 4])
    """

    _function = "max_pool3d"


class _MaxUnpoolNd(Module):
    dimensions: ClassVar[int]
    _function: ClassVar[str]

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        check_no_input(self, kernel_size=kernel_size)
        self.kernel_size = repeated(kernel_size, self.dimensions)
        self.stride = repeated(kernel_size if stride is None else stride, self.dimensions)
        self.padding = repeated(padding, self.dimensions)

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        function: Callable[..., Tensor] = getattr(F, self._function)
        return function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return options_of(self, "kernel_size", "stride", "padding")


class MaxUnpool1d(_MaxUnpoolNd):
    """`MaxUnpool2d` for sequences.

    >>> x, indices = nn.MaxPool1d(2, return_indices=True)(fb.zeros(1, 3, 8))
    >>> nn.MaxUnpool1d(2)(x, indices).shape
    flambeau.Size([1, 3, 8])
    """

    dimensions = 1
    _function = "max_unpool1d"


class MaxUnpool2d(_MaxUnpoolNd):
    """Partial inverse of `MaxPool2d`: each maximum at its original position, and zeros elsewhere.

    Args: the arguments of the `MaxPool2d` (with ``return_indices=True``) that computed the values and indices.
    Shapes: ``forward`` takes values, indices and, if the pooling discarded pixels, the ``output_size``.
    Raises: ValueError for an ``output_size`` that cannot be the size of the pooling's input.

    >>> values, indices = nn.MaxPool2d(2, return_indices=True)(fb.arange(4.0).reshape(1, 1, 2, 2))
    >>> nn.MaxUnpool2d(2)(values, indices)
    tensor([[[[0., 0.],
              [0., 3.]]]])
    """

    dimensions = 2
    _function = "max_unpool2d"


class MaxUnpool3d(_MaxUnpoolNd):
    """`MaxUnpool2d` for volumes.

    >>> x, indices = nn.MaxPool3d(2, return_indices=True)(fb.zeros(1, 3, 8, 8, 8))
    >>> nn.MaxUnpool3d(2)(x, indices).shape
    flambeau.Size([1, 3, 8, 8, 8])
    """

    dimensions = 3
    _function = "max_unpool3d"


class AvgPool1d(Module):
    """The mean of each window of ``(N, C, L)`` or ``(C, L)``. Arguments as in `AvgPool2d`.

    >>> nn.AvgPool1d(2)(fb.zeros(1, 3, 8)).shape
    flambeau.Size([1, 3, 4])
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        check_no_input(self, kernel_size=kernel_size)
        self.kernel_size = repeated(kernel_size, 1)
        self.stride = repeated(kernel_size if stride is None else stride, 1)
        self.padding = repeated(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        window = (self.kernel_size, self.stride, self.padding)
        return F.avg_pool1d(input, *window, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return options_of(self, "kernel_size", "stride", "padding")


class _AvgPoolNd(Module):
    _function: ClassVar[str]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        check_no_input(self, kernel_size=kernel_size)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        window = (self.kernel_size, self.stride, self.padding)
        function: Callable[..., Tensor] = getattr(F, self._function)
        return function(input, *window, self.ceil_mode, self.count_include_pad, self.divisor_override)

    def extra_repr(self) -> str:
        return options_of(self, "kernel_size", "stride", "padding")


class AvgPool2d(_AvgPoolNd):
    """The mean of each window.

    Args:
        kernel_size: window, as an int or one for each dimension.
        stride: step between windows; the window's size by default.
        padding: number of zeros added on each side, at most half of the window.
        ceil_mode: if True, keep windows that extend beyond the edge.
        count_include_pad: if True, the mean includes padded zeros.
        divisor_override: number by which the sum is divided instead of the window's size.
    Shapes: ``(N, C, H, W)`` or ``(C, H, W)``.

    >>> nn.AvgPool2d(2)(fb.arange(4.0).reshape(1, 1, 2, 2)).item()
    1.5
    """

    _function = "avg_pool2d"


class AvgPool3d(_AvgPoolNd):
    """The mean of each window of ``(N, C, D, H, W)`` or ``(C, D, H, W)``. Arguments as in `AvgPool2d`.

    >>> nn.AvgPool3d(2)(fb.zeros(1, 3, 8, 8, 8)).shape
    flambeau.Size([1, 3, 4, 4, 4])
    """

    _function = "avg_pool3d"


class _LPPoolNd(Module):
    _function: ClassVar[str]

    def __init__(
        self, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        function: Callable[..., Tensor] = getattr(F, self._function)
        return function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return options_of(self, "norm_type", "kernel_size", "stride", "ceil_mode")


class LPPool1d(_LPPoolNd):
    """``sum(x**p)**(1 / p)`` of each window of ``(N, C, L)`` or ``(C, L)``, where ``p`` is ``norm_type``.

    >>> nn.LPPool1d(2, 2)(fb.ones(1, 3, 8)).shape
    flambeau.Size([1, 3, 4])
    """

    _function = "lp_pool1d"


class LPPool2d(_LPPoolNd):
    """`LPPool1d` over ``(N, C, H, W)`` or ``(C, H, W)``.

    >>> nn.LPPool2d(2, (1, 2))(fb.tensor([[[3.0, 4.0]]]))
    tensor([[[5.]]])
    """

    _function = "lp_pool2d"


class LPPool3d(_LPPoolNd):
    """`LPPool1d` over ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    >>> nn.LPPool3d(2, 2)(fb.ones(1, 3, 8, 8, 8)).shape
    flambeau.Size([1, 3, 4, 4, 4])
    """

    _function = "lp_pool3d"


class _AdaptivePoolNd(Module):
    _function: ClassVar[str]

    def __init__(self, output_size: OutputSize) -> None:
        super().__init__()
        check_no_input(self, output_size=output_size)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        function: Callable[..., Tensor | tuple[Tensor, Tensor]] = getattr(F, self._function)
        return function(input, self.output_size)

    def extra_repr(self) -> str:
        return options_of(self, "output_size")


class _AdaptiveAvgPoolNd(_AdaptivePoolNd):
    pass


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """The means of windows that divide the last dimension into ``output_size`` parts.

    >>> nn.AdaptiveAvgPool1d(2)(fb.zeros(1, 3, 8)).shape
    flambeau.Size([1, 3, 2])
    """

    _function = "adaptive_avg_pool1d"


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """The means of windows that divide an image into ``output_size`` parts.

    ``output_size`` is one number, or one number for each dimension. None keeps the size of a dimension.
    Shapes: ``(N, C, H, W)`` or ``(C, H, W)``.

    >>> nn.AdaptiveAvgPool2d(1)(fb.arange(4.0).reshape(1, 1, 2, 2)).item()
    1.5
    """

    _function = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """`AdaptiveAvgPool2d` of a volume.

    >>> nn.AdaptiveAvgPool3d(2)(fb.zeros(1, 3, 8, 8, 8)).shape
    flambeau.Size([1, 3, 2, 2, 2])
    """

    _function = "adaptive_avg_pool3d"


class _AdaptiveMaxPoolNd(_AdaptivePoolNd):
    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        function: Callable[..., Tensor | tuple[Tensor, Tensor]] = getattr(F, self._function)
        return function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """The largest values of windows that divide the last dimension into ``output_size`` parts.

    >>> nn.AdaptiveMaxPool1d(2)(fb.zeros(1, 3, 8)).shape
    flambeau.Size([1, 3, 2])
    """

    _function = "adaptive_max_pool1d"


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """Max pooling over windows that divide an image into ``output_size`` parts.

    With ``return_indices``, the layer also returns the indices of the maxima.

    >>> nn.AdaptiveMaxPool2d(2)(fb.zeros(1, 3, 8, 8)).shape
    flambeau.Size([1, 3, 2, 2])
    """

    _function = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """`AdaptiveMaxPool2d` of a volume.

    >>> nn.AdaptiveMaxPool3d(2)(fb.zeros(1, 3, 8, 8, 8)).shape
    flambeau.Size([1, 3, 2, 2, 2])
    """

    _function = "adaptive_max_pool3d"


class _FractionalMaxPoolNd(Module):
    dimensions: ClassVar[int]
    _random_samples: Tensor | None
    _function: ClassVar[str]

    def __init__(
        self,
        kernel_size: Size,
        output_size: Size | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        count = self.dimensions
        kernel = repeated(kernel_size, count)
        if len(kernel) != count or any(not isinstance(side, int) or side <= 0 for side in kernel):
            raise ValueError(f"kernel_size must be {count} positive integers, but got {kernel_size}")
        if (output_size is None) == (output_ratio is None):
            raise ValueError(
                f"{type(self).__name__} requires exactly one of output_size and output_ratio, got "
                f"output_size={output_size} and output_ratio={output_ratio}"
            )
        self.kernel_size = kernel
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else repeated(output_size, count)
        self.output_ratio = None if output_ratio is None else repeated(output_ratio, count)
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        sizes = (self.kernel_size, self.output_size, self.output_ratio)
        function: Callable[..., Tensor | tuple[Tensor, Tensor]] = getattr(F, self._function)
        return function(input, *sizes, self.return_indices, _random_samples=self._random_samples)


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """The maxima of windows at random positions in an image, with a given output size.

    Args:
        kernel_size: size of the windows.
        output_size: number of windows in each dimension. Give either this or ``output_ratio``.
        output_ratio: number of windows as a fraction, between 0 and 1, of the input's size.
        return_indices: if True, also return the index of each maximum in its plane.
    Raises: ValueError if neither or both of size and ratio are given.
    Source: Graham 2014, arXiv:1412.6071.

    >>> tuple(nn.FractionalMaxPool2d(2, output_ratio=0.5)(fb.zeros(1, 1, 10, 8)).shape)
    (1, 1, 5, 4)
    """

    dimensions = 2
    _function = "fractional_max_pool2d"


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """`FractionalMaxPool2d` of a volume.

    >>> nn.FractionalMaxPool3d(2, output_size=3)(fb.zeros(1, 1, 8, 8, 8)).shape
    flambeau.Size([1, 1, 3, 3, 3])
    """

    dimensions = 3
    _function = "fractional_max_pool3d"
