"""Resizing of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from PIL import Image

import flambeau as fb
from flambeau import nn

from ._boxes import for_kinds, scale_boxes
from ._image import height_and_width, on_batch, on_planes, through_float
from ._interpolation import InterpolationMode, interpolation_mode, pillow_mode, resampling_weights

ImageT = TypeVar("ImageT")

if TYPE_CHECKING:
    from ..tv_tensors import BoundingBoxes

__all__ = ["resize"]

_OPERATORS = (
    InterpolationMode.NEAREST,
    InterpolationMode.NEAREST_EXACT,
    InterpolationMode.BILINEAR,
    InterpolationMode.BICUBIC,
)


def resized_boxes(
    boxes: BoundingBoxes, size: Any, interpolation: Any, max_size: int | None, antialias: bool | None
) -> BoundingBoxes:
    """Scale boxes with the size of their image."""
    return scale_boxes(boxes, _goal(boxes.canvas_size, size, max_size))


@overload
def resize(
    img: Image.Image,
    size: int | Sequence[int] | None,
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Image.Image: ...


@overload
def resize(
    img: ImageT,
    size: int | Sequence[int] | None,
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> ImageT: ...


@for_kinds(resized_boxes)
def resize(
    img: Any,
    size: int | Sequence[int] | None,
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Resize an image.

    Args:
        img: a PIL image, an array or a tensor.
        size: ``(height, width)``, or one number for the shorter side, which preserves the aspect ratio.
        interpolation: one of :class:`InterpolationMode`.
        max_size: if ``size`` is one number, the maximum of the longer side. If ``size`` is None, the size of the longer
            side.
        antialias: if True, smooth tensors and arrays before shrinking them with bilinear or bicubic interpolation.
            Pillow's other filters, and PIL images, always use antialiasing.
    Raises: TypeError for an unsupported interpolation or size; ValueError for incompatible sizes.

    >>> resize(fb.zeros(3, 20, 10), 5).shape
    flambeau.Size([3, 10, 5])
    """
    return resize_image(img, size, interpolation, max_size, antialias, in_bytes=False)


def resize_image(
    img: Any, size: Any, interpolation: Any, max_size: int | None, antialias: bool | None, in_bytes: bool
) -> Any:
    """Resize an image.

    Args:
        in_bytes: if True, interpolate uint8 images in the CPU's memory with integer weights, as v2 does; otherwise
            compute in float32. The results differ by rounding.
    """
    mode = interpolation_mode(interpolation)
    height, width = _goal(height_and_width(img), size, max_size)
    if isinstance(img, Image.Image):
        return img if (width, height) == img.size else img.resize((width, height), pillow_mode(mode))
    return on_planes(img, lambda planes: _resize_planes(planes, (height, width), mode, bool(antialias), in_bytes))


def _resize_planes(
    planes: fb.Tensor, size: tuple[int, int], mode: InterpolationMode, antialias: bool, in_bytes: bool
) -> fb.Tensor:
    """Resize planes, uint8 planes without a conversion to float if ``in_bytes`` or if the mode selects pixels."""
    if tuple(planes.shape[-2:]) == size:
        return planes
    if mode not in _OPERATORS:
        return through_float(planes, lambda image: _resample(image, size, mode), clamp=True)
    options: dict[str, Any] = {"mode": mode.value}
    in_bytes = in_bytes and not planes.is_cuda
    if mode in (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT):
        in_bytes = True
    else:
        options |= {"align_corners": False, "antialias": antialias}

    def interpolated(image: fb.Tensor) -> fb.Tensor:
        return on_batch(image, lambda batch: nn.functional.interpolate(batch, size, **options))

    if in_bytes and planes.dtype is fb.uint8:
        return interpolated(planes)
    return through_float(planes, interpolated, clamp=mode is InterpolationMode.BICUBIC)


def _resample(image: fb.Tensor, size: tuple[int, int], mode: InterpolationMode) -> fb.Tensor:
    rows, columns = (resampling_weights(mode, image.shape[dim], size[dim]).to(image) for dim in (-2, -1))
    return rows @ (image @ columns.T)


def _goal(found: tuple[int, int], size: Any, max_size: int | None) -> tuple[int, int]:
    """Return the height and width that ``size`` and ``max_size`` define for an image."""
    if size is not None and not isinstance(size, int):
        if not isinstance(size, Sequence) or len(size) not in (1, 2):
            raise (ValueError if isinstance(size, Sequence) else TypeError)(
                f"Size should be an int or a sequence of 1 or 2 ints. Got {size!r}"
            )
        if len(size) == 2:
            if max_size is not None:
                raise ValueError(
                    "max_size should only be passed if size specifies the length of the smaller edge, i.e. size should "
                    f"be an int or a sequence of length 1. Got size={size}."
                )
            return int(size[0]), int(size[1])
        size = size[0]
    if size is None and max_size is None:
        raise ValueError("max_size must be an integer when size is None, but got None instead.")
    short, long = sorted(found)
    if size is None:
        new_short, new_long = int(max_size * short / long), max_size  # type: ignore[operator]
    else:
        new_short, new_long = size, int(size * long / short)
        if max_size is not None and max_size <= size:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the smaller edge "
                f"size = {size}"
            )
        if max_size is not None and new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_short, new_long) if found[0] <= found[1] else (new_long, new_short)  # type: ignore[return-value]


class Resize(nn.Module):
    """Resize an image. See :func:`~functional.resize`, which has the same arguments.

    >>> Resize(32)(fb.zeros(3, 40, 60)).shape  # the shorter side
    flambeau.Size([3, 32, 48])
    >>> Resize((32, 32))(fb.zeros(3, 40, 60)).shape
    flambeau.Size([3, 32, 32])
    """

    maps_plane = True
    _resize: ClassVar[Callable[..., Any]] = staticmethod(resize)

    def __init__(
        self,
        size: int | Sequence[int] | None,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        given: Any = size
        if given is not None and (not isinstance(given, int | Sequence) or isinstance(given, str)):
            raise TypeError(f"Size should be int or sequence. Got {type(given)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError(f"If size is a sequence, it should have 1 or 2 values, got {size}")
        self.size = size
        self.interpolation = interpolation_mode(interpolation)
        self.max_size = max_size
        self.antialias = antialias

    def forward(self, img: ImageT) -> ImageT:
        resized: ImageT = self._resize(img, self.size, self.interpolation, self.max_size, self.antialias)
        return resized

    def extra_repr(self) -> str:
        mode = self.interpolation.value
        return f"size={self.size}, interpolation={mode}, max_size={self.max_size}, antialias={self.antialias}"
