"""Images: interpolation, padding, sampling and rearranging."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import flambeau
from flambeau import Tensor, _core

from ._pooling import adaptive_avg_pool2d, adaptive_avg_pool3d

_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_KERNELS = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resizes the spatial dimensions of ``(N, C, *)``, one to three of them.

    Args:
        size: the output's, or
        scale_factor: the output's over the input's.
        mode: ``"nearest"`` (with the rounding of old), ``"nearest-exact"``, ``"linear"`` (1-D), ``"bilinear"``,
            ``"bicubic"`` (2-D), ``"trilinear"`` (3-D) or ``"area"``, the mean of what an output covers.
        align_corners: the centres of the corner pixels coincide, not their outer edges.
        recompute_scale_factor: the scale is the quotient of the sizes, rounded down as they are.
        antialias: ``"bilinear"`` and ``"bicubic"`` average over what an output covers where the image shrinks.
    Raises: ValueError for arguments that do not go together; NotImplementedError for a mode that the number of
        dimensions does not have.
    Gradient: any order. Source of the cubic kernel: Keys 1981, doi:10.1109/TASSP.1981.1163711.

    >>> nn.functional.interpolate(fb.tensor([[[0.0, 1.0]]]), scale_factor=2, mode="linear")
    tensor([[[0.0000, 0.2500, 0.7500, 1.0000]]])
    """
    if mode in ("nearest", "area", "nearest-exact") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    dims = input.ndim - 2
    sizes, scales = _output_sizes(input, size, scale_factor, recompute_scale_factor)
    if antialias and not (mode in ("bilinear", "bicubic") and input.ndim == 4):
        raise ValueError(
            f"Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input; got "
            f"mode {mode} and {input.ndim} dimensions"
        )
    if dims in (1, 2, 3) and mode in ("nearest", "nearest-exact"):
        return _core._interpolate(input, sizes, scales, mode)
    if dims in (1, 2, 3) and mode == "area":
        pool = (flambeau.adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[dims - 1]
        return pool(input, sizes)
    if mode in _DIMS and dims == _DIMS[mode]:
        return _core._interpolate(input, sizes, scales, _KERNELS.get(mode, mode), bool(align_corners), antialias)
    if mode in _DIMS and dims in (1, 2, 3):
        raise NotImplementedError(f"Got {input.ndim}D input, but {mode} mode needs {_DIMS[mode] + 2}D input")
    raise NotImplementedError(
        "Input Error: Only 3D, 4D and 5D input Tensors supported "
        f"(got {input.ndim}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact "
        f"(got {mode})"
    )


def _output_sizes(
    input: Tensor,
    size: int | Sequence[int] | None,
    scale_factor: float | Sequence[float] | None,
    recompute: bool | None,
) -> tuple[list[int], list[float]]:
    """The output's sizes, and the scales as given (0 where the sizes say them)."""
    dims = input.ndim - 2
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if isinstance(size, (tuple, list)) and len(size) != dims:
            raise ValueError(
                f"Input and output must have the same number of spatial dimensions, but got input with spatial "
                f"dimensions of {list(input.shape[2:])} and output size of {size}."
            )
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return ([size] * dims if isinstance(size, int) else list(size)), [0.0] * dims
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    factors = [scale_factor] * dims if isinstance(scale_factor, (int, float)) else list(scale_factor)
    if len(factors) != dims:
        raise ValueError(
            f"Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
            f"dimensions of {list(input.shape[2:])} and scale_factor of shape {scale_factor}."
        )
    sizes = [math.floor(float(n) * f) for n, f in zip(input.shape[2:], factors, strict=True)]
    return sizes, [0.0] * dims if recompute else [float(f) for f in factors]


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate` by its older name, which warns."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """``interpolate(..., mode="nearest")`` by its older name, which warns."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """``interpolate(..., mode="bilinear", align_corners=True)`` by its older name, which warns."""
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
    """The sliding windows of ``(N, C, H, W)`` as columns ``(N, C * h * w, windows)``.

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
    """Columns of windows, as `unfold` gives them, added up where the windows lie: ``(N, C, *output_size)``."""
    return _core._fold_windows(input, output_size, kernel_size, dilation, padding, stride)
