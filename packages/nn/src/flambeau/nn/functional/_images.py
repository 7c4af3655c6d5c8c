"""Images: interpolation, padding, sampling and rearranging."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from flambeau import Tensor, _core
from flambeau._core import nn_interpolate as interpolate


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Warn that the name is deprecated, and resize images. See `interpolate`."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """Warn that the name is deprecated, and call ``interpolate(..., mode="nearest")``. See `interpolate`."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """Warn that the name is deprecated, and call ``interpolate(..., mode="bilinear", align_corners=True)``.

    See `interpolate`.
    """
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


# Windows


def unfold(
    input: Tensor,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """Extract the sliding windows of ``(N, C, H, W)`` as columns ``(N, C * h * w, windows)``.

    >>> nn.functional.unfold(fb.arange(4.0).reshape(1, 1, 2, 2), (1, 2)).shape
    flambeau.Size([1, 2, 2])
    """
    return _core._unfold_windows(input, kernel_size, dilation, padding, stride)


def fold(
    input: Tensor,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """Sum the columns that `unfold` returns at the positions of their windows. Returns: ``(N, C, *output_size)``.

    >>> nn.functional.fold(fb.ones(1, 4, 4), (3, 3), (2, 2)).squeeze()
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """
    return _core._fold_windows(input, output_size, kernel_size, dilation, padding, stride)
