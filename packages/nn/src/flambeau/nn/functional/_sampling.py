"""Sampling images at arbitrary points."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import flambeau
from flambeau import Tensor


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Apply an affine map to the pixel positions of an image, and return the grid for `grid_sample`.

    Args:
        theta: ``(N, 2, 3)``, or ``(N, 3, 4)`` for volumes.
        size: size of the output image, ``(N, C, H, W)`` or ``(N, C, D, H, W)``.
        align_corners: as in `grid_sample`.
    Returns: ``(N, H, W, 2)`` or ``(N, D, H, W, 3)``.
    Raises: ValueError if ``theta`` or ``size`` is invalid; NotImplementedError for other numbers of dimensions.

    >>> theta = fb.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> nn.functional.affine_grid(theta, (1, 1, 2, 2), align_corners=True).shape
    flambeau.Size([1, 2, 2, 2])
    """
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior is align_corners=False. Please specify align_corners if a "
            "particular behavior is desired.",
            stacklevel=2,
        )
        align_corners = False
    if not theta.dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    dims = len(size) - 2
    if dims not in (2, 3):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms. Got size {size}."
        )
    if theta.ndim != 3 or theta.shape[-2] != dims or theta.shape[-1] != dims + 1:
        raise ValueError(
            f"Expected a batch of {dims}D affine matrices of shape Nx{dims}x{dims + 1} for size {list(size)}. Got "
            f"{list(theta.shape)}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {list(size)}")
    columns = theta.float() if theta.dtype.itemsize == 2 else theta  # half-precision dtypes accumulate in float32
    columns = columns.reshape(size[0], *[1] * dims, dims, dims + 1)
    grid = columns[..., dims]
    for d, n in enumerate(size[2:]):  # the grid has its full size only in the last iteration
        line = _pixel_positions(n, align_corners, theta).reshape(-1, *[1] * (dims - d))
        grid = grid + line * columns[..., dims - 1 - d]
    return grid.to(theta.dtype)


def _pixel_positions(count: int, align_corners: bool, like: Tensor) -> Tensor:
    """Return the positions of ``count`` pixels between -1 and 1."""
    if count <= 1:
        return like.new_zeros(count)
    line = flambeau.linspace(-1, 1, count, dtype=like.dtype, device=like.device)
    return line if align_corners else line * ((count - 1) / count)
