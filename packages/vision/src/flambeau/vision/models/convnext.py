"""ConvNeXt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ..ops._layers import Conv2dNormActivation, Permute, StochasticDepth
from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)

Norm = Callable[[int], nn.Module]


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of ``(N, C, H, W)``."""

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


_NORM: Norm = partial(LayerNorm2d, eps=1e-6)


class CNBlock(nn.Module):
    """Residual block: a depthwise 7x7 convolution, a perceptron for each pixel, and a learned factor per channel."""

    def __init__(self, dim: int, layer_scale: float, stochastic_depth_prob: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim, bias=True),
            Permute([0, 2, 3, 1]),
            nn.LayerNorm(dim, eps=1e-6),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(fb.full((dim, 1, 1), layer_scale))
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        result: fb.Tensor = self.stochastic_depth(self.layer_scale * self.block(input)) + input
        return result


class ConvNeXt(nn.Module):
    """ConvNeXt: a convolutional network with the structure of a vision transformer.

    Args:
        channels: number of channels of each stage.
        layers: number of blocks of each stage.
        stochastic_depth_prob: stochastic-depth probability of the last block; smaller for earlier blocks.
        layer_scale: initial value of the learned factors that scale the result of each block.
        num_classes: number of classes.
        norm_layer: LayerNorm over the channels by default.

    Shapes: ``(N, 3, H, W)``, with H = W = 224 in the paper; the result is ``(N, num_classes)``.
    Source: Liu et al. 2022, arXiv:2201.03545.

    >>> model = ConvNeXt(channels=[8, 16, 32, 64], layers=[1, 1, 2, 1], num_classes=10)
    >>> model(fb.zeros(1, 3, 64, 64)).shape
    flambeau.Size([1, 10])
    """

    def __init__(
        self,
        channels: Sequence[int],
        layers: Sequence[int],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        if len(channels) != len(layers) or not channels:
            raise ValueError(f"layers and channels should have one entry for each stage, got {layers} and {channels}")
        norm = norm_layer or _NORM
        stem = {"kernel_size": 4, "stride": 4, "padding": 0}
        parts: list[nn.Module] = [
            Conv2dNormActivation(3, channels[0], norm_layer=norm, activation_layer=None, bias=True, **stem)  # type: ignore[arg-type]
        ]
        total, done = sum(layers), 0
        for index, (width, count) in enumerate(zip(channels, layers, strict=True)):
            if index:
                halving = nn.Conv2d(channels[index - 1], width, kernel_size=2, stride=2)
                parts.append(nn.Sequential(norm(channels[index - 1]), halving))
            drops = [stochastic_depth_prob * (done + i) / (total - 1.0) for i in range(count)]
            parts.append(nn.Sequential(*(CNBlock(width, layer_scale, drop) for drop in drops)))
            done += count
        self.features = nn.Sequential(*parts)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(norm(channels[-1]), nn.Flatten(1), nn.Linear(channels[-1], num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        scores: fb.Tensor = self.classifier(self.avgpool(self.features(x)))
        return scores


def _convnext(channels: int, layers: Sequence[int], drop: float, **options: Any) -> ConvNeXt:
    widths = [channels << stage for stage in range(4)]
    return ConvNeXt(widths, layers, options.pop("stochastic_depth_prob", drop), **options)


@register_model
def convnext_tiny(**options: Any) -> ConvNeXt:
    """Build the tiny variant of :class:`ConvNeXt` (28,589,128 parameters)."""
    return _convnext(96, (3, 3, 9, 3), 0.1, **options)


@register_model
def convnext_small(**options: Any) -> ConvNeXt:
    """Build the small variant of :class:`ConvNeXt` (50,223,688 parameters)."""
    return _convnext(96, (3, 3, 27, 3), 0.4, **options)


@register_model
def convnext_base(**options: Any) -> ConvNeXt:
    """Build the base variant of :class:`ConvNeXt` (88,591,464 parameters)."""
    return _convnext(128, (3, 3, 27, 3), 0.5, **options)


@register_model
def convnext_large(**options: Any) -> ConvNeXt:
    """Build the large variant of :class:`ConvNeXt` (197,767,336 parameters)."""
    return _convnext(192, (3, 3, 27, 3), 0.5, **options)
