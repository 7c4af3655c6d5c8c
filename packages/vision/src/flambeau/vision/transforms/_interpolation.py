"""Interpolation modes."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

import flambeau as fb

__all__ = ["InterpolationMode"]


class InterpolationMode(Enum):
    """Interpolation modes with torchvision's names.

    ``NEAREST`` and ``NEAREST_EXACT`` are the same for PIL images. For tensors, ``NEAREST`` uses the rounding of older
    versions. Box, Hamming and Lanczos are filters of Pillow.

    >>> from flambeau.vision.transforms.functional import resize
    >>> image = fb.tensor([[[0.0, 1.0]]])
    >>> resize(image, (1, 4), InterpolationMode.NEAREST), resize(image, (1, 4), InterpolationMode.BILINEAR)
    (tensor([[[0., 0., 1., 1.]]]), tensor([[[0.0000, 0.2500, 0.7500, 1.0000]]]))
    """

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_PILLOW = {
    InterpolationMode.NEAREST: Image.Resampling.NEAREST,
    InterpolationMode.NEAREST_EXACT: Image.Resampling.NEAREST,
    InterpolationMode.BILINEAR: Image.Resampling.BILINEAR,
    InterpolationMode.BICUBIC: Image.Resampling.BICUBIC,
    InterpolationMode.BOX: Image.Resampling.BOX,
    InterpolationMode.HAMMING: Image.Resampling.HAMMING,
    InterpolationMode.LANCZOS: Image.Resampling.LANCZOS,
}
_BY_NUMBER = {mode.value: name for name, mode in _PILLOW.items() if name is not InterpolationMode.NEAREST_EXACT}


def interpolation_mode(interpolation: Any) -> InterpolationMode:
    """Return the interpolation mode for Pillow's integer constant. An :class:`InterpolationMode` is returned unchanged.

    Raises: TypeError for other values.
    """
    if isinstance(interpolation, int):
        interpolation = _BY_NUMBER.get(int(interpolation), interpolation)
    if not isinstance(interpolation, InterpolationMode):
        raise TypeError(
            f"Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant; "
            f"got {interpolation!r}"
        )
    return interpolation


def pillow_mode(interpolation: Any) -> Image.Resampling:
    """Return Pillow's constant for a mode."""
    return _PILLOW[interpolation_mode(interpolation)]


def _hamming(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.sinc(x) * (0.54 + 0.46 * np.cos(math.pi * x)))


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.sinc(x) * np.sinc(x / 3))


# Radius and weight function of those Pillow filters for which there is no tensor operator.
_FILTERS: dict[InterpolationMode, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    InterpolationMode.BOX: (0.5, np.ones_like),
    InterpolationMode.HAMMING: (1.0, _hamming),
    InterpolationMode.LANCZOS: (3.0, _lanczos),
}


@lru_cache(maxsize=32)
def resampling_weights(mode: InterpolationMode, size: int, goal: int) -> fb.Tensor:
    """Return the matrix ``(goal, size)`` that resizes one dimension with a Pillow filter.

    The filter is widened if ``goal`` is smaller than ``size``.
    """
    radius, weight = _FILTERS[mode]
    scale = size / goal
    stretch = max(scale, 1.0)
    centers = (np.arange(goal) + 0.5)[:, None] * scale
    pixels = np.arange(size)
    # The order of operations is Pillow's, because rounding decides whether a pixel on the edge of a filter is included.
    first, end = (centers - radius * stretch + 0.5).astype(int), (centers + radius * stretch + 0.5).astype(int)
    distances = (pixels - centers + 0.5) * (1.0 / stretch)
    inside = (pixels >= first) & (pixels < end) & (distances > -radius) & (distances <= radius)
    weights = np.where(inside, weight(distances), 0.0)
    return fb.from_numpy((weights / weights.sum(1, keepdims=True)).astype(np.float32))
