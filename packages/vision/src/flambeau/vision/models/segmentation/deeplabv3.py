"""DeepLab V3: segmentation with parallel dilated convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from .._backbones import Backbone, register_on_backbone
from .._intermediate_layers import IntermediateLayerGetter
from .._published import published_in
from ._frame import SegmentationModel, mobilenet_stages, normalized, resize_like, resnet_maps
from .fcn import FCNHead

__all__ = [
    "ASPP",
    "ASPPConv",
    "ASPPPooling",
    "DeepLabHead",
    "DeepLabV3",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet101",
    "deeplabv3_resnet50",
]

__getattr__ = published_in(__name__)

_DILATED: dict[str, Any] = {"replace_stride_with_dilation": [False, True, True]}


class DeepLabV3(SegmentationModel):
    """DeepLab V3. Arguments and shapes as in :class:`SegmentationModel`.

    Source: Chen et al. 2017, arXiv:1706.05587.

    >>> backbone = IntermediateLayerGetter(nn.Sequential(nn.Conv2d(3, 8, 3, stride=2)), {"0": "out"})
    >>> DeepLabV3(backbone, DeepLabHead(8, 5, [2, 4]))(fb.zeros(2, 3, 32, 48))["out"].shape
    flambeau.Size([2, 5, 32, 48])
    """


class DeepLabHead(nn.Sequential):
    """Head that computes class logits ``(N, num_classes, H, W)`` from a map ``(N, in_channels, H, W)``.

    ``atrous_rates`` contains the dilations in :class:`ASPP`.

    >>> DeepLabHead(8, num_classes=5, atrous_rates=[2, 4])(fb.zeros(2, 8, 12, 12)).shape
    flambeau.Size([2, 5, 12, 12])
    """

    def __init__(self, in_channels: int, num_classes: int, atrous_rates: Sequence[int] = (12, 24, 36)) -> None:
        super().__init__(ASPP(in_channels, atrous_rates), *normalized(256, 256, 3), nn.Conv2d(256, num_classes, 1))


class ASPPConv(nn.Sequential):
    """Sequence of a dilated 3x3 convolution, a normalisation and ReLU.

    >>> ASPPConv(8, 16, dilation=4)(fb.zeros(2, 8, 12, 12)).shape
    flambeau.Size([2, 16, 12, 12])
    """

    def __init__(self, in_channels: int, out_channels: int, dilation: int) -> None:
        super().__init__(*normalized(in_channels, out_channels, 3, dilation))


class ASPPPooling(nn.Sequential):
    """Global average pooling and a 1x1 convolution, expanded to the size of the input.

    >>> ASPPPooling(8, 16)(fb.zeros(2, 8, 12, 12)).shape
    flambeau.Size([2, 16, 12, 12])
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), *normalized(in_channels, out_channels, 1))

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        return resize_like(super().forward(input), input)


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: parallel 1x1 convolution, dilated 3x3 convolutions and global pooling.

    Args:
        in_channels, out_channels: numbers of channels of input and output.
        atrous_rates: dilations of the 3x3 convolutions.

    Shapes: ``(N, in_channels, H, W)``; the result is ``(N, out_channels, H, W)``.

    >>> ASPP(8, atrous_rates=[2, 4], out_channels=16)(fb.zeros(2, 8, 12, 12)).shape
    flambeau.Size([2, 16, 12, 12])
    """

    def __init__(self, in_channels: int, atrous_rates: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Sequential(*normalized(in_channels, out_channels, 1)),
                *(ASPPConv(in_channels, out_channels, rate) for rate in atrous_rates),
                ASPPPooling(in_channels, out_channels),
            ]
        )
        self.project = nn.Sequential(*normalized(len(self.convs) * out_channels, out_channels, 1), nn.Dropout(0.5))

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        result: fb.Tensor = self.project(fb.cat([conv(x) for conv in self.convs], 1))
        return result


def _deeplab(backbone: nn.Module, num_classes: int, aux_loss: bool | None) -> DeepLabV3:
    auxiliary = FCNHead(1024, num_classes) if aux_loss else None
    return DeepLabV3(resnet_maps(backbone, aux_loss), DeepLabHead(2048, num_classes), auxiliary)


@register_on_backbone(Backbone("resnet50", norm_layer=None, options=_DILATED), "IMAGENET1K_V1", num_classes=21)
def deeplabv3_resnet50(backbone: nn.Module, num_classes: int, aux_loss: bool | None = None) -> DeepLabV3:
    """Build :class:`DeepLabV3` with a ResNet-50 backbone (42,004,074 parameters with both heads and 21 classes)."""
    return _deeplab(backbone, num_classes, aux_loss)


@register_on_backbone(Backbone("resnet101", norm_layer=None, options=_DILATED), "IMAGENET1K_V1", num_classes=21)
def deeplabv3_resnet101(backbone: nn.Module, num_classes: int, aux_loss: bool | None = None) -> DeepLabV3:
    """Build :class:`DeepLabV3` with a ResNet-101 backbone (60,996,202 parameters with both heads and 21 classes)."""
    return _deeplab(backbone, num_classes, aux_loss)


@register_on_backbone(
    Backbone("mobilenet_v3_large", norm_layer=None, options={"dilated": True}), "IMAGENET1K_V1", num_classes=21
)
def deeplabv3_mobilenet_v3_large(backbone: nn.Module, num_classes: int, aux_loss: bool | None = None) -> DeepLabV3:
    """Build :class:`DeepLabV3` with a MobileNetV3 backbone (11,029,328 parameters with both heads and 21 classes)."""
    blocks, stages = mobilenet_stages(backbone)
    last, before = stages[-1], stages[-4]
    maps = {str(last): "out", **({str(before): "aux"} if aux_loss else {})}
    auxiliary = FCNHead(blocks[before].out_channels, num_classes) if aux_loss else None
    head = DeepLabHead(blocks[last].out_channels, num_classes)
    return DeepLabV3(IntermediateLayerGetter(blocks, maps), head, auxiliary)
