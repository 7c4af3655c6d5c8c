"""Application of tensor functions to the three types of images.

An image is a PIL image, a NumPy array ``(H, W)`` or ``(H, W, C)``, or a tensor ``(..., H, W)``. The third dimension of
a tensor from the end is the channel; the dimensions before it are batch dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

import flambeau as fb

__all__ = ["get_dimensions", "get_image_num_channels", "get_image_size"]


def on_planes(image: Any, function: Callable[[fb.Tensor], fb.Tensor]) -> Any:
    """Apply a function of tensors ``(..., H, W)`` to a tensor, or to an array ``(H, W)`` or ``(H, W, C)``.

    The result has the class of the image, including ``tv_tensors.Image`` and ``Video``.
    Raises: TypeError for other types, for tensors of fewer than 2 dimensions, and for arrays without 2 or 3 dimensions.
    """
    if isinstance(image, fb.Tensor):
        if image.ndim < 2:
            raise TypeError(f"an image tensor should have shape [..., H, W], got shape {list(image.shape)}")
        if getattr(type(image), "sample_kind", None) == "image":
            return like_image(function(image.as_subclass(fb.Tensor)), image)
        return function(image)
    if not isinstance(image, np.ndarray):
        raise TypeError(f"img should be a PIL image, a NumPy array or a tensor. Got {type(image)}")
    if image.ndim not in (2, 3):
        raise TypeError(f"an image array should have shape [H, W] or [H, W, C], got shape {list(image.shape)}")
    if image.ndim == 2:
        return function(fb.from_numpy(image)).numpy()
    return np.ascontiguousarray(function(fb.from_numpy(image.transpose(2, 0, 1))).numpy().transpose(1, 2, 0))


def like_image(result: fb.Tensor, image: fb.Tensor) -> fb.Tensor:
    """Convert a tensor to the class of ``image`` if this is a ``tv_tensors.Image`` or ``Video``."""
    kind: Any = type(image)
    converted: fb.Tensor = kind.wrap(result, image) if getattr(kind, "sample_kind", None) == "image" else result
    return converted


def to_pil_like(array: np.ndarray, image: Image.Image) -> Image.Image:
    """Convert an array to a PIL image with the mode, and the palette, of another one."""
    if array.ndim == 3:
        size = (array.shape[1], array.shape[0])
        return Image.frombytes(image.mode, size, np.ascontiguousarray(array).tobytes())
    result = Image.fromarray(array)
    if image.mode == "P":
        result.putpalette(image.getpalette() or [])
    return result


def get_dimensions(img: Any) -> list[int]:
    """Return ``[channels, height, width]`` of an image.

    >>> import flambeau
    >>> get_dimensions(flambeau.zeros(8, 3, 4, 5))
    [3, 4, 5]
    """
    if isinstance(img, Image.Image):
        return [len(img.getbands()), img.height, img.width]
    if getattr(type(img), "sample_kind", None) == "boxes":  # no transform uses the number of channels of boxes
        return [1, *img.canvas_size]
    if isinstance(img, np.ndarray) and img.ndim in (2, 3):
        return [1 if img.ndim == 2 else img.shape[2], img.shape[0], img.shape[1]]
    if isinstance(img, fb.Tensor) and img.ndim >= 2:
        return [1 if img.ndim == 2 else img.shape[-3], img.shape[-2], img.shape[-1]]
    found = f"shape {list(img.shape)}" if isinstance(img, fb.Tensor | np.ndarray) else str(type(img))
    raise TypeError(f"img should be a PIL image, an array [H, W] or [H, W, C], or a tensor [..., H, W]. Got {found}")


def height_and_width(img: Any) -> tuple[int, int]:
    """Return ``(height, width)`` of an image, or of the image that boxes belong to."""
    if isinstance(img, Image.Image):
        return img.height, img.width
    _, height, width = get_dimensions(img)
    return height, width


def get_image_size(img: Any) -> list[int]:
    """Return ``[width, height]`` of an image."""
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img: Any) -> int:
    """Return the number of channels of an image."""
    return get_dimensions(img)[0]


def white_value(dtype: fb.dtype) -> int:
    """Return the value of white: 1 for floating dtypes and bool, the largest value for integer dtypes."""
    return 1 if dtype.is_floating_point or dtype is fb.bool else int(fb.iinfo(dtype).max)


def through_float(planes: fb.Tensor, function: Callable[[fb.Tensor], fb.Tensor], clamp: bool = False) -> fb.Tensor:
    """Compute in floating point, then round, optionally clamp, and convert the result back to an integer dtype."""
    if planes.dtype.is_floating_point:
        return function(planes)
    result = function(planes.to(fb.float32)).round()
    if clamp and planes.dtype is not fb.bool:
        result = result.clamp(fb.iinfo(planes.dtype).min, fb.iinfo(planes.dtype).max)
    return result.to(planes.dtype)


def as_batch(planes: fb.Tensor) -> fb.Tensor:
    """Reshape ``(..., H, W)`` to ``(N, C, H, W)``."""
    return planes.reshape(-1, *([1] * max(0, 3 - planes.ndim)), *planes.shape[-3:])


def on_batch(planes: fb.Tensor, function: Callable[[fb.Tensor], fb.Tensor]) -> fb.Tensor:
    """Apply ``function``, which expects ``(N, C, H, W)``, to a tensor ``(..., H, W)``.

    The function may change the last two dimensions.
    """
    result = function(as_batch(planes))
    return result.reshape(*planes.shape[:-2], *result.shape[-2:])
