"""Changes of brightness, contrast, saturation and hue, and conversion to greyscale."""

from __future__ import annotations

from typing import Any, TypeVar, overload

import numpy as np
from PIL import Image, ImageEnhance

import flambeau as fb
from flambeau import nn

from . import _random
from ._arguments import check_probability, interval
from ._blur import blend
from ._conversion import convert_image_dtype
from ._image import get_dimensions, on_planes

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "rgb_to_grayscale",
    "to_grayscale",
]

ImageT = TypeVar("ImageT")

_LUMA = (0.2989, 0.587, 0.114)  # weights of red, green and blue, ITU-R 601-2


def _factor(value: float, name: str) -> float:
    if value < 0:
        raise ValueError(f"{name} ({value}) is not non-negative.")
    return float(value)


def _channels(planes: fb.Tensor) -> int:
    channels = planes.shape[-3] if planes.ndim > 2 else 1
    if channels not in (1, 3):
        raise TypeError(f"Input image tensor permitted channel values are 1 or 3, but found {channels}")
    return channels


@overload
def rgb_to_grayscale(img: Image.Image, num_output_channels: int = 1) -> Image.Image: ...


@overload
def rgb_to_grayscale(img: ImageT, num_output_channels: int = 1) -> ImageT: ...


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Convert an RGB image to its luma, ``0.2989 R + 0.587 G + 0.114 B``, in one channel or three equal channels.

    Args:
        img: a PIL image, an array or a tensor, of 1 or 3 channels.
        num_output_channels: 1 or 3.
    Raises: ValueError for an unsupported ``num_output_channels``, TypeError for a wrong number of input channels.

    >>> rgb_to_grayscale(fb.ones(3, 1, 1)).shape
    flambeau.Size([1, 1, 1])
    """
    if num_output_channels not in (1, 3):
        raise ValueError(f"num_output_channels should be either 1 or 3, got {num_output_channels}")
    if isinstance(img, Image.Image):
        gray = img.convert("L")
        return gray if num_output_channels == 1 else Image.merge("RGB", (gray, gray, gray))
    if isinstance(img, np.ndarray) and img.ndim == 2:
        img = img[:, :, None]
    return on_planes(img, lambda planes: _luma(planes, num_output_channels))


def _luma(planes: fb.Tensor, count: int = 1) -> fb.Tensor:
    if planes.ndim < 3:
        raise TypeError(f"Input image tensor should have at least 3 dimensions, but found {planes.ndim}")
    gray = planes.clone()
    if _channels(planes) == 3:
        red, green, blue = planes.unbind(-3)
        gray = (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue).to(planes.dtype).unsqueeze(-3)
    return gray if count == 1 else gray.expand(*planes.shape[:-3], 3, *planes.shape[-2:]).contiguous()


@overload
def to_grayscale(img: Image.Image, num_output_channels: int = 1) -> Image.Image: ...


@overload
def to_grayscale(img: ImageT, num_output_channels: int = 1) -> ImageT: ...


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Convert an image to greyscale. This is the older name of :func:`rgb_to_grayscale`."""
    return rgb_to_grayscale(img, num_output_channels)


@overload
def adjust_brightness(img: Image.Image, brightness_factor: float) -> Image.Image: ...


@overload
def adjust_brightness(img: ImageT, brightness_factor: float) -> ImageT: ...


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """Multiply an image by a factor: 0 gives black, 1 the original image. Raises: ValueError for a negative factor."""
    factor = _factor(brightness_factor, "brightness_factor")
    if isinstance(img, Image.Image):
        return ImageEnhance.Brightness(img).enhance(factor)
    return on_planes(img, lambda planes: blend(planes, fb.zeros_like(planes), factor))


@overload
def adjust_contrast(img: Image.Image, contrast_factor: float) -> Image.Image: ...


@overload
def adjust_contrast(img: ImageT, contrast_factor: float) -> ImageT: ...


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """Blend an image with its mean luma: 0 gives grey, 1 the image. Raises: ValueError for a negative factor."""
    factor = _factor(contrast_factor, "contrast_factor")
    if isinstance(img, Image.Image):
        return ImageEnhance.Contrast(img).enhance(factor)
    return on_planes(img, lambda planes: blend(planes, _mean_luma(planes), factor))


def _mean_luma(planes: fb.Tensor) -> fb.Tensor:
    gray = _luma(planes) if _channels(planes) == 3 else planes
    floats = gray if gray.dtype.is_floating_point else gray.to(fb.float32)
    return floats.mean(tuple(range(-min(3, gray.ndim), 0)), keepdim=True)


@overload
def adjust_saturation(img: Image.Image, saturation_factor: float) -> Image.Image: ...


@overload
def adjust_saturation(img: ImageT, saturation_factor: float) -> ImageT: ...


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """Blend an image with its luma: 0 gives greyscale, 1 the image. Raises: ValueError for a negative factor."""
    factor = _factor(saturation_factor, "saturation_factor")
    if isinstance(img, Image.Image):
        return ImageEnhance.Color(img).enhance(factor)

    def saturated(planes: fb.Tensor) -> fb.Tensor:
        return blend(planes, _luma(planes), factor) if _channels(planes) == 3 else planes

    return on_planes(img, saturated)


@overload
def adjust_gamma(img: Image.Image, gamma: float, gain: float = 1) -> Image.Image: ...


@overload
def adjust_gamma(img: ImageT, gamma: float, gain: float = 1) -> ImageT: ...


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """Compute ``gain * img**gamma`` of values in 0..1. Raises: ValueError for a negative gamma."""
    exponent = _factor(gamma, "gamma")
    if isinstance(img, Image.Image):
        mode, colours = img.mode, img.convert("RGB")
        table = [int((255 + 1 - 1e-3) * gain * (value / 255.0) ** exponent) for value in range(256)] * 3
        return colours.point([min(value, 255) for value in table]).convert(mode)

    def corrected(planes: fb.Tensor) -> fb.Tensor:
        floats = convert_image_dtype(planes) if not planes.dtype.is_floating_point else planes
        return convert_image_dtype((gain * floats**exponent).clamp(0, 1), planes.dtype)

    return on_planes(img, corrected)


@overload
def adjust_hue(img: Image.Image, hue_factor: float) -> Image.Image: ...


@overload
def adjust_hue(img: ImageT, hue_factor: float) -> ImageT: ...


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Rotate the hues of an image by a fraction of the circle, -0.5 to 0.5. Greyscale images do not change.

    Raises: ValueError for a fraction out of range; TypeError for a tensor that does not have 1 or 3 channels.
    """
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    if isinstance(img, Image.Image):
        if img.mode in ("L", "1", "I", "F"):
            return img
        hue, saturation, value = img.convert("HSV").split()
        shifted = (np.asarray(hue, dtype=np.int16) + int(hue_factor * 255)) % 256
        return Image.merge("HSV", (Image.fromarray(shifted.astype(np.uint8)), saturation, value)).convert(img.mode)

    def shifted_planes(planes: fb.Tensor) -> fb.Tensor:
        if _channels(planes) == 1:
            return planes
        hue, saturation, value = _to_hsv(convert_image_dtype(planes) if not planes.is_floating_point() else planes)
        return convert_image_dtype(_to_rgb((hue + hue_factor) % 1.0, saturation, value), planes.dtype)

    return on_planes(img, shifted_planes)


# Source of both conversions: Smith 1978, Color Gamut Transform Pairs, doi:10.1145/965139.807361.


def _to_hsv(image: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor, fb.Tensor]:
    """Convert floating RGB to hue, saturation and value, three tensors ``(..., H, W)`` in 0..1."""
    red, green, blue = image.unbind(-3)
    value = image.amax(-3)
    chroma = value - image.amin(-3)
    some = fb.where(chroma == 0, 1.0, chroma)
    sixth = fb.where(
        value == red,
        (green - blue) / some,
        fb.where(value == green, 2.0 + (blue - red) / some, 4.0 + (red - green) / some),
    )
    hue = fb.where(chroma == 0, 0.0, sixth / 6.0 % 1.0)
    return hue, chroma / fb.where(value == 0, 1.0, value), value


def _to_rgb(hue: fb.Tensor, saturation: fb.Tensor, value: fb.Tensor) -> fb.Tensor:
    """Convert hue, saturation and value to RGB, ``(..., 3, H, W)``."""
    offsets = fb.tensor([5.0, 3.0, 1.0]).to(hue).view(3, 1, 1)
    phase = (offsets + hue.unsqueeze(-3) * 6.0) % 6.0
    taken = fb.minimum(phase, 4.0 - phase).clamp(0.0, 1.0)
    return (value.unsqueeze(-3) * (1.0 - saturation.unsqueeze(-3) * taken)).clamp(0.0, 1.0)


class Grayscale(nn.Module):
    """Convert an image to greyscale. See :func:`~functional.rgb_to_grayscale`.

    Args:
        num_output_channels: 1, or 3 for three equal channels.

    >>> Grayscale()(fb.tensor([[[1.0]], [[0.0]], [[0.0]]]))
    tensor([[[0.2989]]])
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: ImageT) -> ImageT:
        return rgb_to_grayscale(img, self.num_output_channels)

    def extra_repr(self) -> str:
        return f"num_output_channels={self.num_output_channels}"


class RandomGrayscale(nn.Module):
    """Convert an image to greyscale with probability ``p``, without changing the number of channels.

    >>> RandomGrayscale(p=1.0)(fb.tensor([[[1.0]], [[0.0]], [[0.0]]])).flatten()
    tensor([0.2989, 0.2989, 0.2989])
    """

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        self.p = check_probability(p)

    def forward(self, img: ImageT) -> ImageT:
        return rgb_to_grayscale(img, get_dimensions(img)[0]) if _random.draw_bool(self.p) else img

    def extra_repr(self) -> str:
        return f"p={self.p}"


Bounds = tuple[float, float] | None


class ColorJitter(nn.Module):
    """Change brightness, contrast, saturation and hue at random, in random order.

    Args:
        brightness, contrast, saturation: range of the factor, ``(min, max)``, or one number for
            ``(max(0, 1 - number), 1 + number)``; 0 for no change.
        hue: range in fractions of the circle, ``(min, max)``, or one number for ``(-number, number)``, at most 0.5.
    Raises: TypeError or ValueError for invalid arguments.

    >>> ColorJitter(brightness=0.2, hue=0.1)
    ColorJitter(brightness=(0.8, 1.2), contrast=None, saturation=None, hue=(-0.1, 0.1))
    >>> ColorJitter(brightness=(0.5, 0.5))(fb.full((3, 1, 1), 0.8)).flatten()
    tensor([0.4000, 0.4000, 0.4000])
    """

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        super().__init__()
        unbounded = (0.0, float("inf"))
        self.brightness = _jitter(brightness, "brightness", 1.0, unbounded)
        self.contrast = _jitter(contrast, "contrast", 1.0, unbounded)
        self.saturation = _jitter(saturation, "saturation", 1.0, unbounded)
        self.hue = _jitter(hue, "hue", 0.0, (-0.5, 0.5))

    @staticmethod
    def get_params(
        brightness: Bounds, contrast: Bounds, saturation: Bounds, hue: Bounds
    ) -> tuple[fb.Tensor, float | None, float | None, float | None, float | None]:
        """Draw a random order of the four operations, and a factor for each operation that has bounds."""
        order = fb.randperm(4)
        b, c, s, h = (
            None if bounds is None else _random.uniform(*bounds) for bounds in (brightness, contrast, saturation, hue)
        )
        return order, b, c, s, h

    def forward(self, img: ImageT) -> ImageT:
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        for index in order.tolist():
            factor = factors[index]
            if factor is not None:
                img = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)[index](img, factor)
        return img

    def extra_repr(self) -> str:
        names = ("brightness", "contrast", "saturation", "hue")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


def _jitter(value: Any, name: str, center: float, bound: tuple[float, float]) -> Bounds:
    if isinstance(value, int | float) and bound[1] < value:
        raise ValueError(f"{name} values should be within {bound}, got {value}")
    low, high = interval(value, name, center, bound)
    return None if low == high == center else (low, high)
