"""Normalisation of tensor images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

import flambeau as fb
from flambeau import nn

from ._image import like_image

__all__ = ["normalize"]


def normalize(
    tensor: fb.Tensor, mean: float | Sequence[float], std: float | Sequence[float], inplace: bool = False
) -> fb.Tensor:
    """Compute ``(tensor - mean) / std`` per channel.

    Args:
        tensor: ``(..., C, H, W)``, floating.
        mean, std: one value per channel, or one for all channels, also as a number; ``std`` must not contain zeros.
        inplace: if True, write to ``tensor``.
    Raises: TypeError if ``tensor`` is not a floating tensor; ValueError for a zero in ``std``, fewer than 3 dimensions
        or a number of channels that does not match.

    >>> normalize(fb.ones(2, 1, 1), mean=[1.0, 0.0], std=[2.0, 1.0]).flatten()
    tensor([0., 1.])
    """
    if not isinstance(tensor, fb.Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}. Put ToTensor() before it.")
    if not tensor.dtype.is_floating_point:
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}. Put ToTensor() before it.")
    if tensor.ndim < 3:
        shape = list(tensor.shape)
        raise ValueError(f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {shape}")
    channels = tensor.shape[-3]
    mean, std = _values(mean), _values(std)
    if any(len(values) not in (1, channels) for values in (mean, std)):
        values = f"{len(mean)} means and {len(std)} standard deviations"
        raise ValueError(
            f"mean and std should have one number per channel, got {values} for an image of shape {list(tensor.shape)}"
        )
    center, scale = _columns(mean, std, tensor.dtype, tensor.device)
    return like_image((tensor.sub_(center) if inplace else tensor - center).div_(scale), tensor)


def _values(values: float | Sequence[float]) -> tuple[float, ...]:
    """Return one value per channel, or a single value for all channels."""
    return tuple(values) if isinstance(values, Iterable) else (values,)


@lru_cache(maxsize=64)
def _columns(
    mean: tuple[float, ...], std: tuple[float, ...], dtype: fb.dtype, device: fb.device
) -> tuple[fb.Tensor, fb.Tensor]:
    """Return mean and standard deviation as tensors ``(C, 1, 1)``.

    The tensors are cached, because their creation takes longer than the normalisation.
    """
    center, scale = (fb.tensor([float(x) for x in xs], dtype=dtype, device=device).view(-1, 1, 1) for xs in (mean, std))
    if not scale.all():
        raise ValueError(f"std evaluated to zero after conversion to {dtype}, leading to division by zero: {list(std)}")
    return center, scale


class Normalize(nn.Module):
    """Compute ``(image - mean) / std`` per channel. See :func:`~functional.normalize`.

    Args:
        mean, std: one value per channel, or one for all channels, also as a number; ``std`` must not contain zeros.
        inplace: if True, write to the image.
    Raises: ValueError if ``std`` contains a zero. A call raises the errors of :func:`~functional.normalize`.

    >>> Normalize(mean=[0.5], std=[0.25])(fb.tensor([[[0.5, 1.0]]]))
    tensor([[[0., 2.]]])
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        if not all(_values(std)):
            raise ValueError(f"std must hold no zeros, got {std}")
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def forward(self, tensor: fb.Tensor) -> fb.Tensor:
        return normalize(tensor, self.mean, self.std, self.inplace)

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


class LinearTransformation(nn.Module):
    """Compute ``(flattened image - mean_vector) @ transformation_matrix``, for example for whitening.

    Args:
        transformation_matrix: ``(D, D)`` with D = C * H * W.
        mean_vector: ``(D,)``.
    Raises: ValueError if the shapes do not match each other or the image; TypeError for a PIL image.

    >>> transform = LinearTransformation(2 * fb.eye(2), mean_vector=fb.tensor([1.0, 0.0]))
    >>> transform(fb.tensor([[[1.0, 3.0]]]))
    tensor([[[0., 6.]]])
    """

    def __init__(self, transformation_matrix: fb.Tensor, mean_vector: fb.Tensor) -> None:
        super().__init__()
        rows, columns = transformation_matrix.shape
        if rows != columns:
            raise ValueError(f"transformation_matrix should be square. Got [{rows} x {columns}] rectangular matrix.")
        if mean_vector.shape[0] != rows:
            raise ValueError(
                f"mean_vector should have length {rows}, like the transformation_matrix. Got {mean_vector.shape[0]}"
            )
        self.transformation_matrix = transformation_matrix
        self.mean_vector = mean_vector

    def forward(self, tensor: fb.Tensor) -> fb.Tensor:
        if not isinstance(tensor, fb.Tensor | np.ndarray):
            raise TypeError("LinearTransformation does not work on PIL Images; apply ToTensor first")
        size = tensor.shape[-3] * tensor.shape[-2] * tensor.shape[-1]
        if size != len(self.mean_vector):
            raise ValueError(
                f"Input tensor and transformation matrix have incompatible shape: {list(tensor.shape)} and "
                f"{list(self.transformation_matrix.shape)}"
            )
        flat = tensor.reshape(-1, size) - self.mean_vector
        return (flat @ self.transformation_matrix).reshape(tensor.shape)

    def __repr__(self) -> str:
        matrix, mean = self.transformation_matrix.tolist(), self.mean_vector.tolist()
        return f"LinearTransformation(transformation_matrix={matrix}, mean_vector={mean})"
