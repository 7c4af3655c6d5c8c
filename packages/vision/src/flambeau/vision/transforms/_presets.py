"""Preprocessing of images for published weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import flambeau as fb
from flambeau import nn

from . import functional as F
from ._interpolation import InterpolationMode

__all__ = ["ImageClassification", "ObjectDetection", "SemanticSegmentation", "VideoClassification"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BILINEAR = InterpolationMode.BILINEAR


def _as_tensor(image: Any) -> fb.Tensor:
    """Convert an image to a float32 tensor in 0..1."""
    tensor = image if isinstance(image, fb.Tensor) else F.pil_to_tensor(image)
    return F.convert_image_dtype(tensor, fb.float32)


class ObjectDetection(nn.Module):
    """Convert an image to a tensor in 0..1. The detector itself does the remaining preprocessing."""

    def forward(self, img: Any) -> fb.Tensor:
        return _as_tensor(img)

    def describe(self) -> str:
        return "Images as tensors in [0.0, 1.0]."


class _Preset(nn.Module):
    """Base class of presets. ``shown`` lists the options that ``repr`` prints, one on each line."""

    shown: ClassVar[tuple[str, ...]] = ("crop_size", "resize_size", "mean", "std", "interpolation")

    def __repr__(self) -> str:
        lines = "".join(f"\n    {name}={getattr(self, name)}" for name in self.shown)
        return f"{type(self).__name__}({lines}\n)"


class ImageClassification(_Preset):
    """Resize an image, crop its centre, convert it to a tensor in 0..1, and normalise it.

    Args:
        crop_size: height and width of the result.
        resize_size: size of the shorter side before the crop.
        mean, std: mean and standard deviation of each channel.
        interpolation, antialias: as in ``Resize``.

    >>> import flambeau as fb
    >>> ImageClassification(crop_size=224)(fb.zeros(3, 300, 400, dtype=fb.uint8)).shape
    flambeau.Size([3, 224, 224])
    """

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: Sequence[float] = _MEAN,
        std: Sequence[float] = _STD,
        interpolation: InterpolationMode = _BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.crop_size = [crop_size]
        self.resize_size = [resize_size]
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation
        self.antialias = antialias

    def forward(self, img: Any) -> fb.Tensor:
        img = F.resize(img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias)
        img = F.center_crop(img, self.crop_size)
        result: fb.Tensor = F.normalize(_as_tensor(img), mean=self.mean, std=self.std)
        return result

    def describe(self) -> str:
        return (
            f"Images are resized to {self.resize_size} by {self.interpolation}, centre-cropped to {self.crop_size}, "
            f"brought to [0.0, 1.0] and normalised by mean={self.mean} and std={self.std}."
        )


class VideoClassification(_Preset):
    """Resize the frames of a video ``(..., T, C, H, W)``, crop their centre, scale to 0..1, and normalise.

    Args:
        crop_size: height and width of the result.
        resize_size: height and width before the crop, or one number for the shorter side.
        mean, std: mean and standard deviation of each channel.
        interpolation: as in ``Resize``, without antialiasing.

    Shapes: ``(T, C, H, W)`` gives ``(C, T, H, W)``, and ``(N, T, C, H, W)`` gives ``(N, C, T, H, W)``.
    """

    def __init__(
        self,
        *,
        crop_size: Sequence[int],
        resize_size: Sequence[int],
        mean: Sequence[float] = (0.43216, 0.394666, 0.37645),
        std: Sequence[float] = (0.22803, 0.22145, 0.216989),
        interpolation: InterpolationMode = _BILINEAR,
    ) -> None:
        super().__init__()
        self.crop_size = list(crop_size)
        self.resize_size = list(resize_size)
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation

    def forward(self, vid: fb.Tensor) -> fb.Tensor:
        images = vid.reshape(-1, *vid.shape[-3:])
        images = F.resize(images, self.resize_size, interpolation=self.interpolation, antialias=False)
        images = F.normalize(_as_tensor(F.center_crop(images, self.crop_size)), mean=self.mean, std=self.std)
        result: fb.Tensor = images.view(*vid.shape[:-2], *images.shape[-2:]).transpose(-4, -3)
        return result

    def describe(self) -> str:
        return (
            f"Images are resized to {self.resize_size} by {self.interpolation}, centre-cropped to {self.crop_size}, "
            f"brought to [0.0, 1.0] and normalised by mean={self.mean} and std={self.std}; time comes after channels."
        )


class SemanticSegmentation(_Preset):
    """Resize an image, convert it to a tensor in 0..1, and normalise it.

    Args:
        resize_size: size of the shorter side; None keeps the size.
        mean, std, interpolation, antialias: as in :class:`ImageClassification`.
    """

    shown: ClassVar[tuple[str, ...]] = ("resize_size", "mean", "std", "interpolation")

    def __init__(
        self,
        *,
        resize_size: int | None,
        mean: Sequence[float] = _MEAN,
        std: Sequence[float] = _STD,
        interpolation: InterpolationMode = _BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.resize_size = None if resize_size is None else [resize_size]
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation
        self.antialias = antialias

    def forward(self, img: Any) -> fb.Tensor:
        if self.resize_size is not None:
            img = F.resize(img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias)
        result: fb.Tensor = F.normalize(_as_tensor(img), mean=self.mean, std=self.std)
        return result

    def describe(self) -> str:
        return (
            f"Images are resized to {self.resize_size} by {self.interpolation}, brought to [0.0, 1.0] and normalised "
            f"by mean={self.mean} and std={self.std}."
        )
