"""Transforms of samples that change the values of pixels: mixtures of images, noise, and random colours."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

import numpy as np
from PIL import Image

import flambeau as fb
from flambeau import nn

from .. import _random, functional as F
from .._arguments import check_probability, interval
from .._image import as_batch, like_image, on_planes, white_value
from ._transform import Transform

__all__ = ["gaussian_noise", "jpeg", "permute_channels"]

ImageT = TypeVar("ImageT")


class _Mixture(nn.Module):
    """Base class of transforms that mix each image and label of a batch with the previous image and label.

    Args:
        alpha: value of both parameters of the Beta distribution of the mixing factor.
        num_classes: number of classes; may be None if labels are one-hot or probabilities.
    """

    def __init__(self, *, alpha: float = 1.0, num_classes: int | None = None) -> None:
        super().__init__()
        if alpha <= 0:
            raise ValueError(f"alpha should be positive, got {alpha}")
        self.alpha = alpha
        self.num_classes = num_classes

    def mixed(self, images: fb.Tensor, share: float) -> tuple[fb.Tensor, float]:
        """Return the mixed images and the weight of each image in its mixture. ``share`` is the drawn weight."""
        raise NotImplementedError

    def forward(self, images: fb.Tensor, labels: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
        if not isinstance(images, fb.Tensor) or images.ndim != 4:
            found = list(images.shape) if isinstance(images, fb.Tensor) else type(images)
            raise ValueError(f"{type(self).__name__} expects a batch of images [N, C, H, W], got {found}")
        if len(labels) != len(images) or labels.ndim not in (1, 2):
            raise ValueError(
                f"labels should have shape [{len(images)}] or [{len(images)}, classes], got {list(labels.shape)}"
            )
        if labels.ndim == 1 and self.num_classes is None:
            raise ValueError("num_classes must be passed if the labels are index-based (0 to num_classes - 1)")
        share = float(fb._sample_dirichlet(fb.full((2,), self.alpha))[0])
        images, share = self.mixed(images, share)
        if labels.ndim == 1:
            labels = nn.functional.one_hot(labels, self.num_classes or -1).to(fb.get_default_dtype())
        return images, labels * share + labels.roll(1, 0) * (1.0 - share)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, num_classes={self.num_classes}"


class MixUp(_Mixture):
    """Blend each image and label of a batch with another image and label.

    Args: ``alpha``, parameter of the Beta distribution of the mixing factor; ``num_classes``, for labels as indices.
    Shapes: images ``(N, C, H, W)``, and labels ``(N,)`` or ``(N, classes)``. The new labels are ``(N, classes)``.
    Source: Zhang et al. 2017, arXiv:1710.09412.

    >>> images, labels = MixUp(num_classes=3)(fb.rand(2, 3, 8, 8), fb.tensor([0, 2]))
    >>> images.shape, labels.shape, labels.sum(1)
    (flambeau.Size([2, 3, 8, 8]), flambeau.Size([2, 3]), tensor([1., 1.]))
    """

    def mixed(self, images: fb.Tensor, share: float) -> tuple[fb.Tensor, float]:
        return images * share + images.roll(1, 0) * (1.0 - share), share


class CutMix(_Mixture):
    """Replace a rectangle of each image of a batch with a part of another image, and mix the labels by area.

    Args: ``alpha``, parameter of the Beta distribution of the mixing factor; ``num_classes``, for labels as indices.
    Shapes: images ``(N, C, H, W)``, and labels ``(N,)`` or ``(N, classes)``. The new labels are ``(N, classes)``.
    Source: Yun et al. 2019, arXiv:1905.04899.

    >>> _ = fb.manual_seed(1)
    >>> images = fb.tensor([1, 2]).view(2, 1, 1, 1).expand(2, 1, 3, 4)
    >>> images, labels = CutMix(num_classes=2)(images, fb.tensor([0, 1]))
    >>> images[0], labels[0]
    (tensor([[[1, 1, 1, 1],
             [2, 2, 1, 1],
             [2, 2, 1, 1]]]), tensor([0.6667, 0.3333]))
    """

    def mixed(self, images: fb.Tensor, share: float) -> tuple[fb.Tensor, float]:
        height, width = images.shape[-2:]
        x, y = _random.integer(0, width), _random.integer(0, height)
        half = 0.5 * (1.0 - share) ** 0.5
        left, right = max(x - int(half * width), 0), min(x + int(half * width), width)
        top, bottom = max(y - int(half * height), 0), min(y + int(half * height), height)
        result = images.clone()
        result[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
        return result, 1.0 - (right - left) * (bottom - top) / (width * height)


def gaussian_noise(inpt: ImageT, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> ImageT:
    """Add normal noise to an image.

    Mean and deviation are relative to white: 1 for floating dtypes, the largest value for integer dtypes. The noise for
    integer dtypes is truncated to integers.

    Args:
        inpt: tensor ``(..., H, W)``, or array ``(H, W)`` or ``(H, W, C)``.
        mean, sigma: mean and standard deviation of the noise, as fractions of white.
        clip: if True, clip the result to the range from black to white.
    Raises: ValueError for a negative ``sigma``; TypeError for PIL images.

    >>> gaussian_noise(fb.zeros(1, 2), mean=0.5, sigma=0.0)
    tensor([[0.5000, 0.5000]])
    """
    if sigma < 0:
        raise ValueError(f"sigma shouldn't be negative. Got {sigma}")
    if isinstance(inpt, Image.Image):
        raise TypeError("GaussianNoise expects a tensor or an array, got a PIL image; put ToImage() before it")

    def noisy(planes: fb.Tensor) -> fb.Tensor:
        bound = white_value(planes.dtype)
        is_float = planes.is_floating_point()
        noise = fb.randn_like(planes, dtype=planes.dtype if is_float else fb.float32) * (sigma * bound) + mean * bound
        result = planes + (noise if is_float else noise.to(fb.int64))
        return (result.clamp(0, bound) if clip else result).to(planes.dtype)

    result: ImageT = on_planes(inpt, noisy)
    return result


class GaussianNoise(Transform):
    """Add normal noise to tensors and arrays. White is 1 for floating dtypes and 255 for uint8.

    Args:
        mean, sigma: mean and standard deviation of the noise, as fractions of white.
        clip: if True, clip the result to the range from black to white.
    Raises: ValueError for a negative ``sigma``; TypeError for PIL images.

    >>> _ = fb.manual_seed(0)
    >>> GaussianNoise(sigma=0.1)(fb.full((1, 1, 4), 0.5))
    tensor([[[0.4878, 0.4918, 0.6776, 0.4453]]])
    """

    def __init__(self, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> None:
        super().__init__()
        if sigma < 0:
            raise ValueError(f"sigma shouldn't be negative. Got {sigma}")
        self.mean = mean
        self.sigma = sigma
        self.clip = clip

    def transform(self, image: Any) -> Any:
        return gaussian_noise(image, self.mean, self.sigma, self.clip)

    def extra_repr(self) -> str:
        return f"mean={self.mean}, sigma={self.sigma}, clip={self.clip}"


@overload
def jpeg(image: Image.Image, quality: int) -> Image.Image: ...


@overload
def jpeg(image: ImageT, quality: int) -> ImageT: ...


def jpeg(image: Any, quality: int) -> Any:
    """Compress an image as JPEG and decompress it, with Pillow.

    Args:
        image: PIL image of mode L or RGB; or uint8 tensor ``(..., C, H, W)`` or array ``(H, W, C)`` of 1 or 3 channels.
        quality: from 1 (the smallest file) to 100 (the least loss).
    Raises: TypeError for an unsupported dtype; OSError for a wrong number of channels.

    >>> blurred = jpeg(fb.tensor([[[0, 0, 255, 255]]], dtype=fb.uint8), quality=5)
    >>> blurred.shape, blurred.dtype
    (flambeau.Size([1, 1, 4]), flambeau.uint8)
    """
    if isinstance(image, Image.Image):
        with io.BytesIO() as file:
            image.save(file, "JPEG", quality=quality)
            return Image.open(file).convert(image.mode)

    def compressed(planes: fb.Tensor) -> fb.Tensor:
        if planes.dtype is not fb.uint8:
            raise TypeError(f"Only uint8 image tensors are supported, but found {planes.dtype}")
        if planes.numel() == 0:
            return planes.clone()
        images = [F.pil_to_tensor(jpeg(F.to_pil_image(each), quality)) for each in as_batch(planes)]
        return fb.stack(images).reshape(planes.shape).to(planes.device)

    return on_planes(image, compressed)


class JPEG(Transform):
    """Compress and decompress images as JPEG with a random quality. See :func:`jpeg`.

    Args:
        quality: from 1 (the smallest file) to 100 (the least loss), or a pair of the lowest and the highest quality.
    Raises: TypeError or ValueError for an unsupported ``quality``.
    Source: ITU-T T.81 (1992); as augmentation Hendrycks, Dietterich 2019, arXiv:1903.12261.

    >>> image, label = JPEG(90)(fb.zeros(3, 8, 8, dtype=fb.uint8), 7)
    >>> image.unique(), label
    (tensor([0], dtype=flambeau.uint8), 7)
    """

    def __init__(self, quality: int | Sequence[int]) -> None:
        super().__init__()
        bounds = list(quality) if isinstance(quality, Sequence) else [quality, quality]
        if len(bounds) != 2 or not all(type(bound) is int for bound in bounds):
            raise TypeError(f"quality must be an integer or a pair of integers, got {quality!r}")
        if not 1 <= bounds[0] <= bounds[1] <= 100:
            raise ValueError(f"quality must be an integer from 1 to 100, got {quality=}")
        self.quality = bounds

    def transform(self, image: Any) -> Any:
        return jpeg(image, _random.integer(self.quality[0], self.quality[1] + 1))

    def extra_repr(self) -> str:
        return f"quality={self.quality}"


@overload
def permute_channels(inpt: Image.Image, permutation: Sequence[int]) -> Image.Image: ...


@overload
def permute_channels(inpt: ImageT, permutation: Sequence[int]) -> ImageT: ...


def permute_channels(inpt: Any, permutation: Sequence[int]) -> Any:
    """Reorder the channels of an image.

    Args:
        inpt: PIL image, tensor ``(..., C, H, W)`` or array ``(H, W, C)``.
        permutation: for each channel of the result, the index of its source.
    Raises: ValueError if there are not as many indices as channels.

    >>> permute_channels(fb.tensor([[[1]], [[2]], [[3]]]), [2, 1, 0]).flatten()
    tensor([3, 2, 1])
    """
    channels = F.get_image_num_channels(inpt)
    if len(permutation) != channels:
        raise ValueError(
            f"Length of permutation is expected to match number of channels, but got {len(permutation)} != {channels}"
        )
    if isinstance(inpt, Image.Image):
        bands = inpt.split()
        return Image.merge(inpt.mode, [bands[index] for index in permutation])
    if inpt.ndim == 2:
        return inpt
    if isinstance(inpt, np.ndarray):
        return inpt[..., list(permutation)]
    return like_image(inpt.index_select(-3, fb.tensor(permutation, device=inpt.device)), inpt)


class RandomChannelPermutation(Transform):
    """Change the order of the channels of images at random. See :func:`permute_channels`.

    >>> _ = fb.manual_seed(0)
    >>> RandomChannelPermutation()(fb.tensor([[[1]], [[2]], [[3]]])).flatten()
    tensor([2, 1, 3])
    """

    def transform(self, image: Any) -> Any:
        return permute_channels(image, fb.randperm(F.get_image_num_channels(image)).tolist())


class RandomPhotometricDistort(Transform):
    """Change brightness, contrast, saturation, hue and the order of the channels, each with probability ``p``.

    Args:
        brightness, contrast, saturation, hue: ranges ``(min, max)``, as for :class:`ColorJitter`.
        p: the probability.
    Source: Liu et al. 2015, arXiv:1512.02325.

    >>> image, label = RandomPhotometricDistort()(fb.rand(3, 8, 8), 7)
    >>> image.shape, label
    (flambeau.Size([3, 8, 8]), 7)
    """

    def __init__(
        self,
        brightness: tuple[float, float] = (0.875, 1.125),
        contrast: tuple[float, float] = (0.5, 1.5),
        saturation: tuple[float, float] = (0.5, 1.5),
        hue: tuple[float, float] = (-0.05, 0.05),
        p: float = 0.5,
    ) -> None:
        super().__init__()
        factors = (0.0, float("inf"))
        self.brightness = interval(brightness, "brightness", 1.0, factors)
        self.contrast = interval(contrast, "contrast", 1.0, factors)
        self.saturation = interval(saturation, "saturation", 1.0, factors)
        self.hue = interval(hue, "hue", 0.0, (-0.5, 0.5))
        self.p = check_probability(p)

    def _drawn(self, function: Callable[[Any, float], Any], bounds: tuple[float, float]) -> Callable[[Any], Any]:
        """Return the function with a random factor, or the identity."""
        factor = _random.uniform(*bounds) if _random.draw_bool(self.p) else None
        return lambda image: image if factor is None else function(image, factor)

    def transform(self, image: Any) -> Any:
        brightness = self._drawn(F.adjust_brightness, self.brightness)
        contrast = self._drawn(F.adjust_contrast, self.contrast)
        saturation = self._drawn(F.adjust_saturation, self.saturation)
        hue = self._drawn(F.adjust_hue, self.hue)
        colours = [contrast, saturation, hue] if _random.draw_bool(0.5) else [saturation, hue, contrast]
        permutes = _random.draw_bool(self.p)
        permutation = fb.randperm(F.get_image_num_channels(image)).tolist() if permutes else None
        for step in (brightness, *colours):
            image = step(image)
        return permute_channels(image, permutation) if permutation is not None else image

    def extra_repr(self) -> str:
        names = ("brightness", "contrast", "saturation", "hue", "p")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)
