"""Padding of images."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, overload

import numpy as np
from PIL import Image, ImageOps

import flambeau as fb
from flambeau import nn

from .. import tv_tensors
from ._boxes import for_kinds, shifted
from ._image import on_planes, to_pil_like

ImageT = TypeVar("ImageT")

__all__ = ["pad"]

_MODES = ("constant", "edge", "reflect", "symmetric")


def _padded_boxes(
    boxes: tv_tensors.BoundingBoxes, padding: int | Sequence[int], fill: Any, padding_mode: str
) -> tv_tensors.BoundingBoxes:
    if padding_mode != "constant":
        raise ValueError(f"Padding mode '{padding_mode}' is not supported with bounding boxes")
    left, top, right, bottom = _sides(padding)
    height, width = boxes.canvas_size
    return shifted(boxes, -left, -top, (height + top + bottom, width + left + right))


@overload
def pad(
    img: Image.Image, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant"
) -> Image.Image: ...


@overload
def pad(img: ImageT, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant") -> ImageT: ...


@for_kinds(_padded_boxes)
def pad(img: Any, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant") -> Any:
    """Pad an image. Negative padding crops the image.

    Args:
        img: a PIL image, an array or a tensor.
        padding: one number for all sides, ``(left and right, top and bottom)`` or ``(left, top, right, bottom)``.
        fill: fill value of the border in mode ``"constant"``, a number or one per channel.
        padding_mode: ``"constant"``, ``"edge"`` (repeats the last pixel), ``"reflect"`` (mirrors the image without the
            last pixel) or ``"symmetric"`` (mirrors the image with the last pixel).
    Raises: TypeError or ValueError for invalid arguments.

    >>> pad(fb.tensor([[1, 2]]), (1, 0), padding_mode="symmetric")
    tensor([[1, 1, 2, 2]])
    """
    left, top, right, bottom = _sides(padding)
    _check_border(fill, padding_mode)
    if isinstance(img, Image.Image):
        return _pad_pil(img, (left, top, right, bottom), fill, padding_mode)
    return on_planes(img, lambda planes: _pad_planes(planes, (left, top, right, bottom), fill, padding_mode))


def _sides(padding: Any) -> tuple[int, int, int, int]:
    if isinstance(padding, numbers.Number):
        padding = (padding,)
    if not isinstance(padding, tuple | list):
        raise TypeError(f"Got inappropriate padding arg {padding!r}: expected an int or a sequence of ints")
    if len(padding) not in (1, 2, 4):
        raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple")
    left, top, right, bottom = (int(side) for side in tuple(padding) * (4 // len(padding)))
    return left, top, right, bottom


def _check_border(fill: Any, mode: str) -> None:
    if not isinstance(fill, numbers.Number | tuple | list):
        raise TypeError(
            f"Got inappropriate fill arg {fill!r}: expected a number or a sequence with a number per channel"
        )
    if mode not in _MODES:
        raise ValueError(f"Padding mode should be either constant, edge, reflect or symmetric. Got {mode!r}")


def fill_for(fill: Any, value: Any) -> Any:
    """Return the fill for one part of a sample.

    Args:
        fill: a fill, or a dictionary from classes and ``"others"`` to fills. For plain tensors, arrays and PIL images,
            the entry of ``tv_tensors.Image`` is used if there is none for their class.
        value: the image, mask or boxes.
    Returns: the fill; 0 if the dictionary has no entry for ``value``.
    """
    if not isinstance(fill, Mapping):
        return fill
    is_plain = type(value) not in fill and not isinstance(value, tv_tensors.TVTensor)
    for key in (tv_tensors.Image if is_plain else type(value), "others"):
        try:
            return fill[key] or 0
        except KeyError:
            continue
    return 0


def fill_of(img: Image.Image, fill: Any) -> Any:
    """Return a fill value in Pillow's format: one number, or a tuple with one number for each band.

    Images with a palette also accept a colour of three numbers.
    """
    bands = len(img.getbands())
    if fill is None:
        fill = 0
    if isinstance(fill, tuple | list):
        if img.mode == "P" and len(fill) == 3:
            return tuple(int(value) for value in fill)
        if len(fill) not in (1, bands):
            raise ValueError(
                f"The number of elements in 'fill' does not match that of the image's bands: {fill}, {bands}"
            )
        values = tuple(fill) if img.mode == "F" else tuple(int(value) for value in fill)
        return values[0] if bands == 1 else values * (bands // len(values))
    whole = fill if img.mode == "F" else int(fill)
    return whole if bands == 1 else (whole,) * bands


def _pad_pil(img: Image.Image, sides: tuple[int, int, int, int], fill: Any, mode: str) -> Image.Image:
    if min(sides) < 0:
        left, top, right, bottom = (-min(side, 0) for side in sides)
        img = img.crop((left, top, img.width - right, img.height - bottom))
        sides = tuple(max(side, 0) for side in sides)  # type: ignore[assignment]
    if mode == "constant":
        return ImageOps.expand(img, border=sides, fill=fill_of(img, fill))
    left, top, right, bottom = sides
    pixels = np.asarray(img)
    widths = ((top, bottom), (left, right), *([(0, 0)] * (pixels.ndim - 2)))
    return to_pil_like(np.pad(pixels, widths, mode=mode), img)  # type: ignore[call-overload]


def _pad_planes(planes: fb.Tensor, sides: tuple[int, int, int, int], fill: Any, mode: str) -> fb.Tensor:
    left, top, right, bottom = sides
    if mode == "constant":
        if isinstance(fill, tuple | list) and len(fill) > 1:
            return _pad_colour(planes, sides, fill)
        value = fill[0] if isinstance(fill, tuple | list) else fill
        return nn.functional.pad(planes, [left, right, top, bottom], value=value)
    rows, columns = (
        fb.from_numpy(np.pad(np.arange(max(-before, 0), size - max(-after, 0)), widths, mode=mode))  # type: ignore[call-overload]
        for size, before, after, widths in (
            (planes.shape[-2], top, bottom, (max(top, 0), max(bottom, 0))),
            (planes.shape[-1], left, right, (max(left, 0), max(right, 0))),
        )
    )
    return planes.index_select(-2, rows).index_select(-1, columns)


def _pad_colour(planes: fb.Tensor, sides: tuple[int, int, int, int], fill: Sequence[float]) -> fb.Tensor:
    channels = planes.shape[-3] if planes.ndim > 2 else 1
    if len(fill) != channels:
        raise ValueError(f"The number of elements in 'fill' does not match the number of channels: {fill}, {channels}")
    padded = [
        _pad_planes(plane, sides, value, "constant") for plane, value in zip(planes.unbind(-3), fill, strict=True)
    ]
    return fb.stack(padded, -3)


class Pad(nn.Module):
    """Pad an image. See :func:`~functional.pad`, which has the same arguments.

    ``fill`` may also be a dictionary from classes of ``tv_tensors`` and ``"others"`` to fill values.

    >>> Pad((1, 0), fill=9)(fb.tensor([[1, 2]]))
    tensor([[9, 1, 2, 9]])
    """

    maps_plane = True

    def __init__(self, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        _sides(padding)
        for value in [each or 0 for each in fill.values()] if isinstance(fill, Mapping) else [fill]:
            _check_border(value, padding_mode)
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def forward(self, img: ImageT) -> ImageT:
        return pad(img, self.padding, fill_for(self.fill, img), self.padding_mode)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode}"
