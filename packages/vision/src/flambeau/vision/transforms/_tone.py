"""Changes of the brightness of single pixels: invert, posterize, solarize, autocontrast and equalize."""

from __future__ import annotations

from typing import Any, TypeVar, overload

import numpy as np
from PIL import Image, ImageOps

import flambeau as fb
from flambeau import nn

from . import _random
from ._arguments import check_probability
from ._conversion import convert_image_dtype
from ._image import on_planes, white_value

__all__ = ["autocontrast", "equalize", "invert", "posterize", "solarize"]

ImageT = TypeVar("ImageT")


@overload
def invert(img: Image.Image) -> Image.Image: ...


@overload
def invert(img: ImageT) -> ImageT: ...


def invert(img: Any) -> Any:
    """Invert the brightness of an image.

    >>> invert(fb.tensor([[0, 255]], dtype=fb.uint8))
    tensor([[255,   0]], dtype=flambeau.uint8)
    """
    if isinstance(img, Image.Image):
        return ImageOps.invert(img)
    return on_planes(img, lambda planes: white_value(planes.dtype) - planes)


@overload
def posterize(img: Image.Image, bits: int) -> Image.Image: ...


@overload
def posterize(img: ImageT, bits: int) -> ImageT: ...


def posterize(img: Any, bits: int) -> Any:
    """Keep only the highest ``bits`` bits of each channel of an image.

    Tensors and arrays of floats get ``2**bits`` levels from 0 to below 1.

    Raises: ValueError if ``bits`` is outside 0 to 8.
    """
    if not 0 <= bits <= 8:
        raise ValueError(f"The number of bits should be between 0 and 8. Got {bits}")
    if isinstance(img, Image.Image):
        return ImageOps.posterize(img, bits) if bits else img.point([0] * (256 * len(img.getbands())))
    return on_planes(img, lambda planes: _posterized(planes, bits))


def _posterized(planes: fb.Tensor, bits: int) -> fb.Tensor:
    levels = 1 << bits
    if planes.is_floating_point():
        return (planes * levels).floor().clamp(0, levels - 1) / levels
    white = white_value(planes.dtype)
    return planes & (white - (white >> bits))


@overload
def solarize(img: Image.Image, threshold: float) -> Image.Image: ...


@overload
def solarize(img: ImageT, threshold: float) -> ImageT: ...


def solarize(img: Any, threshold: float) -> Any:
    """Invert the pixels of an image whose value is at least ``threshold``.

    Raises: TypeError for a threshold above white.
    """
    if isinstance(img, Image.Image):
        return ImageOps.solarize(img, threshold)  # type: ignore[arg-type]

    def solarized(planes: fb.Tensor) -> fb.Tensor:
        if threshold > white_value(planes.dtype):
            raise TypeError(f"Threshold should be less than bound of img: {white_value(planes.dtype)}. Got {threshold}")
        return fb.where(planes >= threshold, white_value(planes.dtype) - planes, planes)

    return on_planes(img, solarized)


@overload
def autocontrast(img: Image.Image) -> Image.Image: ...


@overload
def autocontrast(img: ImageT) -> ImageT: ...


def autocontrast(img: Any) -> Any:
    """Scale each channel of an image so that its darkest pixel is black and its lightest pixel is white."""
    if isinstance(img, Image.Image):
        return ImageOps.autocontrast(img)
    return on_planes(img, _stretched)


def _stretched(planes: fb.Tensor) -> fb.Tensor:
    bound = white_value(planes.dtype)
    floats = planes if planes.is_floating_point() else planes.to(fb.float32)
    low, high = (extreme(floats, (-2, -1), keepdim=True) for extreme in (fb.amin, fb.amax))
    flat = high == low
    scale = fb.where(flat, 1.0, bound / fb.where(flat, 1.0, high - low))
    return ((floats - fb.where(flat, 0.0, low)) * scale).clamp(0, bound).to(planes.dtype)


@overload
def equalize(img: Image.Image) -> Image.Image: ...


@overload
def equalize(img: ImageT) -> ImageT: ...


def equalize(img: Any) -> Any:
    """Equalise the histogram of each channel of an image, as Pillow's ``ImageOps.equalize`` does.

    Tensors and arrays of other dtypes than uint8 are converted to it first, and back.
    """
    if isinstance(img, Image.Image):
        return ImageOps.equalize(img)
    return on_planes(img, _equalized)


def _equalized(planes: fb.Tensor) -> fb.Tensor:
    if planes.numel() == 0:
        return planes.clone()
    channels = convert_image_dtype(planes, fb.uint8).reshape(-1, planes.shape[-2] * planes.shape[-1])
    equalized = fb.stack([_flattened(channel) for channel in channels]).reshape(planes.shape)
    return convert_image_dtype(equalized, planes.dtype)


def _flattened(channel: fb.Tensor) -> fb.Tensor:
    counts = np.bincount(channel.numpy(), minlength=256)
    step = int(counts[counts > 0][:-1].sum()) // 255
    if step == 0:
        return channel
    below = np.concatenate([[0], np.cumsum(counts)[:-1]])
    table = np.clip((below + step // 2) // step, 0, 255).astype(np.uint8)
    return fb.from_numpy(table)[channel.to(fb.int64)]


class _WithProbability(nn.Module):
    """Base class of transforms that change an image with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_probability(p)

    def change(self, img: ImageT) -> ImageT:
        """Return the changed image."""
        raise NotImplementedError

    def forward(self, img: ImageT) -> ImageT:
        return self.change(img) if _random.draw_bool(self.p) else img

    def extra_repr(self) -> str:
        return f"p={self.p}"


class RandomInvert(_WithProbability):
    """Invert the brightness of an image with probability ``p``. See :func:`~functional.invert`.

    >>> RandomInvert(p=1.0)(fb.tensor([[0, 100, 255]], dtype=fb.uint8))
    tensor([[255, 155,   0]], dtype=flambeau.uint8)
    """

    def change(self, img: ImageT) -> ImageT:
        return invert(img)


class RandomAutocontrast(_WithProbability):
    """With probability ``p``, stretch the brightness to the full range. See :func:`~functional.autocontrast`.

    >>> RandomAutocontrast(p=1.0)(fb.tensor([[50, 100, 150]], dtype=fb.uint8))
    tensor([[  0, 127, 255]], dtype=flambeau.uint8)
    """

    def change(self, img: ImageT) -> ImageT:
        return autocontrast(img)


class RandomEqualize(_WithProbability):
    """Equalise the histogram of an image with probability ``p``. See :func:`~functional.equalize`.

    >>> dark = (fb.arange(1024) // 16).view(32, 32).to(fb.uint8)
    >>> dark.max().item(), RandomEqualize(p=1.0)(dark).max().item()
    (63, 255)
    """

    def change(self, img: ImageT) -> ImageT:
        return equalize(img)


class RandomPosterize(_WithProbability):
    """With probability ``p``, keep only the highest ``bits`` bits of each channel. See :func:`~functional.posterize`.

    >>> RandomPosterize(bits=1, p=1.0)(fb.tensor([[100, 200]], dtype=fb.uint8))
    tensor([[  0, 128]], dtype=flambeau.uint8)
    """

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits

    def change(self, img: ImageT) -> ImageT:
        return posterize(img, self.bits)

    def extra_repr(self) -> str:
        return f"bits={self.bits},p={self.p}"


class RandomSolarize(_WithProbability):
    """With probability ``p``, invert the pixels that are at least ``threshold``. See :func:`~functional.solarize`.

    >>> RandomSolarize(threshold=128, p=1.0)(fb.tensor([[100, 200]], dtype=fb.uint8))
    tensor([[100,  55]], dtype=flambeau.uint8)
    """

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold

    def change(self, img: ImageT) -> ImageT:
        return solarize(img, self.threshold)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold},p={self.p}"
