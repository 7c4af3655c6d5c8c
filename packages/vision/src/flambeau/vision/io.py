"""Reading and writing of image files as uint8 tensors ``(C, H, W)`` with Pillow."""

from __future__ import annotations

import io
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import flambeau as fb


class ImageReadMode(Enum):
    """Channels of the decoded image: grey or RGB, with or without alpha, or unchanged as in the file."""

    UNCHANGED = None
    GRAY = "L"
    GRAY_ALPHA = "LA"
    RGB = "RGB"
    RGB_ALPHA = "RGBA"


_SUPPORTED_MODES = ("L", "LA", "RGB", "RGBA")


def read_image(path: str | Path, mode: ImageReadMode | str = ImageReadMode.UNCHANGED) -> fb.Tensor:
    """Read an image file of any format that Pillow supports.

    Args:
        path: path of the file.
        mode: an :class:`ImageReadMode` or its name.
    Returns: uint8 ``(1 to 4, H, W)``.
    Raises: FileNotFoundError; RuntimeError with the path if the file is damaged or not an image.
    """
    return decode_image(read_file(path), mode, name=str(path))


def decode_image(
    input: fb.Tensor | str | Path, mode: ImageReadMode | str = ImageReadMode.UNCHANGED, *, name: str = "the bytes"
) -> fb.Tensor:
    """Decode an image from the bytes of a file, or from a file.

    Args:
        input: the bytes, a uint8 tensor ``(length,)``, or the path of a file.
        mode: an :class:`ImageReadMode` or its name.
        name: description of the source in error messages.
    Returns: uint8 ``(1 to 4, H, W)``.
    """
    if not isinstance(input, fb.Tensor):
        return read_image(input, mode)
    if input.dtype is not fb.uint8 or input.ndim != 1 or input.numel() == 0:
        found = f"{input.dtype}, {list(input.shape)}"
        raise RuntimeError(f"Expected a non empty 1-dimensional tensor of uint8 with the bytes of a file, got {found}")
    wanted = ImageReadMode[mode] if isinstance(mode, str) else mode
    try:
        with Image.open(io.BytesIO(input.numpy().tobytes())) as image:
            image.load()
            channels = wanted.value or (image.mode if image.mode in _SUPPORTED_MODES else "RGB")
            pixels = np.array(image.convert(channels))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise RuntimeError(f"{name} cannot be decoded as an image: {error}") from error
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return fb.from_numpy(planes.copy())


def decode_png(input: fb.Tensor, mode: ImageReadMode | str = ImageReadMode.UNCHANGED) -> fb.Tensor:
    """Decode a PNG image. Same as :func:`decode_image`."""
    return decode_image(input, mode)


def decode_jpeg(input: fb.Tensor, mode: ImageReadMode | str = ImageReadMode.UNCHANGED) -> fb.Tensor:
    """Decode a JPEG image. Same as :func:`decode_image`."""
    return decode_image(input, mode)


def encode_png(input: fb.Tensor, compression_level: int = 6) -> fb.Tensor:
    """Encode an image as PNG and return the bytes, a uint8 tensor ``(length,)``.

    Args:
        input: uint8, ``(1, H, W)`` or ``(3, H, W)``.
        compression_level: 0 to 9.
    Raises: RuntimeError for an unsupported tensor or level.
    """
    if not 0 <= compression_level <= 9:
        raise RuntimeError(f"Compression level should be between 0 and 9, got {compression_level}")
    return _encoded(input, "PNG", compress_level=compression_level)


def encode_jpeg(input: fb.Tensor, quality: int = 75) -> fb.Tensor:
    """Encode an image as JPEG and return the bytes, a uint8 tensor ``(length,)``.

    Args:
        input: uint8, ``(1, H, W)`` or ``(3, H, W)``.
        quality: 1 to 100.
    Raises: ValueError for an unsupported quality, RuntimeError for an unsupported tensor.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"Image quality should be a positive number between 1 and 100, got {quality}")
    return _encoded(input, "JPEG", quality=quality)


def _encoded(input: fb.Tensor, format: str, **options: Any) -> fb.Tensor:
    if input.dtype is not fb.uint8 or input.ndim != 3 or input.shape[0] not in (1, 3):
        found = f"{input.dtype}, {list(input.shape)}"
        raise RuntimeError(f"Expected a tensor of uint8 [1, H, W] or [3, H, W] to encode, got {found}")
    pixels = np.ascontiguousarray(input.cpu().permute(1, 2, 0).numpy())
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if len(input) == 1 else pixels).save(buffer, format, **options)
    return fb.from_numpy(np.frombuffer(buffer.getvalue(), np.uint8).copy())


def write_png(input: fb.Tensor, filename: str | Path, compression_level: int = 6) -> None:
    """Write an image to a PNG file; see :func:`encode_png`."""
    write_file(filename, encode_png(input, compression_level))


def write_jpeg(input: fb.Tensor, filename: str | Path, quality: int = 75) -> None:
    """Write an image to a JPEG file; see :func:`encode_jpeg`."""
    write_file(filename, encode_jpeg(input, quality))


def read_file(path: str | Path) -> fb.Tensor:
    """Read the bytes of a file as a uint8 tensor ``(length,)``."""
    return fb.from_numpy(np.frombuffer(Path(path).read_bytes(), np.uint8).copy())


def write_file(filename: str | Path, data: fb.Tensor) -> None:
    """Write a uint8 tensor to a file as bytes. Raises: RuntimeError for another dtype."""
    if data.dtype is not fb.uint8:
        raise RuntimeError(f"Input tensor elements should be uint8, got {data.dtype}")
    Path(filename).write_bytes(data.cpu().numpy().tobytes())
