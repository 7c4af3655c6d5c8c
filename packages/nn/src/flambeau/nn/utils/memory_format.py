"""Conversion of convolution weights to another memory format, such as channels last."""

from __future__ import annotations

from typing import Any, TypeVar

from ..modules.module import Module

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]

M = TypeVar("M", bound=Module)


def convert_conv2d_weight_memory_format(module: M, memory_format: Any) -> M:
    """Convert the weights of all 2-D convolutions, including transposed ones, in ``module`` to ``memory_format``.

    >>> layer = nn.utils.convert_conv2d_weight_memory_format(nn.Conv2d(3, 4, 3), fb.channels_last)
    >>> layer.weight.is_contiguous(memory_format=fb.channels_last)
    True
    """
    return _converted(module, memory_format, 2)


def convert_conv3d_weight_memory_format(module: M, memory_format: Any) -> M:
    """Convert the weights of all 3-D convolutions, including transposed ones, in ``module`` to ``memory_format``.

    >>> layer = nn.utils.convert_conv3d_weight_memory_format(nn.Conv3d(3, 4, 3), fb.channels_last_3d)
    >>> layer.weight.is_contiguous(memory_format=fb.channels_last_3d)
    True
    """
    return _converted(module, memory_format, 3)


def _converted(module: M, memory_format: Any, dimensions: int) -> M:
    from ..modules.conv import _ConvNd

    for layer in module.modules():
        if isinstance(layer, _ConvNd) and layer.dimensions == dimensions:
            layer.weight.data = layer.weight.detach().clone(memory_format=memory_format)
    return module
