"""Random geometric transforms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import flambeau as fb
from flambeau import nn

from . import _random
from ._arguments import check_probability, interval
from ._blur import gaussian_blur
from ._image import get_dimensions, get_image_size, height_and_width
from ._interpolation import InterpolationMode, interpolation_mode
from ._pad import fill_for
from ._warp import _check_point, affine, elastic_transform, perspective, rotate

ImageT = TypeVar("ImageT")


class RandomRotation(nn.Module):
    """Rotate an image by a random angle.

    Args:
        degrees: range of the angle, ``(min, max)``, or one number for ``(-degrees, degrees)``.
        interpolation, expand, center, fill: as for :func:`~functional.rotate`.

    >>> RandomRotation((90, 90), expand=True)(fb.tensor([[[1, 2, 3]]]))
    tensor([[[3],
             [2],
             [1]]])
    """

    maps_plane = True

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.degrees = list(interval(degrees, "degrees"))
        self.interpolation = interpolation_mode(interpolation)
        self.expand = expand
        _check_point(center, "center")
        self.center = center
        self.fill = fill

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """Draw a random angle between two bounds."""
        return _random.uniform(degrees[0], degrees[1])

    def forward(self, img: ImageT) -> ImageT:
        fill = fill_for(self.fill, img)
        return rotate(img, self.get_params(self.degrees), self.interpolation, self.expand, self.center, fill)

    def extra_repr(self) -> str:
        parts = f"degrees={self.degrees}, interpolation={self.interpolation.value}, expand={self.expand}"
        center = f", center={self.center}" if self.center is not None else ""
        return f"{parts}{center}, fill={self.fill}"


class RandomAffine(nn.Module):
    """Rotate, translate, scale and shear an image at random.

    Args:
        degrees: range of the angle, ``(min, max)``, or one number for ``(-degrees, degrees)``.
        translate: maximum translations in x and y, as fractions (0 to 1) of width and height.
        scale: minimum and maximum scale factor.
        shear: range of the angle along x, ``(min, max)`` or one number for ``(-shear, shear)``; or four numbers for the
            ranges along x and along y.
        interpolation, fill, center: as for :func:`~functional.affine`.

    >>> augment = RandomAffine(degrees=10, translate=(0.1, 0.1), scale=(0.9, 1.1))
    >>> augment(fb.zeros(3, 20, 30)).shape
    flambeau.Size([3, 20, 30])
    >>> RandomAffine(degrees=(180, 180))(fb.tensor([[[1, 2], [3, 4]]]))
    tensor([[[4, 3],
             [2, 1]]])
    """

    maps_plane = True

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.degrees = list(interval(degrees, "degrees"))
        _check_point(translate, "translate")
        if translate is not None and not all(0.0 <= share <= 1.0 for share in translate):
            raise ValueError(f"translation values should be between 0 and 1, got {translate}")
        _check_point(scale, "scale")
        if scale is not None and not all(factor > 0 for factor in scale):
            raise ValueError(f"scale values should be positive, got {scale}")
        _check_point(center, "center")
        self.translate = translate
        self.scale = scale
        self.shear = None if shear is None else _shear_bounds(shear)
        self.interpolation = interpolation_mode(interpolation)
        self.fill = fill
        self.center = center

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """Draw angle, translation in pixels, scale and shears for an image of size ``(width, height)``."""
        angle = _random.uniform(degrees[0], degrees[1])
        moves = [share * size for share, size in zip(translate or (0.0, 0.0), img_size, strict=True)]
        x, y = (round(_random.uniform(-most, most)) if most else 0 for most in moves)
        scale = 1.0 if scale_ranges is None else _random.uniform(*scale_ranges)
        shear_x = 0.0 if shears is None else _random.uniform(shears[0], shears[1])
        shear_y = _random.uniform(shears[2], shears[3]) if shears is not None and len(shears) == 4 else 0.0
        return angle, (x, y), scale, (shear_x, shear_y)

    def forward(self, img: ImageT) -> ImageT:
        drawn = self.get_params(self.degrees, self.translate, self.scale, self.shear, get_image_size(img))
        fill = fill_for(self.fill, img)
        return affine(img, *drawn, interpolation=self.interpolation, fill=fill, center=self.center)

    def extra_repr(self) -> str:
        parts = [f"degrees={self.degrees}"]
        parts += [f"{name}={value}" for name in ("translate", "scale", "shear") if (value := getattr(self, name))]
        if self.interpolation is not InterpolationMode.NEAREST:
            parts.append(f"interpolation={self.interpolation.value}")
        parts += [f"{name}={value}" for name in ("fill", "center") if (value := getattr(self, name))]
        return ", ".join(parts)


def _shear_bounds(shear: Any) -> list[float]:
    if isinstance(shear, tuple | list) and len(shear) == 4:
        return [*interval(shear[:2], "shear"), *interval(shear[2:], "shear")]
    return list(interval(shear, "shear"))


class RandomPerspective(nn.Module):
    """Apply a random perspective transform with probability ``p``.

    Args:
        distortion_scale: maximum movement of the corners, from 0 (none) to 1 (to the centre).
        p: the probability.
        interpolation, fill: as for :func:`~functional.perspective`.

    >>> RandomPerspective(distortion_scale=0.5, p=1.0)(fb.zeros(3, 20, 30)).shape
    flambeau.Size([3, 20, 30])
    """

    maps_plane = True

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        if not 0 <= distortion_scale <= 1:
            raise ValueError(f"distortion_scale should be between 0 and 1, got {distortion_scale}")
        self.p = check_probability(p)
        self.interpolation = interpolation_mode(interpolation)
        self.distortion_scale = distortion_scale
        self.fill = fill

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[list[list[int]], list[list[int]]]:
        """Return the corners of an image, and random new positions of the corners."""
        far_x, far_y = int(distortion_scale * (width // 2)) + 1, int(distortion_scale * (height // 2)) + 1
        corners = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
        left, right = (0, far_x), (width - far_x, width)
        top, bottom = (0, far_y), (height - far_y, height)
        bounds = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return corners, [[_random.integer(*x), _random.integer(*y)] for x, y in bounds]

    def forward(self, img: ImageT) -> ImageT:
        if not _random.draw_bool(self.p):
            return img
        height, width = height_and_width(img)
        fill = fill_for(self.fill, img)
        return perspective(img, *self.get_params(width, height, self.distortion_scale), self.interpolation, fill)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class ElasticTransform(nn.Module):
    """Displace the pixels of an image by a smooth random field.

    Args:
        alpha: magnitude of the displacement in pixels, one number or (x, y).
        sigma: smoothness of the displacement in pixels, one number or (x, y).
        interpolation, fill: as for :func:`~functional.elastic_transform`.

    Source: Simard, Steinkraus, Platt 2003, doi:10.1109/ICDAR.2003.1227801.

    >>> _ = fb.manual_seed(0)
    >>> line = fb.tensor([[0, 0, 1, 0, 0]]).expand(5, 5)
    >>> ElasticTransform(alpha=5.0, sigma=1.0, interpolation=InterpolationMode.NEAREST)(line)
    tensor([[0, 1, 1, 0, 0],
            [0, 1, 1, 0, 0],
            [0, 1, 1, 0, 0],
            [0, 0, 1, 1, 0],
            [0, 0, 0, 0, 0]])
    """

    maps_plane = True

    def __init__(
        self,
        alpha: float | Sequence[float] = 50.0,
        sigma: float | Sequence[float] = 5.0,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.alpha = _pair(alpha, "alpha")
        self.sigma = _pair(sigma, "sigma")
        self.interpolation = interpolation_mode(interpolation)
        self.fill = fill

    @staticmethod
    def get_params(alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int]) -> fb.Tensor:
        """Draw a random displacement ``(1, H, W, 2)``, in units of half the image's width and height."""
        moves = []
        for far, smooth, side in zip(alpha, sigma, reversed(size), strict=True):
            noise = fb.rand(1, 1, *size) * 2 - 1
            if smooth > 0.0:
                width = 2 * math.floor(8 * smooth / 2) + 1  # odd, and at least 4 standard deviations to each side
                width = min(width, 2 * min(size) - 1)
                noise = gaussian_blur(noise, [width, width], [smooth, smooth])
            moves.append(noise * (far / side))
        return fb.cat(moves, 1).permute(0, 2, 3, 1)

    def forward(self, img: ImageT) -> ImageT:
        _, height, width = get_dimensions(img)
        displacement = self.get_params(self.alpha, self.sigma, [height, width])
        return elastic_transform(img, displacement, self.interpolation, fill_for(self.fill, img))

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, sigma={self.sigma}, interpolation={self.interpolation}, fill={self.fill}"


def _pair(value: Any, name: str) -> list[float]:
    numbers = list(value) if isinstance(value, tuple | list) else [value]
    if len(numbers) not in (1, 2) or not all(isinstance(number, int | float) for number in numbers):
        raise TypeError(f"{name} should be a number or a sequence of two. Got {value!r}")
    return [float(numbers[0]), float(numbers[-1])]
