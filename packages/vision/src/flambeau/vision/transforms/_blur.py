"""Blurring and sharpening of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, overload

import numpy as np
from PIL import Image, ImageEnhance

import flambeau as fb
from flambeau import nn

from . import _random
from ._arguments import check_probability
from ._image import as_batch, on_planes, through_float, to_pil_like, white_value

__all__ = ["adjust_sharpness", "gaussian_blur"]

ImageT = TypeVar("ImageT")


@overload
def gaussian_blur(
    img: Image.Image, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None
) -> Image.Image: ...


@overload
def gaussian_blur(
    img: ImageT, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None
) -> ImageT: ...


def gaussian_blur(img: Any, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None) -> Any:
    """Blur an image with a Gaussian kernel. The image is mirrored at its border.

    Args:
        img: a PIL image, an array or a tensor.
        kernel_size: kernel size, one number or (x, y), odd and positive.
        sigma: standard deviation in pixels, one number or (x, y); None for ``0.15 * kernel_size + 0.35``.
    Raises: TypeError or ValueError for invalid arguments.
    """
    widths = _pair(kernel_size, "kernel_size", int)
    if any(width % 2 == 0 or width < 1 for width in widths):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {list(widths)}")
    deviations = tuple(0.15 * width + 0.35 for width in widths) if sigma is None else _pair(sigma, "sigma", float)
    if any(deviation <= 0.0 for deviation in deviations):
        raise ValueError(f"sigma should have positive values. Got {list(deviations)}")
    if isinstance(img, Image.Image):
        return to_pil_like(gaussian_blur(np.asarray(img), kernel_size, sigma), img)
    return on_planes(img, lambda planes: through_float(planes, lambda image: _blurred(image, widths, deviations)))


def _pair(value: Any, name: str, kind: type) -> tuple[Any, Any]:
    values = value if isinstance(value, tuple | list) else (value,)
    if not all(isinstance(each, int | float) for each in values):
        raise TypeError(f"{name} should be a number or a sequence of numbers. Got {value!r}")
    if len(values) not in (1, 2):
        raise ValueError(f"If {name} is a sequence its length should be 2. Got {len(values)}")
    return kind(values[0]), kind(values[-1])


def _blurred(image: fb.Tensor, widths: tuple[int, int], deviations: tuple[float, float]) -> fb.Tensor:
    batch = as_batch(image)
    x, y = (width // 2 for width in widths)
    planes = nn.functional.pad(batch.flatten(0, 1)[:, None], [x, x, y, y], mode="reflect")
    for width, deviation, shape in zip(widths, deviations, ((1, 1, 1, -1), (1, 1, -1, 1)), strict=True):
        distances = fb.arange(width, dtype=fb.float32) - width // 2
        weights = fb.exp(-0.5 * (distances / deviation) ** 2)
        planes = nn.functional.conv2d(planes, (weights / weights.sum()).reshape(shape).to(image))
    return planes.reshape(image.shape)


@overload
def adjust_sharpness(img: Image.Image, sharpness_factor: float) -> Image.Image: ...


@overload
def adjust_sharpness(img: ImageT, sharpness_factor: float) -> ImageT: ...


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """Blur an image (factor below 1) or sharpen it (factor above 1), like Pillow's ``ImageEnhance.Sharpness``.

    Raises: ValueError for a negative factor.
    """
    if sharpness_factor < 0:
        raise ValueError(f"sharpness_factor ({sharpness_factor}) is not non-negative.")
    if isinstance(img, Image.Image):
        return ImageEnhance.Sharpness(img).enhance(sharpness_factor)
    return on_planes(img, lambda planes: _sharpened(planes, float(sharpness_factor)))


def _sharpened(planes: fb.Tensor, factor: float) -> fb.Tensor:
    if min(planes.shape[-2:]) <= 2:
        return planes.clone()
    smooth = planes.clone()
    smooth[..., 1:-1, 1:-1] = through_float(planes, _smoothed)
    return blend(planes, smooth, factor)


def _smoothed(image: fb.Tensor) -> fb.Tensor:
    """Replace each pixel with a weighted mean: weight 5 for the pixel, and weight 1 for each of its 8 neighbours."""
    weights = fb.ones(1, 1, 3, 3)
    weights[..., 1, 1] = 5.0
    batch = as_batch(image).flatten(0, 1)[:, None]
    result = nn.functional.conv2d(batch, (weights / 13.0).to(image))
    return result.reshape(*image.shape[:-2], *result.shape[-2:])


def blend(image: fb.Tensor, other: fb.Tensor, share: float) -> fb.Tensor:
    """Return ``share * image + (1 - share) * other``, clamped to 0..white, in the dtype of ``image``."""
    return (share * image + (1.0 - share) * other).clamp(0, white_value(image.dtype)).to(image.dtype)


class GaussianBlur(nn.Module):
    """Blur an image with a Gaussian kernel of random standard deviation. See :func:`~functional.gaussian_blur`.

    Args:
        kernel_size: kernel size, one number or (x, y), odd and positive.
        sigma: minimum and maximum standard deviation, or a single value.

    >>> GaussianBlur((3, 1), sigma=1.0)(fb.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]]))
    tensor([[0.0000, 0.2741, 0.4519, 0.2741, 0.0000]])
    """

    def __init__(self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = _pair(kernel_size, "kernel_size", int)
        if any(width % 2 == 0 or width < 1 for width in self.kernel_size):
            raise ValueError(f"Kernel size value should be an odd and positive number, got {kernel_size}")
        self.sigma = _pair(sigma, "sigma", float)
        if not 0.0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"sigma values should be positive and of the form (min, max). Got {sigma}")

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """Draw a random standard deviation between two bounds."""
        return _random.uniform(sigma_min, sigma_max)

    def forward(self, img: ImageT) -> ImageT:
        sigma = self.get_params(*self.sigma)
        return gaussian_blur(img, self.kernel_size, [sigma, sigma])

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, sigma={self.sigma}"


class RandomAdjustSharpness(nn.Module):
    """Change the sharpness of an image with probability ``p``. See :func:`~functional.adjust_sharpness`.

    Args:
        sharpness_factor: 0 blurs the image, 1 does not change it, and 2 doubles its sharpness.
        p: the probability.

    >>> image = fb.tensor([[0.5, 0.5, 0.5], [0.5, 0.6, 0.5], [0.5, 0.5, 0.5]])
    >>> RandomAdjustSharpness(2, p=1.0)(image)[1]
    tensor([0.5000, 0.6615, 0.5000])
    """

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__()
        self.sharpness_factor = sharpness_factor
        self.p = check_probability(p)

    def forward(self, img: ImageT) -> ImageT:
        return adjust_sharpness(img, self.sharpness_factor) if _random.draw_bool(self.p) else img

    def extra_repr(self) -> str:
        return f"sharpness_factor={self.sharpness_factor},p={self.p}"
