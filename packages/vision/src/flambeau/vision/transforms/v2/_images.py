"""Functions of images that compute differently, or accept more types, than those of ``transforms.functional``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from PIL import Image

from .. import functional as F
from .._boxes import for_kinds
from .._interpolation import InterpolationMode
from .._resize import resize_image, resized_boxes

ImageT = TypeVar("ImageT")

__all__ = ["erase", "resize", "resized_crop"]


@for_kinds(resized_boxes)
def resize(
    img: ImageT,
    size: int | Sequence[int] | None,
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> ImageT:
    """Resize an image, masks or boxes. The arguments are those of ``transforms.functional.resize``.

    Bilinear and bicubic interpolation of uint8 tensors uses integer weights, as in torchvision on processors with AVX2.
    ``transforms.functional.resize`` computes in float32, so results may differ by rounding.

    >>> resize(fb.zeros(3, 20, 10, dtype=fb.uint8), 5).shape
    flambeau.Size([3, 10, 5])
    """
    resized: ImageT = resize_image(img, size, interpolation, max_size, antialias, in_bytes=True)
    return resized


def resized_crop(
    img: ImageT,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> ImageT:
    """Crop an image, and resize it like :func:`resize`.

    >>> resized_crop(fb.zeros(3, 20, 10), 0, 0, 10, 10, 5).shape
    flambeau.Size([3, 5, 5])
    """
    resized: ImageT = resize(F.crop(img, top, left, height, width), size, interpolation, antialias=antialias)
    return resized


def erase(inpt: ImageT, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> ImageT:
    """Overwrite a rectangle of an image, which may be a PIL image. See ``transforms.functional.erase``.

    >>> from PIL import Image
    >>> erase(Image.new("L", (2, 1), 3), 0, 1, 1, 1, 9).getpixel((1, 0))
    9
    """
    image: Any = inpt
    if isinstance(image, Image.Image):
        image = F.pil_to_tensor(image)
    erased: Any = F.erase(image, i, j, h, w, v, inplace)
    return F.to_pil_image(erased) if isinstance(inpt, Image.Image) else erased  # type: ignore[return-value]
