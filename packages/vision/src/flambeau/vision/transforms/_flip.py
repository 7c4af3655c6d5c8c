"""Horizontal and vertical flips."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from PIL import Image

from flambeau import nn

from . import _random
from ._arguments import check_probability
from ._boxes import for_kinds, mirrored
from ._image import on_planes

__all__ = ["hflip", "vflip"]

ImageT = TypeVar("ImageT")


@overload
def hflip(img: Image.Image) -> Image.Image: ...


@overload
def hflip(img: ImageT) -> ImageT: ...


@for_kinds(lambda boxes: mirrored(boxes, 0))
def hflip(img: Any) -> Any:
    """Flip an image horizontally.

    >>> import flambeau
    >>> hflip(flambeau.tensor([[1, 2, 3]]))
    tensor([[3, 2, 1]])
    """
    if isinstance(img, Image.Image):
        return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return on_planes(img, lambda planes: planes.flip(-1))


@overload
def vflip(img: Image.Image) -> Image.Image: ...


@overload
def vflip(img: ImageT) -> ImageT: ...


@for_kinds(lambda boxes: mirrored(boxes, 1))
def vflip(img: Any) -> Any:
    """Flip an image vertically."""
    if isinstance(img, Image.Image):
        return img.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return on_planes(img, lambda planes: planes.flip(-2))


class RandomHorizontalFlip(nn.Module):
    """Flip an image horizontally with probability ``p``.

    >>> RandomHorizontalFlip(p=1.0)(fb.tensor([[1, 2, 3]]))
    tensor([[3, 2, 1]])
    """

    maps_plane = True

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_probability(p)

    def forward(self, img: ImageT) -> ImageT:
        return hflip(img) if _random.draw_bool(self.p) else img

    def extra_repr(self) -> str:
        return f"p={self.p}"


class RandomVerticalFlip(nn.Module):
    """Flip an image vertically with probability ``p``.

    >>> RandomVerticalFlip(p=1.0)(fb.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """

    maps_plane = True

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_probability(p)

    def forward(self, img: ImageT) -> ImageT:
        return vflip(img) if _random.draw_bool(self.p) else img

    def extra_repr(self) -> str:
        return f"p={self.p}"
