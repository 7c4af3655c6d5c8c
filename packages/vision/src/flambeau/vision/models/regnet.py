"""RegNet."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ..ops._layers import Conv2dNormActivation, SqueezeExcitation
from ._initialization import make_divisible
from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)

Layer = Callable[..., nn.Module]


class SimpleStemIN(Conv2dNormActivation):
    """Stem: a 3x3 convolution with stride 2."""

    def __init__(self, width_in: int, width_out: int, norm_layer: Layer, activation_layer: Layer) -> None:
        super().__init__(width_in, width_out, stride=2, norm_layer=norm_layer, activation_layer=activation_layer)


class ResBottleneckBlock(nn.Module):
    """Bottleneck block: a grouped 3x3 convolution, optional squeeze and excitation, between 1x1 convolutions.

    Args:
        width_in, width_out, stride: numbers of channels, and stride. If they change the shape, a 1x1 convolution adapts
            the input for the residual connection.
        norm_layer, activation_layer: layers after each convolution; the last activation comes after the residual sum.
        group_width: number of channels of each group of the 3x3 convolution.
        bottleneck_multiplier: ratio of the 3x3 convolution's channels to ``width_out``.
        se_ratio: ratio of the squeezed channels to ``width_in``; None for no squeeze and excitation.
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: Layer,
        activation_layer: Layer,
        group_width: int = 1,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
    ) -> None:
        super().__init__()
        wide = round(width_out * bottleneck_multiplier)
        plain: dict[str, Any] = {"kernel_size": 1, "norm_layer": norm_layer, "activation_layer": None}
        activated: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": activation_layer}
        fits = width_in == width_out and stride == 1
        self.proj = None if fits else Conv2dNormActivation(width_in, width_out, stride=stride, **plain)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["a"] = Conv2dNormActivation(width_in, wide, kernel_size=1, **activated)
        layers["b"] = Conv2dNormActivation(wide, wide, stride=stride, groups=wide // group_width, **activated)
        if se_ratio:
            layers["se"] = SqueezeExcitation(wide, round(se_ratio * width_in), activation=activation_layer)
        layers["c"] = Conv2dNormActivation(wide, width_out, **plain)
        self.f = nn.Sequential(layers)
        self.activation = activation_layer(inplace=True)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        beside = x if self.proj is None else self.proj(x)
        result: fb.Tensor = self.activation(beside + self.f(x))
        return result


class BlockParams:
    """Parameters of the blocks of each stage.

    Args:
        depths: number of blocks of each stage.
        widths, group_widths: for each stage, the number of channels of a block and of a group.
        bottleneck_multipliers, strides: as in :class:`ResBottleneckBlock`; only the first block of a stage has the
            stride.
        se_ratio: as in :class:`ResBottleneckBlock`, for all stages.
    """

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int],
        group_widths: Sequence[int],
        bottleneck_multipliers: Sequence[float],
        strides: Sequence[int],
        se_ratio: float | None = None,
    ) -> None:
        self.depths = depths
        self.widths = widths
        self.group_widths = group_widths
        self.bottleneck_multipliers = bottleneck_multipliers
        self.strides = strides
        self.se_ratio = se_ratio

    @classmethod
    def from_init_params(
        cls,
        depth: int,
        w_0: int,
        w_a: float,
        w_m: float,
        group_width: int,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
        **kwargs: Any,
    ) -> BlockParams:
        """Create stages whose widths grow linearly.

        Block ``i`` has the width ``w_0 * w_m**k`` that is closest to ``w_0 + w_a * i``.

        Args:
            depth: number of blocks.
            w_0: width of the first block, a multiple of 8.
            w_a: increase of the width per block, at least 0.
            w_m: ratio of the widths of consecutive stages, greater than 1.
            group_width, bottleneck_multiplier, se_ratio: as in :class:`ResBottleneckBlock`, for all stages. Widths are
                rounded to multiples of the group width.
            kwargs: not used.
        Raises: ValueError for values outside these ranges.
        Source: section 3.3 of the paper.

        >>> params = BlockParams.from_init_params(depth=16, w_0=48, w_a=27.89, w_m=2.09, group_width=8)
        >>> params.depths, params.widths
        ([1, 3, 6, 6], [48, 104, 208, 440])
        """
        if w_a < 0 or w_0 <= 0 or w_m <= 1 or w_0 % 8 != 0:
            raise ValueError(f"Invalid RegNet settings: w_a={w_a}, w_0={w_0}, w_m={w_m}")
        powers = (round(math.log((w_0 + w_a * i) / w_0) / math.log(w_m)) for i in range(depth))
        # Widths never decrease from block to block, so the keys of the Counter are in the order of the stages.
        counts = Counter(round(w_0 * w_m**power / 8) * 8 for power in powers)
        inner = [int(width * bottleneck_multiplier) for width in counts]
        groups = [min(group_width, width) for width in inner]
        widths = [
            int(make_divisible(width, group) / bottleneck_multiplier)
            for width, group in zip(inner, groups, strict=True)
        ]
        stages = len(widths)
        return cls([*counts.values()], widths, groups, [bottleneck_multiplier] * stages, [2] * stages, se_ratio)


class RegNet(nn.Module):
    """RegNet: stages of bottleneck blocks whose widths approximate a linear function of the depth.

    Args:
        block_params: parameters of the blocks of each stage.
        num_classes: number of classes.
        stem_width: number of output channels of the stem.
        stem_type, block_type: :class:`SimpleStemIN` and :class:`ResBottleneckBlock` by default.
        norm_layer, activation: BatchNorm2d and ReLU by default.

    Shapes: ``(N, 3, H, W)``, with H = W = 224 in the paper; the result is ``(N, num_classes)``.
    Source: Radosavovic et al. 2020, arXiv:2003.13678.

    >>> params = BlockParams.from_init_params(depth=4, w_0=8, w_a=8.0, w_m=2.0, group_width=8)
    >>> model = RegNet(params, num_classes=10, stem_width=8)
    >>> params.widths, model(fb.zeros(2, 3, 32, 32)).shape
    ([8, 16, 32], flambeau.Size([2, 10]))
    """

    def __init__(
        self,
        block_params: BlockParams,
        num_classes: int = 1000,
        stem_width: int = 32,
        stem_type: Layer | None = None,
        block_type: Layer | None = None,
        norm_layer: Layer | None = None,
        activation: Layer | None = None,
    ) -> None:
        super().__init__()
        p = block_params
        layers = (norm_layer or nn.BatchNorm2d, activation or nn.ReLU)
        block = block_type or ResBottleneckBlock
        self.stem = (stem_type or SimpleStemIN)(3, stem_width, *layers)
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = stem_width
        shapes = zip(p.depths, p.widths, p.strides, p.group_widths, p.bottleneck_multipliers, strict=True)
        for number, (depth, width, stride, group, multiplier) in enumerate(shapes, 1):
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            for i in range(depth):
                geometry = (width, 1, *layers) if i else (width, stride, *layers)
                blocks[f"block{number}-{i}"] = block(inputs, *geometry, group, multiplier, p.se_ratio)
                inputs = width
            stages[f"block{number}"] = nn.Sequential(blocks)
        self.trunk_output = nn.Sequential(stages)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inputs, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.fc.weight, 0, 0.01)
        nn.init.zeros_(self.fc.bias)  # type: ignore[arg-type]

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        scores: fb.Tensor = self.fc(fb.flatten(self.avgpool(self.trunk_output(self.stem(x))), 1))
        return scores


def _regnet(depth: int, w_0: int, w_a: float, w_m: float, group_width: int, **options: Any) -> RegNet:
    se_ratio = options.pop("se_ratio", None)
    return RegNet(BlockParams.from_init_params(depth, w_0, w_a, w_m, group_width, se_ratio=se_ratio), **options)


@register_model
def regnet_y_400mf(**options: Any) -> RegNet:
    """Build RegNetY (:class:`RegNet` with squeeze-excitation) with 0.4 billion operations (4,344,144 parameters)."""
    return _regnet(16, 48, 27.89, 2.09, 8, se_ratio=0.25, **options)


@register_model
def regnet_y_800mf(**options: Any) -> RegNet:
    """Build RegNetY (:class:`RegNet` with squeeze-excitation) with 0.8 billion operations (6,432,512 parameters)."""
    return _regnet(14, 56, 38.84, 2.4, 16, se_ratio=0.25, **options)


@register_model
def regnet_y_1_6gf(**options: Any) -> RegNet:
    """Build RegNetY (:class:`RegNet` with squeeze-excitation) with 1.6 billion operations (11,202,430 parameters)."""
    return _regnet(27, 48, 20.71, 2.65, 24, se_ratio=0.25, **options)


@register_model
def regnet_y_3_2gf(**options: Any) -> RegNet:
    """Build RegNetY (:class:`RegNet` with squeeze-excitation) with 3.2 billion operations (19,436,338 parameters)."""
    return _regnet(21, 80, 42.63, 2.66, 24, se_ratio=0.25, **options)


@register_model
def regnet_y_8gf(**options: Any) -> RegNet:
    """Build RegNetY (:class:`RegNet` with squeeze-excitation) with 8 billion operations (39,381,472 parameters)."""
    return _regnet(17, 192, 76.82, 2.19, 56, se_ratio=0.25, **options)


@register_model
def regnet_y_16gf(**options: Any) -> RegNet:
    """Build RegNetY (:class:`RegNet` with squeeze-excitation) with 16 billion operations (83,590,140 parameters)."""
    return _regnet(18, 200, 106.23, 2.48, 112, se_ratio=0.25, **options)


@register_model
def regnet_y_32gf(**options: Any) -> RegNet:
    """Build RegNetY (:class:`RegNet` with squeeze-excitation) with 32 billion operations (145,046,770 parameters)."""
    return _regnet(20, 232, 115.89, 2.53, 232, se_ratio=0.25, **options)


@register_model
def regnet_y_128gf(**options: Any) -> RegNet:
    """Build RegNetY (:class:`RegNet` with squeeze-excitation) with 128 billion operations (644,812,894 parameters)."""
    return _regnet(27, 456, 160.83, 2.52, 264, se_ratio=0.25, **options)


@register_model
def regnet_x_400mf(**options: Any) -> RegNet:
    """Build RegNetX (:class:`RegNet`) with 0.4 billion operations (5,495,976 parameters)."""
    return _regnet(22, 24, 24.48, 2.54, 16, **options)


@register_model
def regnet_x_800mf(**options: Any) -> RegNet:
    """Build RegNetX (:class:`RegNet`) with 0.8 billion operations (7,259,656 parameters)."""
    return _regnet(16, 56, 35.73, 2.28, 16, **options)


@register_model
def regnet_x_1_6gf(**options: Any) -> RegNet:
    """Build RegNetX (:class:`RegNet`) with 1.6 billion operations (9,190,136 parameters)."""
    return _regnet(18, 80, 34.01, 2.25, 24, **options)


@register_model
def regnet_x_3_2gf(**options: Any) -> RegNet:
    """Build RegNetX (:class:`RegNet`) with 3.2 billion operations (15,296,552 parameters)."""
    return _regnet(25, 88, 26.31, 2.25, 48, **options)


@register_model
def regnet_x_8gf(**options: Any) -> RegNet:
    """Build RegNetX (:class:`RegNet`) with 8 billion operations (39,572,648 parameters)."""
    return _regnet(23, 80, 49.56, 2.88, 120, **options)


@register_model
def regnet_x_16gf(**options: Any) -> RegNet:
    """Build RegNetX (:class:`RegNet`) with 16 billion operations (54,278,536 parameters)."""
    return _regnet(22, 216, 55.59, 2.1, 128, **options)


@register_model
def regnet_x_32gf(**options: Any) -> RegNet:
    """Build RegNetX (:class:`RegNet`) with 32 billion operations (107,811,560 parameters)."""
    return _regnet(23, 320, 69.86, 2.0, 168, **options)
