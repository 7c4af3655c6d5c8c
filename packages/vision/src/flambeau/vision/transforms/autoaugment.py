"""Augmentation by policies: AutoAugment, RandAugment, TrivialAugment and AugMix.

Each policy draws operations from a table. The strength of an operation is a fraction of its range. Tensors and arrays
must be uint8 with 1 or 3 channels; PIL images must have the mode L or RGB.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

import flambeau as fb
from flambeau import nn

from .. import tv_tensors
from . import _random
from ._augmentation_policies import POLICIES, AutoAugmentPolicy
from ._blur import adjust_sharpness
from ._colour import adjust_brightness, adjust_contrast, adjust_saturation
from ._conversion import pil_to_tensor, to_pil_image
from ._image import height_and_width, white_value
from ._interpolation import InterpolationMode, interpolation_mode
from ._pad import fill_for
from ._tone import autocontrast, equalize, invert, posterize, solarize
from ._warp import affine, rotate

Operation = Callable[[Any, float, InterpolationMode, Any], Any]


def _sheared(along_x: bool) -> Operation:
    def operation(img: Any, strength: float, mode: InterpolationMode, fill: Any) -> Any:
        degrees = math.degrees(math.atan(strength))
        shear = [degrees, 0.0] if along_x else [0.0, degrees]
        return affine(img, 0.0, [0, 0], 1.0, shear, mode, fill, center=[0, 0])

    return operation


def _moved(along_x: bool) -> Operation:
    def operation(img: Any, strength: float, mode: InterpolationMode, fill: Any) -> Any:
        translate = [int(strength), 0] if along_x else [0, int(strength)]
        return affine(img, 0.0, translate, 1.0, [0.0, 0.0], mode, fill)

    return operation


OPERATIONS: dict[str, Operation] = {
    "Identity": lambda img, strength, mode, fill: img,
    "ShearX": _sheared(along_x=True),
    "ShearY": _sheared(along_x=False),
    "TranslateX": _moved(along_x=True),
    "TranslateY": _moved(along_x=False),
    "Rotate": lambda img, strength, mode, fill: rotate(img, strength, mode, fill=fill),
    "Brightness": lambda img, strength, mode, fill: adjust_brightness(img, 1.0 + strength),
    "Color": lambda img, strength, mode, fill: adjust_saturation(img, 1.0 + strength),
    "Contrast": lambda img, strength, mode, fill: adjust_contrast(img, 1.0 + strength),
    "Sharpness": lambda img, strength, mode, fill: adjust_sharpness(img, 1.0 + strength),
    "Posterize": lambda img, strength, mode, fill: posterize(img, int(strength)),
    "Solarize": lambda img, strength, mode, fill: solarize(img, strength),
    "AutoContrast": lambda img, strength, mode, fill: autocontrast(img),
    "Equalize": lambda img, strength, mode, fill: equalize(img),
    "Invert": lambda img, strength, mode, fill: invert(img),
}

# For each operation, the range of its strength. If the range begins at 0, the sign is random. None: no strength.
Ranges = dict[str, tuple[float, float] | None]
_IDENTITY: Ranges = {"Identity": None}


def _ranges(
    shear: float, moves: tuple[float, float], angle: float, colour: float | None, posterize: tuple[float, float]
) -> Ranges:
    ranges: Ranges = {
        "ShearX": (0.0, shear),
        "ShearY": (0.0, shear),
        "TranslateX": (0.0, moves[0]),
        "TranslateY": (0.0, moves[1]),
        "Rotate": (0.0, angle),
    }
    if colour is not None:
        ranges |= _colours(colour)
    return ranges | {"Posterize": posterize, "Solarize": (255.0, 0.0), "AutoContrast": None, "Equalize": None}


def _is_signed(bounds: tuple[float, float]) -> bool:
    return bounds[0] == 0.0


def _colours(strongest: float) -> Ranges:
    return dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), (0.0, strongest))


class _Augmentation(nn.Module):
    """Base class of policies: stores interpolation and fill, and applies operations drawn from a table.

    Random numbers are drawn in the order of torchvision, where ``transforms`` and ``transforms.v2`` differ.
    """

    of_samples = False  # True in the classes of transforms.v2

    def __init__(self, interpolation: InterpolationMode, fill: Any) -> None:
        super().__init__()
        self.interpolation = interpolation_mode(interpolation)
        self.fill = fill

    def _one_of(self, img: Any, ranges: Ranges, count: int, level: Callable[[], int]) -> Any:
        """Apply a random operation of a table with a random sign.

        Args:
            ranges: the table.
            count: number of strength levels.
            level: function that returns the strength level of the operation.
        """
        name = list(ranges)[_random.integer(0, len(ranges))]
        bounds = ranges[name]
        if bounds is None:
            return self._applied(img, name, 0.0)
        strength = self._strength(img, name, bounds, level(), count)
        return self._applied(img, name, -strength if _is_signed(bounds) and self._draw_negative() else strength)

    def _strength(self, img: Any, name: str, bounds: tuple[float, float], level: int, count: int) -> float:
        """Return the strength of a level, of which there are ``count`` between two bounds."""
        low, high = bounds
        if name == "Posterize":
            return round(low + (high - low) * level / max(1, count - 1))
        if name == "Solarize" and self.of_samples:
            white = white_value(img.dtype) if isinstance(img, fb.Tensor) else 255
            return white * float(fb.linspace(1.0, 0.0, count)[level])
        return float(fb.linspace(low, high, count)[level])

    def _draw_negative(self) -> bool:
        return _random.uniform() <= 0.5 if self.of_samples else _random.integer(0, 2) == 1

    def _applied(self, img: Any, name: str, strength: float) -> Any:
        return OPERATIONS[name](img, strength, self.interpolation, fill_for(self.fill, img))


class AutoAugment(_Augmentation):
    """Apply two operations, drawn from a learned policy.

    Args:
        policy: the dataset of the policy, an :class:`AutoAugmentPolicy`.
        interpolation, fill: as for :func:`~functional.affine`.

    Source: Cubuk et al. 2018, arXiv:1805.09501.

    >>> augment = AutoAugment(AutoAugmentPolicy.CIFAR10)
    >>> augment(fb.zeros(3, 32, 32, dtype=fb.uint8)).shape
    flambeau.Size([3, 32, 32])
    """

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if policy not in POLICIES:
            raise ValueError(f"The provided policy {policy} is not recognized.")
        self.policy = policy
        self.policies = POLICIES[policy]

    def forward(self, img: Any) -> Any:
        height, width = height_and_width(img)
        ranges = _ranges(0.3, (150 / 331 * width, 150 / 331 * height), 30.0, 0.9, (8.0, 4.0)) | {"Invert": None}
        policy = self.policies[_random.integer(0, len(self.policies))]
        chances, signs = ([], []) if self.of_samples else (fb.rand(2).tolist(), fb.randint(0, 2, (2,)).tolist())
        for index, (name, probability, level) in enumerate(policy):
            if (_random.uniform() if self.of_samples else chances[index]) > probability:
                continue
            bounds, strength = ranges[name], 0.0
            if bounds is not None and level is not None:
                strength = self._strength(img, name, bounds, level, 10)
                if _is_signed(bounds) and (self._draw_negative() if self.of_samples else signs[index] == 0):
                    strength = -strength
            img = self._applied(img, name, strength)
        return img

    def __repr__(self) -> str:
        return f"AutoAugment(policy={self.policy}, fill={self.fill})"


class RandAugment(_Augmentation):
    """Apply random operations of the same strength.

    Args:
        num_ops: number of operations.
        magnitude: strength of the operations, below ``num_magnitude_bins``.
        num_magnitude_bins: number of strength levels.
        interpolation, fill: as for :func:`~functional.affine`.
    Raises: ValueError if ``magnitude`` is not below ``num_magnitude_bins``.

    Source: Cubuk et al. 2019, arXiv:1909.13719.

    >>> from PIL import Image
    >>> RandAugment(num_ops=2, magnitude=9)(Image.new("RGB", (32, 24))).size
    (32, 24)
    """

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not 0 <= magnitude < num_magnitude_bins:
            raise ValueError(f"magnitude should be from 0 to below {num_magnitude_bins}, got {magnitude}")
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img: Any) -> Any:
        height, width = height_and_width(img)
        moves = (150 / 331 * width, 150 / 331 * height)
        ranges = _IDENTITY | _ranges(0.3, moves, 30.0, 0.9, (8.0, 4.0))
        for _ in range(self.num_ops):
            img = self._one_of(img, ranges, self.num_magnitude_bins, lambda: self.magnitude)
        return img

    def __repr__(self) -> str:
        return (
            f"RandAugment(num_ops={self.num_ops}, magnitude={self.magnitude}, "
            f"num_magnitude_bins={self.num_magnitude_bins}, interpolation={self.interpolation}, fill={self.fill})"
        )


class TrivialAugmentWide(_Augmentation):
    """Apply one random operation of random strength, from wide ranges.

    Args:
        num_magnitude_bins: number of strength levels.
        interpolation, fill: as for :func:`~functional.affine`.

    Source: Müller and Hutter 2021, arXiv:2103.10158.

    >>> from flambeau.vision.datasets import Digits
    >>> image, label = Digits(transform=TrivialAugmentWide())[0]
    >>> image.size, label
    ((8, 8), 2)
    """

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img: Any) -> Any:
        ranges = _IDENTITY | _ranges(0.99, (32.0, 32.0), 135.0, 0.99, (8.0, 2.0))
        count = self.num_magnitude_bins
        return self._one_of(img, ranges, count, lambda: _random.integer(0, count))

    def __repr__(self) -> str:
        return (
            f"TrivialAugmentWide(num_magnitude_bins={self.num_magnitude_bins}, interpolation={self.interpolation}, "
            f"fill={self.fill})"
        )


_SEVEREST = 10


class AugMix(_Augmentation):
    """Mix an image with the results of several chains of random operations on this image.

    Args:
        severity: severity of the operations, 1 to 10.
        mixture_width: number of chains.
        chain_depth: number of operations in a chain; negative for a random number from 1 to 3.
        alpha: parameter of the Dirichlet and Beta distributions of the weights.
        all_ops: if True, include colour operations.
        interpolation, fill: as for :func:`~functional.affine`.
    Raises: ValueError for an unsupported severity.

    Source: Hendrycks et al. 2019, arXiv:1912.02781.

    >>> AugMix(severity=3)(fb.zeros(3, 32, 32, dtype=fb.uint8)).dtype
    flambeau.uint8
    """

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not 1 <= severity <= _SEVEREST:
            raise ValueError(f"The severity must be between [1, {_SEVEREST}]. Got {severity} instead.")
        self.severity = severity
        self.mixture_width = mixture_width
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops

    def forward(self, img: Any) -> Any:
        if isinstance(img, Image.Image):
            return to_pil_image(self._mixed(pil_to_tensor(img)))
        if isinstance(img, np.ndarray):
            planes = fb.from_numpy(img if img.ndim == 3 else img[:, :, None]).permute(2, 0, 1)
            return self._mixed(planes).permute(1, 2, 0).numpy().reshape(img.shape)
        return self._mixed(img)

    def _mixed(self, planes: fb.Tensor) -> fb.Tensor:
        height, width = height_and_width(planes)
        ranges = _ranges(0.3, (width / 3, height / 3), 30.0, None, (4.0, 0.0)) | (_colours(0.9) if self.all_ops else {})
        is_video = isinstance(planes, tv_tensors.Video)
        batch = planes.reshape(*[1] * ((5 if is_video else 4) - planes.ndim), *planes.shape)
        kept, changed = self._weights(batch, 2)
        weights = self._weights(batch, self.mixture_width)
        mixture: fb.Tensor = kept * batch
        for weight in weights:
            augmented = batch
            for _ in range(self.chain_depth if self.chain_depth > 0 else _random.integer(1, 4)):
                augmented = self._one_of(augmented, ranges, _SEVEREST, lambda: _random.integer(0, self.severity))
            mixture = mixture + weight * changed * augmented
        return mixture.reshape(planes.shape).to(planes.dtype)

    def _weights(self, batch: fb.Tensor, count: int) -> list[fb.Tensor]:
        """Draw ``count`` weights with a sum of 1 for each image of a batch, each ``(N, 1, ..., 1)``."""
        weights = fb._sample_dirichlet(fb.full((len(batch), count), self.alpha)).to(batch.device)
        return [weight.reshape(-1, *[1] * (batch.ndim - 1)) for weight in weights.unbind(1)]

    def __repr__(self) -> str:
        return (
            f"AugMix(severity={self.severity}, mixture_width={self.mixture_width}, chain_depth={self.chain_depth}, "
            f"alpha={self.alpha}, all_ops={self.all_ops}, interpolation={self.interpolation}, fill={self.fill})"
        )
