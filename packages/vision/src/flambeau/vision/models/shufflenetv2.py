"""ShuffleNetV2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)


class _Unit(nn.Module):
    """Unit with two branches of half the channels, whose outputs are concatenated and shuffled.

    The first branch is the identity, or convolutions if ``stride`` is 2. The second branch has convolutions.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        half = outputs // 2
        if stride == 1 and inputs != 2 * half:
            raise ValueError(f"Invalid combination of stride {stride}, inp {inputs} and oup {outputs} values")
        self.branch1 = (
            nn.Sequential() if stride == 1 else nn.Sequential(*_depthwise(inputs, stride), *_pointwise(inputs, half))
        )
        start = half if stride == 1 else inputs
        self.branch2 = nn.Sequential(*_pointwise(start, half), *_depthwise(half, stride), *_pointwise(half, half))

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        if self.stride == 1:
            kept, changed = x.chunk(2, dim=1)
            sides = (kept, self.branch2(changed))
        else:
            sides = (self.branch1(x), self.branch2(x))
        return _shuffled(fb.cat(sides, dim=1), 2)


def _shuffled(x: fb.Tensor, groups: int) -> fb.Tensor:
    """Shuffle channels like `nn.functional.channel_shuffle`, in separate steps that feature extraction can select."""
    batch, channels, height, width = x.size()
    parts = x.view(batch, groups, channels // groups, height, width)
    return fb.transpose(parts, 1, 2).contiguous().view(batch, channels, height, width)


def _depthwise(channels: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), nn.BatchNorm2d(channels)


def _pointwise(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2: pointwise and depthwise convolutions with channel shuffles.

    Args:
        stages_repeats: number of units in each of the three stages.
        stages_out_channels: numbers of channels of the first convolution, of each stage and of the last convolution.
        num_classes: number of classes.

    Shapes: ``(N, 3, H, W)``, with H = W = 224 in the paper; the result is ``(N, num_classes)``.
    Source: Ma et al. 2018, arXiv:1807.11164.

    >>> model = ShuffleNetV2(stages_repeats=[1, 1, 1], stages_out_channels=[8, 16, 32, 64, 128], num_classes=10)
    >>> model(fb.zeros(2, 3, 64, 64)).shape
    flambeau.Size([2, 10])
    """

    def __init__(
        self, stages_repeats: Sequence[int], stages_out_channels: Sequence[int], num_classes: int = 1000
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError(f"expected stages_repeats as list of 3 positive ints, got {stages_repeats}")
        if len(stages_out_channels) != 5:
            raise ValueError(f"expected stages_out_channels as list of 5 positive ints, got {stages_out_channels}")
        channels, *widths, last = stages_out_channels
        first = (nn.Conv2d(3, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.conv1 = nn.Sequential(*first)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        for number, (repeats, width) in enumerate(zip(stages_repeats, widths, strict=True), 2):
            units = [_Unit(channels, width, 2), *(_Unit(width, width, 1) for _ in range(1, repeats))]
            setattr(self, f"stage{number}", nn.Sequential(*units))
            channels = width
        self.conv5 = nn.Sequential(*_pointwise(channels, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self.maxpool(self.conv1(x))
        for number in (2, 3, 4):
            x = getattr(self, f"stage{number}")(x)
        scores: fb.Tensor = self.fc(self.conv5(x).mean([2, 3]))
        return scores


@register_model
def shufflenet_v2_x0_5(**options: Any) -> ShuffleNetV2:
    """Build :class:`ShuffleNetV2` with half the width (1,366,792 parameters)."""
    return ShuffleNetV2([4, 8, 4], [24, 48, 96, 192, 1024], **options)


@register_model
def shufflenet_v2_x1_0(**options: Any) -> ShuffleNetV2:
    """Build :class:`ShuffleNetV2` (2,278,604 parameters)."""
    return ShuffleNetV2([4, 8, 4], [24, 116, 232, 464, 1024], **options)


@register_model
def shufflenet_v2_x1_5(**options: Any) -> ShuffleNetV2:
    """Build :class:`ShuffleNetV2` with one and a half times the width (3,503,624 parameters)."""
    return ShuffleNetV2([4, 8, 4], [24, 176, 352, 704, 1024], **options)


@register_model
def shufflenet_v2_x2_0(**options: Any) -> ShuffleNetV2:
    """Build :class:`ShuffleNetV2` with twice the width (7,393,996 parameters)."""
    return ShuffleNetV2([4, 8, 4], [24, 244, 488, 976, 2048], **options)
