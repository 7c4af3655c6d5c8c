"""Conversion to tensors and between dtypes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, overload

import numpy as np
from PIL import Image

import flambeau as fb

from ... import tv_tensors
from .. import _conversion, functional as F
from .._image import height_and_width, like_image
from ._transform import Transform, for_samples, kind_of, transform_images

ImageT = TypeVar("ImageT")

__all__ = ["get_size", "grayscale_to_rgb", "to_dtype", "to_image"]

PILToTensor = for_samples(_conversion.PILToTensor)
ToPILImage = for_samples(_conversion.ToPILImage)
ToTensor = for_samples(_conversion.ToTensor)


def to_image(inpt: Any) -> tv_tensors.Image:
    """Convert a PIL image or an array ``(H, W)`` or ``(H, W, C)`` to a ``tv_tensors.Image`` ``(C, H, W)``.

    A tensor ``(H, W)`` becomes ``(1, H, W)``; other tensors keep their shape.
    Raises: TypeError for other types.
    """
    if isinstance(inpt, Image.Image):
        inpt = F.pil_to_tensor(inpt)
    if isinstance(inpt, np.ndarray):
        inpt = fb.from_numpy(np.atleast_3d(inpt).transpose(2, 0, 1).copy())
    if isinstance(inpt, fb.Tensor):
        image: tv_tensors.Image = tv_tensors.Image(inpt)
        return image
    raise TypeError(f"Input can either be a pure Tensor, a numpy array, or a PIL image, but got {type(inpt)} instead.")


def get_size(inpt: Any) -> list[int]:
    """Return ``[height, width]`` of an image or a mask, or of the image that boxes belong to.

    >>> get_size(fb.zeros(3, 4, 5))
    [4, 5]
    """
    return list(height_and_width(inpt))


def to_dtype(inpt: fb.Tensor, dtype: fb.dtype = fb.float32, scale: bool = False) -> fb.Tensor:
    """Convert a tensor to another dtype.

    If ``scale`` is True, scale the values of images and plain tensors like :func:`convert_image_dtype`. Masks and boxes
    keep their values.

    >>> to_dtype(fb.tensor([0, 255], dtype=fb.uint8), scale=True)
    tensor([0., 1.])
    >>> to_dtype(tv_tensors.Mask(fb.tensor([[0, 2]])), fb.uint8, scale=True)
    Mask([[0, 2]], dtype=flambeau.uint8)
    """
    if not scale or kind_of(inpt) in ("mask", "boxes"):
        return inpt.to(dtype)
    return like_image(F.convert_image_dtype(inpt, dtype), inpt)


class ToImage(Transform):
    """Convert PIL images and arrays to tensors ``(C, H, W)`` of the same values. See :func:`to_image`.

    >>> image = ToImage()(Image.new("RGB", (4, 2), "red"))
    >>> type(image).__name__, image.shape, image.dtype
    ('Image', flambeau.Size([3, 2, 4]), flambeau.uint8)
    """

    def transform(self, image: Any) -> fb.Tensor:
        return to_image(image)


class ToDtype(Transform):
    """Convert images to another dtype. Other values, such as labels, keep their dtype. See :func:`to_dtype`.

    Args:
        dtype: dtype of images, or a dictionary that maps classes to dtypes, such as ``{tv_tensors.Mask: flambeau.int64,
            "others": None}``. None keeps the dtype, and ``"others"`` stands for all classes that are not listed.
        scale: if True, scale the values like :func:`convert_image_dtype`: from [0, 255] to [0, 1] for uint8 to float32.
    Raises: ValueError if the dictionary contains neither a class of the sample nor ``"others"``.

    >>> ToDtype(fb.float32, scale=True)(fb.tensor([[[0, 255]]], dtype=fb.uint8))
    tensor([[[0., 1.]]])
    >>> sample = {"image": tv_tensors.Image(fb.zeros(3, 4, 4)), "mask": tv_tensors.Mask(fb.zeros(4, 4))}
    >>> sample = ToDtype({tv_tensors.Mask: fb.int64, "others": None})(sample)
    >>> sample["image"].dtype, sample["mask"].dtype
    (flambeau.float32, flambeau.int64)
    """

    def __init__(self, dtype: fb.dtype | Mapping[Any, fb.dtype | None], scale: bool = False) -> None:
        super().__init__()
        self.dtype = dtype
        self.scale = scale

    def forward(self, *inputs: Any) -> Any:
        if isinstance(self.dtype, Mapping):
            return transform_images(self._by_kind, inputs, lambda value: isinstance(value, fb.Tensor))
        return super().forward(*inputs)

    def transform(self, image: Any) -> Any:
        assert not isinstance(self.dtype, Mapping)
        return to_dtype(image, self.dtype, self.scale) if isinstance(image, fb.Tensor) else image

    def _by_kind(self, value: fb.Tensor) -> Any:
        assert isinstance(self.dtype, Mapping)
        for key in (type(value), "others"):
            if key in self.dtype:
                dtype = self.dtype[key]
                break
        else:
            raise ValueError(f'No dtype was specified for type {type(value)}. Add this type, or "others", to dtype.')
        if dtype is None:
            return value
        return to_dtype(value, dtype, self.scale)

    def extra_repr(self) -> str:
        return f"dtype={self.dtype}, scale={self.scale}"


class ConvertImageDtype(ToDtype):
    """Convert image tensors to another dtype and scale their values. PIL images do not change. See :func:`to_dtype`.

    >>> ConvertImageDtype(fb.float32)(fb.tensor([[0, 255]], dtype=fb.uint8), 7)
    (tensor([[0., 1.]]), 7)
    """

    def __init__(self, dtype: fb.dtype = fb.float32) -> None:
        super().__init__(dtype, scale=True)

    def extra_repr(self) -> str:
        return f"dtype={self.dtype}"


class ToPureTensor(Transform):
    """Convert images, masks and boxes to plain tensors.

    >>> mask = tv_tensors.Mask(fb.zeros(2, 2))
    >>> type(mask).__name__, type(ToPureTensor()(mask)).__name__
    ('Mask', 'Tensor')
    """

    def forward(self, *inputs: Any) -> Any:
        return transform_images(lambda value: value.as_subclass(fb.Tensor), inputs, lambda value: bool(kind_of(value)))


class Identity(Transform):
    """Return samples unchanged, for use where a transform is required.

    >>> Identity()(fb.tensor([[1, 2]]), 3)
    (tensor([[1, 2]]), 3)
    """

    def transform(self, image: Any) -> Any:
        return image


@overload
def grayscale_to_rgb(inpt: Image.Image) -> Image.Image: ...


@overload
def grayscale_to_rgb(inpt: ImageT) -> ImageT: ...


def grayscale_to_rgb(inpt: Any) -> Any:
    """Convert an image of one channel to three equal channels. Other images keep their channels, except PIL images.

    >>> grayscale_to_rgb(fb.tensor([[[0.5]]])).flatten()
    tensor([0.5000, 0.5000, 0.5000])
    """
    if isinstance(inpt, Image.Image):
        return inpt.convert("RGB")
    return F.rgb_to_grayscale(inpt, 3) if F.get_image_num_channels(inpt) == 1 else inpt


class RGB(Transform):
    """Convert images of one channel to three equal channels. See :func:`grayscale_to_rgb`.

    >>> RGB()(fb.tensor([[[0.5]]])).flatten()
    tensor([0.5000, 0.5000, 0.5000])
    >>> RGB()(Image.new("L", (4, 2))).mode
    'RGB'
    """

    def transform(self, image: Any) -> Any:
        return grayscale_to_rgb(image)
