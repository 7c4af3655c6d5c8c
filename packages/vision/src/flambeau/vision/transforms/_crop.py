"""Crops at given and random positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar, overload

from PIL import Image

import flambeau as fb
from flambeau import nn

from . import _random
from ._arguments import pair_of_sizes
from ._boxes import for_kinds, shifted
from ._flip import hflip, vflip
from ._image import height_and_width, on_planes
from ._interpolation import InterpolationMode, interpolation_mode
from ._pad import _sides, fill_for, pad
from ._resize import resize

__all__ = ["center_crop", "crop", "five_crop", "resized_crop", "ten_crop"]

ImageT = TypeVar("ImageT")

_TWO_SIZES = "Please provide only two dimensions (h, w) for size."


@overload
def crop(img: Image.Image, top: int, left: int, height: int, width: int) -> Image.Image: ...


@overload
def crop(img: ImageT, top: int, left: int, height: int, width: int) -> ImageT: ...


@for_kinds(lambda boxes, top, left, height, width: shifted(boxes, left, top, (height, width)))
def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """Crop an image to ``height`` and ``width`` at ``(left, top)``. Pixels outside the image are zero.

    >>> crop(fb.tensor([[1, 2], [3, 4]]), 1, 1, 2, 1)
    tensor([[4],
            [0]])
    """
    if isinstance(img, Image.Image):
        return img.crop((left, top, left + width, top + height))
    return on_planes(img, lambda planes: _crop_planes(planes, top, left, height, width))


def _crop_planes(planes: fb.Tensor, top: int, left: int, height: int, width: int) -> fb.Tensor:
    rows, columns = planes.shape[-2:]
    inside = planes[..., max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    if top >= 0 and left >= 0 and top + height <= rows and left + width <= columns:
        return inside
    before, above = min(max(-left, 0), width), min(max(-top, 0), height)
    after, below = width - before - inside.shape[-1], height - above - inside.shape[-2]
    return nn.functional.pad(inside, [before, after, above, below])


@overload
def center_crop(img: Image.Image, output_size: int | Sequence[int]) -> Image.Image: ...


@overload
def center_crop(img: ImageT, output_size: int | Sequence[int]) -> ImageT: ...


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """Crop the centre of an image. Images smaller than the output are padded with zeros.

    Args:
        img: a PIL image, an array or a tensor.
        output_size: ``(height, width)``, or one number for both.
    """
    goal_height, goal_width = pair_of_sizes(output_size, _TWO_SIZES)
    height, width = height_and_width(img)
    if goal_width > width or goal_height > height:
        lacking_width, lacking_height = max(goal_width - width, 0), max(goal_height - height, 0)
        sides = (lacking_width // 2, lacking_height // 2, (lacking_width + 1) // 2, (lacking_height + 1) // 2)
        img = pad(img, sides)
        height, width = height_and_width(img)
    top, left = round((height - goal_height) / 2.0), round((width - goal_width) / 2.0)
    return crop(img, top, left, goal_height, goal_width)


@overload
def resized_crop(
    img: Image.Image,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Image.Image: ...


@overload
def resized_crop(
    img: ImageT,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> ImageT: ...


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """Crop an image like :func:`crop`, then resize it like :func:`resize`."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, Any, Any, Any, Any]:
    """Return five crops of an image: top left, top right, bottom left, bottom right and centre.

    Raises: ValueError if the crop is larger than the image.
    """
    crop_height, crop_width = pair_of_sizes(size, _TWO_SIZES)
    height, width = height_and_width(img)
    if crop_width > width or crop_height > height:
        raise ValueError(f"Requested crop size {(crop_height, crop_width)} is bigger than input size {(height, width)}")
    bottom, right = height - crop_height, width - crop_width
    corners = [crop(img, y, x, crop_height, crop_width) for y in (0, bottom) for x in (0, right)]
    return (*corners, center_crop(img, (crop_height, crop_width)))


def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Any, ...]:
    """Return the ten crops of :func:`five_crop` for an image and for a flipped copy of the image.

    The copy is flipped horizontally, or vertically if ``vertical_flip`` is True.
    """
    mirrored = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(mirrored, size)


class CenterCrop(nn.Module):
    """Crop the centre of an image. See :func:`~functional.center_crop`.

    Args:
        size: height and width of the crop, or one number for both.

    >>> CenterCrop(2)(fb.arange(16).view(1, 4, 4))
    tensor([[[ 5,  6],
             [ 9, 10]]])
    """

    maps_plane = True

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = pair_of_sizes(size, _TWO_SIZES)

    def forward(self, img: ImageT) -> ImageT:
        return center_crop(img, self.size)

    def extra_repr(self) -> str:
        return f"size={self.size}"


class FiveCrop(nn.Module):
    """Return crops of the four corners and the centre of an image. See :func:`~functional.five_crop`.

    Args:
        size: height and width of the crops, or one number for both.
    Raises: ValueError if the crop is larger than the image.

    >>> [crop.item() for crop in FiveCrop(1)(fb.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]]))]
    [1, 3, 7, 9, 5]
    >>> fb.stack(FiveCrop(24)(fb.zeros(3, 32, 32))).shape
    flambeau.Size([5, 3, 24, 24])
    """

    maps_plane = True

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = pair_of_sizes(size, _TWO_SIZES)

    def forward(self, img: Any) -> tuple[Any, ...]:
        return five_crop(img, self.size)

    def extra_repr(self) -> str:
        return f"size={self.size}"


class TenCrop(nn.Module):
    """Return crops of the corners and the centre of an image and of its mirror image. See :func:`~functional.ten_crop`.

    Args:
        size: height and width of the crops, or one number for both.
        vertical_flip: if True, mirror the image vertically instead of horizontally.
    Raises: ValueError if the crop is larger than the image.

    >>> [crop.item() for crop in TenCrop(1)(fb.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]]))]
    [1, 3, 7, 9, 5, 3, 1, 9, 7, 5]
    """

    maps_plane = True

    def __init__(self, size: int | Sequence[int], vertical_flip: bool = False) -> None:
        super().__init__()
        self.size = pair_of_sizes(size, _TWO_SIZES)
        self.vertical_flip = vertical_flip

    def forward(self, img: Any) -> tuple[Any, ...]:
        return ten_crop(img, self.size, self.vertical_flip)

    def extra_repr(self) -> str:
        return f"size={self.size}, vertical_flip={self.vertical_flip}"


class RandomCrop(nn.Module):
    """Crop an image at a random position.

    Args:
        size: size of the crop, ``(height, width)`` or one number for both.
        padding: border added first, as for :func:`~functional.pad`; None for no border.
        pad_if_needed: if True, pad an image that is smaller than the crop.
        fill, padding_mode: fill and mode of the border, as for :class:`Pad`.
    Raises: ValueError if the padded image is smaller than the crop.

    >>> RandomCrop(2)(fb.zeros(3, 5, 5)).shape
    flambeau.Size([3, 2, 2])
    """

    maps_plane = True

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = pair_of_sizes(size, _TWO_SIZES)
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode
        self._border = None if padding is None else _sides(padding)

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Draw top, left, height and width of a random crop."""
        return _random_region(height_and_width(img), output_size)

    def forward(self, img: ImageT) -> ImageT:
        fill = fill_for(self.fill, img)
        if self._border is not None and not self.pad_if_needed and self.padding_mode == "constant" and fill == 0:
            # `crop` fills pixels outside of the image with zeros, so padding is not needed.
            left, top, right, bottom = self._border
            height, width = height_and_width(img)
            i, j, h, w = _random_region((height + top + bottom, width + left + right), self.size)
            return crop(img, i - top, j - left, h, w)
        if self.padding is not None:
            img = pad(img, self.padding, fill, self.padding_mode)
        if self.pad_if_needed:
            height, width = height_and_width(img)
            lacking = (max(self.size[1] - width, 0), max(self.size[0] - height, 0))
            if any(lacking):
                img = pad(img, lacking, fill, self.padding_mode)
        return crop(img, *self.get_params(img, self.size))

    def extra_repr(self) -> str:
        return f"size={self.size}, padding={self.padding}"


def _random_region(found: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    (height, width), (crop_height, crop_width) = found, size
    if height < crop_height or width < crop_width:
        raise ValueError(f"Required crop size {(crop_height, crop_width)} is larger than input image size {found}")
    if (height, width) == (crop_height, crop_width):
        return 0, 0, height, width
    top, left = _random.integer(0, height - crop_height + 1), _random.integer(0, width - crop_width + 1)
    return top, left, crop_height, crop_width


class RandomResizedCrop(nn.Module):
    """Crop an image at a random position, with random area and aspect ratio, and resize the crop.

    Args:
        size: size of the result, ``(height, width)`` or one number for both.
        scale: minimum and maximum area of the crop, as a fraction of the image's area.
        ratio: minimum and maximum ratio of width to height.
        interpolation, antialias: as for :func:`~functional.resize`.
    Raises: TypeError or ValueError for invalid arguments.

    Source: Szegedy et al. 2014, arXiv:1409.4842.

    >>> RandomResizedCrop(24, scale=(0.5, 1.0))(fb.zeros(3, 40, 60)).shape
    flambeau.Size([3, 24, 24])
    """

    maps_plane = True
    _resized_crop: ClassVar[Callable[..., Any]] = staticmethod(resized_crop)

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = pair_of_sizes(size, _TWO_SIZES)
        for name, value in (("Scale", scale), ("Ratio", ratio)):
            if not isinstance(value, Sequence):
                raise TypeError(f"{name} should be a sequence, got {value!r}")
            if len(value) != 2 or not 0 < value[0] <= value[1]:
                raise ValueError(f"{name} should be of kind (min, max), both positive, got {value}")
        self.scale = scale
        self.ratio = ratio
        self.interpolation = interpolation_mode(interpolation)
        self.antialias = antialias

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """Draw top, left, height and width of a random crop. After ten unsuccessful trials, return a central crop."""
        height, width = height_and_width(img)
        for _ in range(10):
            area = height * width * _random.uniform(*scale)
            proportion = math.exp(_random.uniform(math.log(ratio[0]), math.log(ratio[1])))
            w, h = round(math.sqrt(area * proportion)), round(math.sqrt(area / proportion))
            if 0 < w <= width and 0 < h <= height:
                return _random.integer(0, height - h + 1), _random.integer(0, width - w + 1), h, w
        w, h = width, height
        if width / height < min(ratio):
            h = round(w / min(ratio))
        elif width / height > max(ratio):
            w = round(h * max(ratio))
        return (height - h) // 2, (width - w) // 2, h, w

    def forward(self, img: ImageT) -> ImageT:
        box = self.get_params(img, self.scale, self.ratio)
        resized: ImageT = self._resized_crop(img, *box, self.size, self.interpolation, self.antialias)
        return resized

    def extra_repr(self) -> str:
        scale, ratio = (tuple(round(value, 4) for value in values) for values in (self.scale, self.ratio))
        mode = self.interpolation.value
        return f"size={self.size}, scale={scale}, ratio={ratio}, interpolation={mode}, antialias={self.antialias}"
