"""EfficientNet and EfficientNetV2."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import flambeau as fb
from flambeau import nn

from ..ops._layers import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from ._initialization import init_convolutional, make_divisible
from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)

Norm = Callable[[int], nn.Module]


class StageConfig(NamedTuple):
    """Configuration of a stage, as in the papers' tables. ``fused`` selects Fused-MBConv blocks (EfficientNetV2)."""

    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    fused: bool = False


class _Block(nn.Module):
    """MBConv or Fused-MBConv block, with a residual connection if the shapes match."""

    def __init__(self, config: StageConfig, drop_probability: float, norm_layer: Norm) -> None:
        super().__init__()
        inputs, outputs, stride = config.input_channels, config.out_channels, config.stride
        expanded = make_divisible(inputs * config.expand_ratio, 8)
        activated = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        projected = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=None)
        layers: list[nn.Module] = []
        if config.fused:
            last = expanded if expanded != inputs else outputs
            layers.append(activated(inputs, last, kernel_size=config.kernel, stride=stride))
            if expanded != inputs:
                layers.append(projected(expanded, outputs, kernel_size=1))
        else:
            if expanded != inputs:
                layers.append(activated(inputs, expanded, kernel_size=1))
            layers.append(activated(expanded, expanded, kernel_size=config.kernel, stride=stride, groups=expanded))
            squeezed = max(1, inputs // 4)
            layers.append(SqueezeExcitation(expanded, squeezed, activation=partial(nn.SiLU, inplace=True)))
            layers.append(projected(expanded, outputs, kernel_size=1))
        self.use_res_connect = stride == 1 and inputs == outputs
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(drop_probability, "row")

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        result: fb.Tensor = self.block(input)
        return self.stochastic_depth(result) + input if self.use_res_connect else result


class EfficientNet(nn.Module):
    """EfficientNet: MBConv blocks with squeeze and excitation. The variants scale width, depth and image size together.

    Args:
        inverted_residual_setting: the stages.
        dropout: probability of the dropout before the last layer.
        stochastic_depth_prob: stochastic-depth probability of the last block; smaller for earlier blocks.
        num_classes: number of classes.
        norm_layer: BatchNorm2d by default.
        last_channel: number of channels before the pooling; by default four times the number of the last stage.

    Shapes: ``(N, 3, H, W)``, with H and W from 224 (b0) to 600 (b7); the result is ``(N, num_classes)``.
    Source: Tan and Le 2019, arXiv:1905.11946, and 2021, arXiv:2104.00298.

    >>> stages = [StageConfig(1, 3, 1, 8, 8, num_layers=1), StageConfig(4, 3, 2, 8, 16, num_layers=2)]
    >>> model = EfficientNet(stages, dropout=0.2, num_classes=10)
    >>> model(fb.zeros(2, 3, 64, 64)).shape
    flambeau.Size([2, 10])
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[StageConfig],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Norm | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        norm = norm_layer or nn.BatchNorm2d
        activated = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.SiLU)
        layers: list[nn.Module] = [activated(3, inverted_residual_setting[0].input_channels, stride=2)]
        total, done = sum(stage.num_layers for stage in inverted_residual_setting), 0
        for stage in inverted_residual_setting:
            repeated = stage._replace(input_channels=stage.out_channels, stride=1)
            configs = [stage, *[repeated] * (stage.num_layers - 1)]
            blocks = [_Block(c, stochastic_depth_prob * (done + i) / total, norm) for i, c in enumerate(configs)]
            layers.append(nn.Sequential(*blocks))
            done += stage.num_layers
        outputs = inverted_residual_setting[-1].out_channels
        last = last_channel or 4 * outputs
        self.features = nn.Sequential(*layers, activated(outputs, last, kernel_size=1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        head = nn.Linear(last, num_classes)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), head)
        init_convolutional(self, linear_std=None)
        bound = 1.0 / math.sqrt(num_classes)
        nn.init.uniform_(head.weight, -bound, bound)
        nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        scores: fb.Tensor = self.classifier(fb.flatten(self.avgpool(self.features(x)), 1))
        return scores


_B0 = (
    *((1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3)),
    *((6, 5, 1, 80, 112, 3), (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1)),
)


def _scaled(width: float, depth: float, dropout: float, **options: Any) -> EfficientNet:
    stages = [
        StageConfig(
            *(expansion, kernel, stride),
            *(make_divisible(inputs * width, 8), make_divisible(outputs * width, 8)),
            math.ceil(layers * depth),
        )
        for expansion, kernel, stride, inputs, outputs, layers in _B0
    ]
    return EfficientNet(stages, options.pop("dropout", dropout), **options)


_WIDE_NORM = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)  # normalisation of the models b5 to b7


Row = tuple[int, int, int, int, int, int]


def _v2(fused: Sequence[Row], stages: Sequence[Row], dropout: float, **options: Any) -> EfficientNet:
    setting = [StageConfig(*row)._replace(fused=True) for row in fused] + [StageConfig(*row) for row in stages]
    options = {"norm_layer": partial(nn.BatchNorm2d, eps=1e-3), "last_channel": 1280, **options}
    return EfficientNet(setting, options.pop("dropout", dropout), **options)


@register_model
def efficientnet_b0(**options: Any) -> EfficientNet:
    """Build :class:`EfficientNet` for images of 224 pixels (5,288,548 parameters)."""
    return _scaled(1.0, 1.0, 0.2, **options)


@register_model
def efficientnet_b1(**options: Any) -> EfficientNet:
    """Build :class:`EfficientNet` for images of 240 pixels (7,794,184 parameters)."""
    return _scaled(1.0, 1.1, 0.2, **options)


@register_model
def efficientnet_b2(**options: Any) -> EfficientNet:
    """Build :class:`EfficientNet` for images of 288 pixels (9,109,994 parameters)."""
    return _scaled(1.1, 1.2, 0.3, **options)


@register_model
def efficientnet_b3(**options: Any) -> EfficientNet:
    """Build :class:`EfficientNet` for images of 300 pixels (12,233,232 parameters)."""
    return _scaled(1.2, 1.4, 0.3, **options)


@register_model
def efficientnet_b4(**options: Any) -> EfficientNet:
    """Build :class:`EfficientNet` for images of 380 pixels (19,341,616 parameters)."""
    return _scaled(1.4, 1.8, 0.4, **options)


@register_model
def efficientnet_b5(**options: Any) -> EfficientNet:
    """Build :class:`EfficientNet` for images of 456 pixels (30,389,784 parameters)."""
    return _scaled(1.6, 2.2, 0.4, **{"norm_layer": _WIDE_NORM, **options})


@register_model
def efficientnet_b6(**options: Any) -> EfficientNet:
    """Build :class:`EfficientNet` for images of 528 pixels (43,040,704 parameters)."""
    return _scaled(1.8, 2.6, 0.5, **{"norm_layer": _WIDE_NORM, **options})


@register_model
def efficientnet_b7(**options: Any) -> EfficientNet:
    """Build :class:`EfficientNet` for images of 600 pixels (66,347,960 parameters)."""
    return _scaled(2.0, 3.1, 0.5, **{"norm_layer": _WIDE_NORM, **options})


@register_model
def efficientnet_v2_s(**options: Any) -> EfficientNet:
    """Build the small variant of EfficientNetV2 for images of 384 pixels (21,458,488 parameters)."""
    fused = ((1, 3, 1, 24, 24, 2), (4, 3, 2, 24, 48, 4), (4, 3, 2, 48, 64, 4))
    stages = ((4, 3, 2, 64, 128, 6), (6, 3, 1, 128, 160, 9), (6, 3, 2, 160, 256, 15))
    return _v2(fused, stages, 0.2, **options)


@register_model
def efficientnet_v2_m(**options: Any) -> EfficientNet:
    """Build the medium variant of EfficientNetV2 for images of 480 pixels (54,139,356 parameters)."""
    fused = ((1, 3, 1, 24, 24, 3), (4, 3, 2, 24, 48, 5), (4, 3, 2, 48, 80, 5))
    stages = ((4, 3, 2, 80, 160, 7), (6, 3, 1, 160, 176, 14), (6, 3, 2, 176, 304, 18), (6, 3, 1, 304, 512, 5))
    return _v2(fused, stages, 0.3, **options)


@register_model
def efficientnet_v2_l(**options: Any) -> EfficientNet:
    """Build the large variant of EfficientNetV2 for images of 480 pixels (118,515,272 parameters)."""
    fused = ((1, 3, 1, 32, 32, 4), (4, 3, 2, 32, 64, 7), (4, 3, 2, 64, 96, 7))
    stages = ((4, 3, 2, 96, 192, 10), (6, 3, 1, 192, 224, 19), (6, 3, 2, 224, 384, 25), (6, 3, 1, 384, 640, 7))
    return _v2(fused, stages, 0.4, **options)
