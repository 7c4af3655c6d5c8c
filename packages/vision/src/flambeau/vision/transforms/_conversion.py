"""Conversions between PIL images, arrays and tensors, and between their dtypes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from PIL import Image

import flambeau as fb
from flambeau import nn

from ._image import white_value

__all__ = ["convert_image_dtype", "pil_to_tensor", "to_pil_image", "to_tensor"]

_BANDS = {"L": 1, "RGB": 3, "RGBA": 4}  # number of bytes per pixel in the most common modes
_DTYPES = {"I": np.int32, "I;16": np.uint16, "F": np.float32, "1": np.uint8}


def to_tensor(pic: Image.Image | np.ndarray) -> fb.Tensor:
    """Convert an image to a tensor ``(C, H, W)``. uint8 values are scaled to float values in 0..1.

    Images of other dtypes keep their values and dtype: PIL's modes I, I;16 and F give int32, uint16 and float32.

    Args:
        pic: a PIL image, or an array ``(H, W)`` or ``(H, W, C)``.
    Raises: TypeError for other types, ValueError for an array that does not have 2 or 3 dimensions.

    >>> import numpy
    >>> to_tensor(numpy.array([[0, 255]], dtype=numpy.uint8))
    tensor([[[0., 1.]]])
    """
    array = _as_array(pic)
    planes = _planes(array)
    if array.dtype == np.uint8:
        return fb.div(planes, 255, out=fb.empty(planes.shape, device=planes.device))
    return planes.clone(memory_format=fb.contiguous_format)


def pil_to_tensor(pic: Image.Image) -> fb.Tensor:
    """Convert a PIL image to a tensor ``(C, H, W)`` of the same values, uint8 for most modes and bool for mode 1.

    As in torchvision, the channels of a pixel are adjacent in memory.

    Raises: TypeError if ``pic`` is not a PIL image.
    """
    if not isinstance(pic, Image.Image):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    return _planes(np.asarray(pic) if pic.mode == "1" else _as_array(pic)).clone()


def _as_array(pic: Any) -> np.ndarray:
    """Return the elements of a PIL image or an array. Raises: TypeError with the remedy for other objects."""
    if isinstance(pic, Image.Image):
        bands = _BANDS.get(pic.mode)
        if bands is not None and pic.width and pic.height:
            # This has the same result as np.asarray, but takes half the time.
            flat = np.frombuffer(pic.tobytes(), np.uint8)
            return flat.reshape((pic.height, pic.width) if bands == 1 else (pic.height, pic.width, bands))
        array = np.asarray(pic, dtype=_DTYPES.get(pic.mode, np.uint8))
        return array * np.uint8(255) if pic.mode == "1" else array
    if not isinstance(pic, np.ndarray):
        hint = ""
        if isinstance(pic, fb.Tensor):
            hint = ", which needs no conversion"
        elif isinstance(pic, str | os.PathLike):
            hint = f"; open the file first: PIL.Image.open({os.fspath(pic)!r})"
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}{hint}")
    if pic.ndim not in (2, 3):
        raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions, shape {list(pic.shape)}.")
    return pic


def _planes(array: np.ndarray) -> fb.Tensor:
    if min(array.strides, default=0) < 0:
        array = np.ascontiguousarray(array)
    tensor = fb.from_numpy(array)
    return tensor[None] if array.ndim == 2 else tensor.permute(2, 0, 1)


def convert_image_dtype(image: fb.Tensor, dtype: fb.dtype = fb.float32) -> fb.Tensor:
    """Convert a tensor to another dtype, and scale its values from the range of the old dtype to the new dtype's range.

    The range is from 0 to 1 for floating-point dtypes, and from 0 to the largest value for integer dtypes.

    Args:
        image: tensor of any shape.
        dtype: the new dtype, floating or integer.
    Raises: TypeError for an argument that is not a tensor; RuntimeError for a conversion from a floating dtype to an
        integer dtype with less precision.

    >>> convert_image_dtype(fb.tensor([0, 51, 255], dtype=fb.uint8))
    tensor([0.0000, 0.2000, 1.0000])
    """
    if not isinstance(image, fb.Tensor):
        raise TypeError(f"Input img should be Tensor Image, got {type(image).__name__}")
    if image.dtype is dtype:
        return image
    if image.dtype.is_floating_point:
        return image.to(dtype) if dtype.is_floating_point else _quantized(image, dtype)
    largest = white_value(image.dtype)
    if dtype.is_floating_point:
        return image.to(dtype) / largest
    goal = white_value(dtype)
    if largest > goal:
        return fb.div(image, (largest + 1) // (goal + 1), rounding_mode="trunc").to(dtype)
    return image.to(dtype) * ((goal + 1) // (largest + 1))


def _quantized(image: fb.Tensor, dtype: fb.dtype) -> fb.Tensor:
    too_fine = (fb.int32, fb.int64) if image.dtype is not fb.float64 else (fb.int64,)
    if dtype in too_fine:
        raise RuntimeError(f"The cast from {image.dtype} to {dtype} cannot be performed safely.")
    # The factor is slightly below the number of integers, so that each integer gets an equal part of 0..1.
    return (image * (white_value(dtype) + 1.0 - 1e-3)).to(dtype)


def to_pil_image(pic: fb.Tensor | np.ndarray, mode: str | None = None) -> Image.Image:
    """Convert a tensor ``(C, H, W)`` or ``(H, W)``, or an array ``(H, W, C)`` or ``(H, W)``, to a PIL image.

    Args:
        pic: image of 1 to 4 channels; floating tensors in 0..1 are scaled to 0..255 unless the mode is F.
        mode: mode of the PIL image. None selects L, LA, RGB or RGBA from the number of channels, or I, I;16 or F from
            the dtype of a single channel.
    Raises: TypeError for an unsupported dtype or type, ValueError for an unsupported shape or an incompatible mode.

    >>> to_pil_image(fb.ones(3, 4, 5)).getpixel((0, 0))
    (255, 255, 255)
    """
    array = _channels_last(pic, mode)
    channels = array.shape[2]
    if channels == 1:
        array = array[..., 0]
        default_mode = {"uint8": "L", "int16": "I;16", "uint16": "I;16", "int32": "I", "float32": "F"}.get(
            array.dtype.name
        )
        if default_mode is None:
            raise TypeError(f"Input type {array.dtype} is not supported")
        if mode is not None and mode != default_mode and not (mode in ("1", "P") and default_mode == "L"):
            raise ValueError(f"Incorrect mode ({mode}) supplied for input type {array.dtype}. Should be {default_mode}")
        return Image.fromarray(array.view(np.uint16) if default_mode == "I;16" else array)
    if array.dtype != np.uint8:
        raise TypeError(f"Input type {array.dtype} is not supported")
    permitted = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}[channels]
    if mode is not None and mode not in permitted:
        raise ValueError(f"Only modes {list(permitted)} are supported for {channels}-channel inputs, got {mode}")
    return Image.frombytes(mode or permitted[0], (array.shape[1], array.shape[0]), array.tobytes())


def _channels_last(pic: Any, mode: str | None) -> np.ndarray:
    if not isinstance(pic, fb.Tensor | np.ndarray):
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if pic.ndim not in (2, 3):
        raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
    if isinstance(pic, fb.Tensor):
        planes = pic.detach().cpu() if pic.ndim == 3 else pic.detach().cpu()[None]
        if planes.dtype.is_floating_point and mode != "F":
            planes = (planes * 255).to(fb.uint8)
        array = planes.permute(1, 2, 0).numpy()
    else:
        array = pic if pic.ndim == 3 else pic[:, :, None]
    if array.shape[2] not in (1, 2, 3, 4):
        raise ValueError(f"pic should have 1 to 4 channels. Got {array.shape[2]} channels.")
    return np.ascontiguousarray(array)


class ToTensor:
    """Convert an image to a tensor ``(C, H, W)``, and uint8 to float values in 0..1. See :func:`~functional.to_tensor`.

    >>> from PIL import Image
    >>> tensor = ToTensor()(Image.new("RGB", (4, 2), "red"))
    >>> tensor.shape, tensor[:, 0, 0]
    (flambeau.Size([3, 2, 4]), tensor([1., 0., 0.]))
    """

    def __call__(self, pic: Image.Image | np.ndarray) -> fb.Tensor:
        return to_tensor(pic)

    def __repr__(self) -> str:
        return "ToTensor()"


class PILToTensor:
    """Convert a PIL image to a tensor ``(C, H, W)`` of the same values. See :func:`~functional.pil_to_tensor`.

    >>> from PIL import Image
    >>> tensor = PILToTensor()(Image.new("RGB", (4, 2), "red"))
    >>> tensor.shape, tensor[:, 0, 0]
    (flambeau.Size([3, 2, 4]), tensor([255,   0,   0], dtype=flambeau.uint8))
    """

    def __call__(self, pic: Image.Image) -> fb.Tensor:
        return pil_to_tensor(pic)

    def __repr__(self) -> str:
        return "PILToTensor()"


class ConvertImageDtype(nn.Module):
    """Convert a tensor to another dtype and scale its values. See :func:`~functional.convert_image_dtype`.

    >>> ConvertImageDtype(fb.float32)(fb.tensor([[0, 255]], dtype=fb.uint8))
    tensor([[0., 1.]])
    """

    def __init__(self, dtype: fb.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, image: fb.Tensor) -> fb.Tensor:
        return convert_image_dtype(image, self.dtype)

    def extra_repr(self) -> str:
        return f"dtype={self.dtype}"


class ToPILImage:
    """Convert a tensor or an array to a PIL image. See :func:`~functional.to_pil_image`.

    Args:
        mode: mode of the PIL image, such as ``"RGB"``. None selects it from the number of channels and the dtype.

    >>> image = ToPILImage()(fb.zeros(3, 2, 4))
    >>> image.mode, image.size
    ('RGB', (4, 2))
    """

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: fb.Tensor | np.ndarray) -> Image.Image:
        return to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        return f"ToPILImage({'' if self.mode is None else f'mode={self.mode}'})"
