"""ResNet, Wide ResNet and ResNeXt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import flambeau as fb
from flambeau import nn

from ._initialization import init_convolutional
from ._published import published_in
from ._registry import register_model

__getattr__ = published_in(__name__)

Norm = Callable[[int], nn.Module]


def conv3x3(in_channels: int, out_channels: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution without bias that preserves the size of the image if ``stride`` is 1."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, dilation, dilation, groups, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """Return a 1x1 convolution without bias."""
    return nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a residual connection. ``downsample``, if given, adapts the input's shape."""

    expansion: ClassVar[int] = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        if groups != 1 or base_width != 64:
            raise ValueError(
                f"BasicBlock only supports groups=1 and base_width=64, got groups={groups} and base_width={base_width}"
            )
        if dilation > 1:
            raise NotImplementedError("Dilation > 1 not supported in BasicBlock")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        identity = x if self.downsample is None else self.downsample(x)
        result: fb.Tensor = self.relu(out + identity)
        return result


class Bottleneck(nn.Module):
    """Bottleneck block: a 3x3 convolution with few channels between two 1x1 convolutions, with a residual connection.

    The 3x3 convolution has the stride. This variant is known as ResNet V1.5.
    """

    expansion: ClassVar[int] = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(out)))))
        identity = x if self.downsample is None else self.downsample(x)
        result: fb.Tensor = self.relu(out + identity)
        return result


class ResNet(nn.Module):
    """ResNet: four stages of residual blocks. Each stage halves the size and doubles the number of channels.

    Args:
        block: :class:`BasicBlock` or :class:`Bottleneck`.
        layers: number of blocks of each stage.
        num_classes: number of classes.
        zero_init_residual: if True, initialise each block as the identity (Goyal et al. 2017, arXiv:1706.02677).
        groups, width_per_group: number of groups of the 3x3 convolutions in bottlenecks, and number of channels per
            group in the first stage.
        replace_stride_with_dilation: for each of the last three stages, True for dilation instead of a stride.
        norm_layer: BatchNorm2d by default.

    Shapes: ``(N, 3, H, W)``, with H = W = 224 in the paper; the result is ``(N, num_classes)``.
    Source: He et al. 2015, arXiv:1512.03385; ResNeXt: Xie et al. 2016, arXiv:1611.05431; wide: Zagoruyko and Komodakis
    2016, arXiv:1605.07146.

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = ResNet(BasicBlock, layers=[1, 1, 1, 1], num_classes=10)
    >>> model(fb.zeros(1, 3, 224, 224, device="meta")).shape
    flambeau.Size([1, 10])
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        dilated = (False, False, False) if replace_stride_with_dilation is None else replace_stride_with_dilation
        if len(dilated) != 3:
            raise ValueError(
                f"replace_stride_with_dilation should be None or a 3-element tuple, got {replace_stride_with_dilation}"
            )
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.inplanes = 64
        self.dilation = 1
        self.groups = groups
        self.base_width = width_per_group
        self.conv1 = nn.Conv2d(3, self.inplanes, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], stride=2, dilate=dilated[0])
        self.layer3 = self._make_layer(block, 256, layers[2], stride=2, dilate=dilated[1])
        self.layer4 = self._make_layer(block, 512, layers[3], stride=2, dilate=dilated[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        init_convolutional(self, linear_std=None)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, BasicBlock | Bottleneck):
                    last: Any = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                    nn.init.zeros_(last.weight)

    def _make_layer(
        self, block: type[BasicBlock | Bottleneck], planes: int, blocks: int, stride: int = 1, dilate: bool = False
    ) -> nn.Sequential:
        """Return a stage. The stride is that of its first block; ``dilate`` turns it into the others' dilation."""
        before = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        downsample = None
        outplanes = planes * block.expansion
        if stride != 1 or self.inplanes != outplanes:
            downsample = nn.Sequential(conv1x1(self.inplanes, outplanes, stride), self._norm_layer(outplanes))
        shared = {"groups": self.groups, "base_width": self.base_width, "norm_layer": self._norm_layer}
        first = block(self.inplanes, planes, stride, downsample, dilation=before, **shared)  # type: ignore[arg-type]
        self.inplanes = outplanes
        rest = [block(outplanes, planes, dilation=self.dilation, **shared) for _ in range(1, blocks)]  # type: ignore[arg-type]
        return nn.Sequential(first, *rest)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        scores: fb.Tensor = self.fc(fb.flatten(self.avgpool(x), 1))
        return scores


@register_model
def resnet18(**options: Any) -> ResNet:
    """Build :class:`ResNet` with 18 layers (11,689,512 parameters)."""
    return ResNet(BasicBlock, [2, 2, 2, 2], **options)


@register_model
def resnet34(**options: Any) -> ResNet:
    """Build :class:`ResNet` with 34 layers (21,797,672 parameters)."""
    return ResNet(BasicBlock, [3, 4, 6, 3], **options)


@register_model
def resnet50(**options: Any) -> ResNet:
    """Build :class:`ResNet` with 50 layers (25,557,032 parameters)."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **options)


@register_model
def resnet101(**options: Any) -> ResNet:
    """Build :class:`ResNet` with 101 layers (44,549,160 parameters)."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **options)


@register_model
def resnet152(**options: Any) -> ResNet:
    """Build :class:`ResNet` with 152 layers (60,192,808 parameters)."""
    return ResNet(Bottleneck, [3, 8, 36, 3], **options)


@register_model
def resnext50_32x4d(**options: Any) -> ResNet:
    """Build ResNeXt with 50 layers and 32 groups of 4 channels (25,028,904 parameters)."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **{"groups": 32, "width_per_group": 4, **options})


@register_model
def resnext101_32x8d(**options: Any) -> ResNet:
    """Build ResNeXt with 101 layers and 32 groups of 8 channels (88,791,336 parameters)."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **{"groups": 32, "width_per_group": 8, **options})


@register_model
def resnext101_64x4d(**options: Any) -> ResNet:
    """Build ResNeXt with 101 layers and 64 groups of 4 channels (83,455,272 parameters)."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **{"groups": 64, "width_per_group": 4, **options})


@register_model
def wide_resnet50_2(**options: Any) -> ResNet:
    """Build ResNet with 50 layers and bottlenecks of twice the width (68,883,240 parameters)."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **{"width_per_group": 128, **options})


@register_model
def wide_resnet101_2(**options: Any) -> ResNet:
    """Build ResNet with 101 layers and bottlenecks of twice the width (126,886,696 parameters)."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **{"width_per_group": 128, **options})
