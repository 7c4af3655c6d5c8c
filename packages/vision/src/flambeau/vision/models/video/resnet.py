"""ResNets with convolutions over space and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import flambeau as fb
from flambeau import nn

from .._published import published_in
from .._registry import register_video_model

__all__ = ["VideoResNet", "mc3_18", "r2plus1d_18", "r3d_18"]

__getattr__ = published_in(__name__)


class Conv3DSimple(nn.Conv3d):
    """3x3x3 convolution. ``midplanes`` is ignored."""

    def __init__(
        self, in_planes: int, out_planes: int, midplanes: int | None = None, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__(in_planes, out_planes, kernel_size=3, stride=stride, padding=padding, bias=False)

    @staticmethod
    def get_downsample_stride(stride: int) -> tuple[int, int, int]:
        """Return the strides in time, height and width."""
        return stride, stride, stride


class Conv2Plus1D(nn.Sequential):
    """Spatial convolution with ``midplanes`` output channels, followed by a temporal convolution."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1, padding: int = 1) -> None:
        super().__init__(
            nn.Conv3d(in_planes, midplanes, (1, 3, 3), (1, stride, stride), (0, padding, padding), bias=False),
            nn.BatchNorm3d(midplanes),
            nn.ReLU(inplace=True),
            nn.Conv3d(midplanes, out_planes, (3, 1, 1), (stride, 1, 1), (padding, 0, 0), bias=False),
        )

    @staticmethod
    def get_downsample_stride(stride: int) -> tuple[int, int, int]:
        """Return the strides in time, height and width."""
        return stride, stride, stride


class Conv3DNoTemporal(nn.Conv3d):
    """3x3 convolution of each frame separately. ``midplanes`` is ignored."""

    def __init__(
        self, in_planes: int, out_planes: int, midplanes: int | None = None, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__(in_planes, out_planes, (1, 3, 3), (1, stride, stride), (0, padding, padding), bias=False)

    @staticmethod
    def get_downsample_stride(stride: int) -> tuple[int, int, int]:
        """Return the strides in time, height and width."""
        return 1, stride, stride


Builder = Any  # one of the three classes above, which have ``get_downsample_stride``


def _between(inputs: int, outputs: int) -> int:
    """Return the ``midplanes`` with which :class:`Conv2Plus1D` has as many parameters as a 3x3x3 convolution."""
    return (inputs * outputs * 27) // (inputs * 9 + 3 * outputs)


class BasicBlock(nn.Module):
    """Two convolutions with a residual connection. ``downsample``, if given, adapts the input's shape."""

    expansion: ClassVar[int] = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        conv_builder: Builder,
        stride: int = 1,
        downsample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        between = _between(inplanes, planes)
        self.conv1 = nn.Sequential(
            conv_builder(inplanes, planes, between, stride), nn.BatchNorm3d(planes), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(conv_builder(planes, planes, between), nn.BatchNorm3d(planes))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        result: fb.Tensor = self.relu(self.conv2(self.conv1(x)) + identity)
        return result


class Bottleneck(nn.Module):
    """Bottleneck block: a convolution with few channels between two 1x1x1 convolutions, with a residual connection."""

    expansion: ClassVar[int] = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        conv_builder: Builder,
        stride: int = 1,
        downsample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        outputs = planes * self.expansion
        self.conv1 = nn.Sequential(
            nn.Conv3d(inplanes, planes, kernel_size=1, bias=False), nn.BatchNorm3d(planes), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(
            conv_builder(planes, planes, _between(inplanes, planes), stride),
            nn.BatchNorm3d(planes),
            nn.ReLU(inplace=True),
        )
        self.conv3 = nn.Sequential(nn.Conv3d(planes, outputs, kernel_size=1, bias=False), nn.BatchNorm3d(outputs))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        result: fb.Tensor = self.relu(self.conv3(self.conv2(self.conv1(x))) + identity)
        return result


class BasicStem(nn.Sequential):
    """Stem with a 3x7x7 convolution."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), nn.BatchNorm3d(64), nn.ReLU(inplace=True)
        )


class R2Plus1dStem(nn.Sequential):
    """Stem with a factorised convolution: 7x7 over space, then 3 over time."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv3d(3, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(45),
            nn.ReLU(inplace=True),
            nn.Conv3d(45, 64, (3, 1, 1), (1, 1, 1), (1, 0, 0), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        )


class VideoResNet(nn.Module):
    """Video ResNet: four stages of residual blocks. Each stage halves the size and doubles the number of channels.

    Args:
        block: :class:`BasicBlock` or :class:`Bottleneck`.
        conv_makers: class of the convolutions of each stage.
        layers: number of blocks of each stage.
        stem: class of the first layers.
        num_classes: number of classes.
        zero_init_residual: if True, initialise each block as the identity.

    Shapes: ``(N, 3, T, H, W)``, with 16 images of 112x112 in the paper; the result is ``(N, num_classes)``.
    Source: Tran et al. 2017, arXiv:1711.11248.

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = VideoResNet(BasicBlock, [Conv3DSimple] * 4, layers=[1, 1, 1, 1], stem=BasicStem, num_classes=10)
    >>> model(fb.zeros(1, 3, 16, 112, 112, device="meta")).shape
    flambeau.Size([1, 10])
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        conv_makers: Sequence[Builder],
        layers: Sequence[int],
        stem: Callable[..., nn.Module],
        num_classes: int = 400,
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        self.inplanes = 64
        self.stem = stem()
        self.layer1 = self._stage(block, conv_makers[0], 64, layers[0], 1)
        self.layer2 = self._stage(block, conv_makers[1], 128, layers[1], 2)
        self.layer3 = self._stage(block, conv_makers[2], 256, layers[2], 2)
        self.layer4 = self._stage(block, conv_makers[3], 512, layers[3], 2)
        self.avgpool = nn.AdaptiveAvgPool3d((1, 1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        self._initialize(zero_init_residual)

    def _stage(
        self, block: type[BasicBlock | Bottleneck], builder: Builder, planes: int, count: int, stride: int
    ) -> nn.Sequential:
        outputs, downsample = planes * block.expansion, None
        if stride != 1 or self.inplanes != outputs:
            strides = builder.get_downsample_stride(stride)
            convolution = nn.Conv3d(self.inplanes, outputs, kernel_size=1, stride=strides, bias=False)
            downsample = nn.Sequential(convolution, nn.BatchNorm3d(outputs))
        blocks = [block(self.inplanes, planes, builder, stride, downsample)]
        self.inplanes = outputs
        return nn.Sequential(*blocks, *(block(outputs, planes, builder) for _ in range(1, count)))

    def _initialize(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.fc.weight, 0, 0.01)
        assert self.fc.bias is not None
        nn.init.zeros_(self.fc.bias)
        for module in self.modules():
            if zero_init_residual and isinstance(module, BasicBlock | Bottleneck):
                last: Any = module.conv3 if isinstance(module, Bottleneck) else module.conv2
                nn.init.zeros_(last[-1].weight)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        scores: fb.Tensor = self.fc(self.avgpool(x).flatten(1))
        return scores


@register_video_model
def r3d_18(**options: Any) -> VideoResNet:
    """Build :class:`VideoResNet` with 18 layers of 3x3x3 convolutions (33,371,472 parameters)."""
    return VideoResNet(BasicBlock, [Conv3DSimple] * 4, [2, 2, 2, 2], BasicStem, **options)


@register_video_model
def mc3_18(**options: Any) -> VideoResNet:
    """Build :class:`VideoResNet` with 18 layers, 3D in the first stage, otherwise 2D (11,695,440 parameters)."""
    return VideoResNet(BasicBlock, [Conv3DSimple, *[Conv3DNoTemporal] * 3], [2, 2, 2, 2], BasicStem, **options)


@register_video_model
def r2plus1d_18(**options: Any) -> VideoResNet:
    """Build :class:`VideoResNet` with 18 layers, factorised into space and time (31,505,325 parameters)."""
    return VideoResNet(BasicBlock, [Conv2Plus1D] * 4, [2, 2, 2, 2], R2Plus1dStem, **options)
