"""Transforms of samples to random sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import _random, functional as F
from .._arguments import check_probability
from .._image import height_and_width
from .._interpolation import InterpolationMode
from .._pad import fill_for
from ._images import resize
from ._transform import Transform


class RandomResize(Transform):
    """Resize images so that the shorter side has a random length.

    Args:
        min_size: smallest length of the shorter side in pixels.
        max_size: upper bound of this length, exclusive.
        interpolation, antialias: as for :func:`~functional.resize`.

    >>> RandomResize(min_size=20, max_size=21)(fb.zeros(3, 40, 60)).shape
    flambeau.Size([3, 20, 30])
    """

    maps_plane = True

    def __init__(
        self,
        min_size: int,
        max_size: int,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.min_size = min_size
        self.max_size = max_size
        self.interpolation = interpolation
        self.antialias = antialias

    def transform(self, image: Any) -> Any:
        size = _random.integer(self.min_size, self.max_size)
        return resize(image, size, self.interpolation, antialias=self.antialias)

    def extra_repr(self) -> str:
        return f"min_size={self.min_size}, max_size={self.max_size}, interpolation={self.interpolation}"


class RandomShortestSize(Transform):
    """Resize images so that the shorter side has one of several lengths, drawn at random.

    Args:
        min_size: the lengths of the shorter side in pixels, or one length.
        max_size: maximum of the longer side; None for no maximum.
        interpolation, antialias: as for :func:`~functional.resize`.

    >>> RandomShortestSize([20])(fb.zeros(3, 40, 60)).shape
    flambeau.Size([3, 20, 30])
    >>> RandomShortestSize([20], max_size=24)(fb.zeros(3, 40, 60)).shape
    flambeau.Size([3, 16, 24])
    """

    maps_plane = True

    def __init__(
        self,
        min_size: int | Sequence[int],
        max_size: int | None = None,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.min_size = [min_size] if isinstance(min_size, int) else list(min_size)
        self.max_size = max_size
        self.interpolation = interpolation
        self.antialias = antialias

    def transform(self, image: Any) -> Any:
        height, width = height_and_width(image)
        ratio = self.min_size[_random.integer(0, len(self.min_size))] / min(height, width)
        if self.max_size is not None:
            ratio = min(ratio, self.max_size / max(height, width))
        size = (int(height * ratio), int(width * ratio))
        return resize(image, size, self.interpolation, antialias=self.antialias)

    def extra_repr(self) -> str:
        return f"min_size={self.min_size}, max_size={self.max_size}, interpolation={self.interpolation}"


class RandomZoomOut(Transform):
    """Place images at a random position in a larger, filled image with probability ``p``.

    Args:
        fill: fill value of the border, a number or one number per channel; or a dictionary that maps classes of
            ``tv_tensors`` and ``"others"`` to fill values.
        side_range: minimum and maximum ratio of the sides of the larger image to the sides of the original image.
        p: the probability.
    Source: Liu et al. 2015, arXiv:1512.02325.

    >>> image = RandomZoomOut(side_range=(2.0, 2.0), p=1.0)(fb.ones(1, 2, 3))
    >>> image.shape, image.sum()
    (flambeau.Size([1, 4, 6]), tensor(6.))
    """

    maps_plane = True

    def __init__(self, fill: Any = 0, side_range: Sequence[float] = (1.0, 4.0), p: float = 0.5) -> None:
        super().__init__()
        if not 1.0 <= side_range[0] <= side_range[1]:
            raise ValueError(f"Invalid side range provided {side_range}.")
        self.fill = fill
        self.side_range = side_range
        self.p = check_probability(p)

    def transform(self, image: Any) -> Any:
        if not _random.draw_bool(self.p):
            return image
        height, width = height_and_width(image)
        ratio = _random.uniform(*self.side_range)
        wide, high = int(width * ratio), int(height * ratio)
        left, top = int((wide - width) * _random.uniform()), int((high - height) * _random.uniform())
        sides = [left, top, wide - (left + width), high - (top + height)]
        return F.pad(image, sides, fill_for(self.fill, image))

    def extra_repr(self) -> str:
        return f"fill={self.fill}, side_range={self.side_range}, p={self.p}"


class ScaleJitter(Transform):
    """Resize images by a random scale. At scale 1, the image is as large as possible inside ``target_size``.

    Args:
        target_size: width and height.
        scale_range: minimum and maximum of the random scale.
        interpolation, antialias: as for :func:`~functional.resize`.
    Source: Ghiasi et al. 2020, arXiv:2012.07177.

    >>> ScaleJitter(target_size=(64, 64), scale_range=(0.5, 0.5))(fb.zeros(3, 40, 80)).shape
    flambeau.Size([3, 16, 32])
    """

    maps_plane = True

    def __init__(
        self,
        target_size: tuple[int, int],
        scale_range: tuple[float, float] = (0.1, 2.0),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.target_size = target_size
        self.scale_range = scale_range
        self.interpolation = interpolation
        self.antialias = antialias

    def transform(self, image: Any) -> Any:
        height, width = height_and_width(image)
        scale = _random.uniform(*self.scale_range)
        ratio = min(self.target_size[0] / width, self.target_size[1] / height) * scale
        size = (int(height * ratio), int(width * ratio))
        return resize(image, size, self.interpolation, antialias=self.antialias)

    def extra_repr(self) -> str:
        return f"target_size={self.target_size}, scale_range={self.scale_range}, interpolation={self.interpolation}"
