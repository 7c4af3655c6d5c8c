"""MobileNet V2 and V3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import flambeau as fb
from flambeau import nn

from ..ops._layers import Conv2dNormActivation, SqueezeExcitation
from ._initialization import init_convolutional, make_divisible
from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)

Norm = Callable[[int], nn.Module]


class InvertedResidual(nn.Module):
    """Block of V2: expansion, depthwise convolution and projection, with a residual connection if the shapes match."""

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: float, norm_layer: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        hidden = round(inp * expand_ratio)
        activated = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
        layers: list[nn.Module] = [] if expand_ratio == 1 else [activated(inp, hidden, kernel_size=1)]
        layers += [
            activated(hidden, hidden, stride=stride, groups=hidden),
            nn.Conv2d(hidden, oup, 1, 1, 0, bias=False),
            norm_layer(oup),
        ]
        self.use_res_connect = stride == 1 and inp == oup
        self.conv = nn.Sequential(*layers)
        self.out_channels = oup
        self._is_cn = stride > 1  # True for the first block of a stage

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        result: fb.Tensor = x + self.conv(x) if self.use_res_connect else self.conv(x)
        return result


# For each stage: expansion, channels, repetitions, and stride of the first block (table 2 of the paper).
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class MobileNetV2(nn.Module):
    """MobileNetV2: inverted residual blocks with linear bottlenecks.

    Args:
        num_classes: number of classes.
        width_mult: factor for the number of channels of each layer.
        inverted_residual_setting: expansion, channels, repetitions and stride of each stage.
        round_nearest: numbers of channels are rounded to multiples of this number.
        norm_layer: BatchNorm2d by default.
        dropout: probability of the dropout before the last layer.

    Shapes: ``(N, 3, H, W)``, with H = W = 224 in the paper; the result is ``(N, num_classes)``.
    Source: Sandler et al. 2018, arXiv:1801.04381.

    >>> stages = [[1, 8, 1, 1], [6, 16, 2, 2]]  # expansion, channels, repetitions and stride
    >>> model = MobileNetV2(num_classes=10, width_mult=0.5, inverted_residual_setting=stages)
    >>> model(fb.zeros(2, 3, 32, 32)).shape
    flambeau.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        norm_layer: Norm | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        setting = _V2 if inverted_residual_setting is None else inverted_residual_setting
        if len(setting) == 0 or len(setting[0]) != 4:
            raise ValueError(f"inverted_residual_setting should be a list of 4-element lists, got {setting}")
        channels = make_divisible(32 * width_mult, round_nearest)
        self.last_channel = make_divisible(1280 * max(1.0, width_mult), round_nearest)
        activated = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.ReLU6)
        features: list[nn.Module] = [activated(3, channels, stride=2)]
        for expansion, width, repetitions, stride in setting:
            outputs = make_divisible(width * width_mult, round_nearest)
            for repetition in range(repetitions):
                features.append(InvertedResidual(channels, outputs, 1 if repetition else stride, expansion, norm))
                channels = outputs
        features.append(activated(channels, self.last_channel, kernel_size=1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes))
        init_convolutional(self)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        scores: fb.Tensor = self.classifier(fb.flatten(pooled, 1))
        return scores


class BlockConfig(NamedTuple):
    """Configuration of a block of MobileNetV3, as in the paper's tables.

    ``use_se`` adds squeeze and excitation. ``activation`` is ``"RE"`` (ReLU) or ``"HS"`` (hard swish).
    """

    input_channels: int
    kernel: int
    expanded_channels: int
    out_channels: int
    use_se: bool
    activation: str
    stride: int
    dilation: int = 1


class _InvertedResidualV3(nn.Module):
    """Block of MobileNetV3: the block of V2 with optional squeeze and excitation, and ReLU or hard swish."""

    def __init__(self, config: BlockConfig, norm_layer: Norm) -> None:
        super().__init__()
        inputs, expanded, outputs = config.input_channels, config.expanded_channels, config.out_channels
        activation = nn.Hardswish if config.activation == "HS" else nn.ReLU
        activated = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation)
        layers: list[nn.Module] = [] if expanded == inputs else [activated(inputs, expanded, kernel_size=1)]
        stride = 1 if config.dilation > 1 else config.stride
        layers.append(
            activated(
                expanded, expanded, kernel_size=config.kernel, stride=stride, groups=expanded, dilation=config.dilation
            )
        )
        if config.use_se:
            squeezed = make_divisible(expanded // 4, 8)
            layers.append(SqueezeExcitation(expanded, squeezed, scale_activation=nn.Hardsigmoid))
        layers.append(
            Conv2dNormActivation(expanded, outputs, kernel_size=1, norm_layer=norm_layer, activation_layer=None)
        )
        self.use_res_connect = config.stride == 1 and inputs == outputs
        self.block = nn.Sequential(*layers)
        self.out_channels = outputs
        self._is_cn = config.stride > 1

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        result: fb.Tensor = self.block(input)
        return result + input if self.use_res_connect else result


# For each block: kernel size, expanded and output channels, squeeze and excitation, activation, stride (tables 1 and 2
# of the paper).
_V3 = {
    "large": (
        1280,
        (
            *((3, 16, 16, 0, "RE", 1), (3, 64, 24, 0, "RE", 2), (3, 72, 24, 0, "RE", 1), (5, 72, 40, 1, "RE", 2)),
            *((5, 120, 40, 1, "RE", 1), (5, 120, 40, 1, "RE", 1), (3, 240, 80, 0, "HS", 2), (3, 200, 80, 0, "HS", 1)),
            *((3, 184, 80, 0, "HS", 1), (3, 184, 80, 0, "HS", 1), (3, 480, 112, 1, "HS", 1), (3, 672, 112, 1, "HS", 1)),
            *((5, 672, 160, 1, "HS", 2), (5, 960, 160, 1, "HS", 1), (5, 960, 160, 1, "HS", 1)),
        ),
    ),
    "small": (
        1024,
        (
            *((3, 16, 16, 1, "RE", 2), (3, 72, 24, 0, "RE", 2), (3, 88, 24, 0, "RE", 1), (5, 96, 40, 1, "HS", 2)),
            *((5, 240, 40, 1, "HS", 1), (5, 240, 40, 1, "HS", 1), (5, 120, 48, 1, "HS", 1), (5, 144, 48, 1, "HS", 1)),
            *((5, 288, 96, 1, "HS", 2), (5, 576, 96, 1, "HS", 1), (5, 576, 96, 1, "HS", 1)),
        ),
    ),
}


class MobileNetV3(nn.Module):
    """MobileNetV3: a network that was found by an architecture search for mobile devices.

    Args:
        inverted_residual_setting: the blocks.
        last_channel: number of channels of the second-last layer.
        num_classes: number of classes.
        norm_layer: normalisation; by default BatchNorm2d with ``eps=0.001`` and ``momentum=0.01``.
        dropout: probability of the dropout before the last layer.

    Shapes: ``(N, 3, H, W)``, with H = W = 224 in the paper; the result is ``(N, num_classes)``.
    Source: Howard et al. 2019, arXiv:1905.02244.

    >>> blocks = [BlockConfig(16, 3, 32, 16, use_se=True, activation="RE", stride=2)]
    >>> model = MobileNetV3(blocks, last_channel=32, num_classes=10)
    >>> model(fb.zeros(2, 3, 32, 32)).shape
    flambeau.Size([2, 10])
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[BlockConfig],
        last_channel: int,
        num_classes: int = 1000,
        norm_layer: Norm | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        norm = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        activated = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.Hardswish)
        first, last = inverted_residual_setting[0].input_channels, inverted_residual_setting[-1].out_channels
        self.features = nn.Sequential(
            activated(3, first, stride=2),
            *(_InvertedResidualV3(config, norm) for config in inverted_residual_setting),
            activated(last, 6 * last, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * last, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        init_convolutional(self)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        scores: fb.Tensor = self.classifier(fb.flatten(self.avgpool(self.features(x)), 1))
        return scores


def _v3(
    size: str, width_mult: float = 1.0, reduced_tail: bool = False, dilated: bool = False, **options: Any
) -> MobileNetV3:
    """Build MobileNetV3 from the table of its blocks, with scaled widths."""

    def channels(count: int) -> int:
        return make_divisible(count * width_mult, 8)

    last_channel, rows = _V3[size]
    inputs = channels(16)
    blocks = []
    for index, (kernel, expanded, outputs, squeezes, activation, stride) in enumerate(rows):
        # With reduced_tail, the last stage has half the channels, except for the expanded channels of its first block.
        tail = index - (len(rows) - 3)  # index in the last stage
        expanded, outputs = (
            count // 2 if reduced_tail and tail >= first else count for count, first in ((expanded, 1), (outputs, 0))
        )
        widths = (channels(expanded), channels(outputs))
        dilation = 2 if dilated and index >= len(rows) - 3 else 1  # then the last stage does not reduce the size
        block = BlockConfig(inputs, kernel, *widths, bool(squeezes), activation, stride, dilation)
        blocks.append(block)
        inputs = block.out_channels
    return MobileNetV3(blocks, channels(last_channel // 2 if reduced_tail else last_channel), **options)


@register_model
def mobilenet_v2(**options: Any) -> MobileNetV2:
    """Build :class:`MobileNetV2` (3,504,872 parameters)."""
    return MobileNetV2(**options)


@register_model
def mobilenet_v3_large(**options: Any) -> MobileNetV3:
    """Build the large variant of :class:`MobileNetV3` (5,483,032 parameters).

    Further options are ``width_mult``, ``reduced_tail`` and ``dilated``.
    """
    return _v3("large", **options)


@register_model
def mobilenet_v3_small(**options: Any) -> MobileNetV3:
    """Build the small variant of :class:`MobileNetV3` (2,542,856 parameters).

    Further options are ``width_mult``, ``reduced_tail`` and ``dilated``.
    """
    return _v3("small", **options)
