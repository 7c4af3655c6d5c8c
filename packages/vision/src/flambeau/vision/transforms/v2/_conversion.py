"""To tensors, and between their dtypes, in v2's steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

import flambeau as fb

from .. import functional as F
from ._transform import Transform


def to_image(inpt: Any) -> fb.Tensor:
    """A PIL image or an array ``(H, W)`` or ``(H, W, C)`` as a tensor ``(C, H, W)`` of the same numbers.

    A tensor ``(H, W)`` becomes ``(1, H, W)``; others stay.
    Raises: TypeError for anything else.
    """
    if isinstance(inpt, Image.Image):
        return F.pil_to_tensor(inpt)
    if isinstance(inpt, np.ndarray):
        return fb.from_numpy(np.atleast_3d(inpt).transpose(2, 0, 1).copy())
    if isinstance(inpt, fb.Tensor):
        return inpt[None] if inpt.ndim == 2 else inpt
    raise TypeError(f"Input can either be a pure Tensor, a numpy array, or a PIL image, but got {type(inpt)} instead.")


def to_dtype(inpt: fb.Tensor, dtype: fb.dtype = fb.float32, scale: bool = False) -> fb.Tensor:
    """A tensor in another dtype: white stays white if ``scale``, else the numbers stay the same."""
    return F.convert_image_dtype(inpt, dtype) if scale else inpt.to(dtype)


class ToImage(Transform):
    """PIL images and arrays as tensors ``(C, H, W)`` of the same numbers: :func:`to_image`."""

    def transform(self, image: Any) -> fb.Tensor:
        return to_image(image)


class ToDtype(Transform):
    """Tensors in another dtype: :func:`to_dtype`. With ``scale=False``, the default, labels stay as they are too."""

    def __init__(self, dtype: fb.dtype, scale: bool = False) -> None:
        super().__init__()
        self.dtype = dtype
        self.scale = scale

    def transform(self, image: Any) -> Any:
        return to_dtype(image, self.dtype, self.scale) if isinstance(image, fb.Tensor) else image

    def extra_repr(self) -> str:
        return f"dtype={self.dtype}, scale={self.scale}"


class ToPureTensor(Transform):
    """Samples as they are: tensors have no other kinds here."""

    def transform(self, image: Any) -> Any:
        return image


class Identity(Transform):
    """Samples as they are."""

    def transform(self, image: Any) -> Any:
        return image


class RGB(Transform):
    """Images of one channel with three alike."""

    def transform(self, image: Any) -> Any:
        if isinstance(image, Image.Image):
            return image.convert("RGB")
        return F.rgb_to_grayscale(image, 3) if F.get_image_num_channels(image) == 1 else image
