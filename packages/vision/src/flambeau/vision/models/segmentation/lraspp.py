"""Lite R-ASPP: segmentation for small devices."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import flambeau as fb
from flambeau import nn

from .._backbones import Backbone, register_on_backbone
from .._intermediate_layers import IntermediateLayerGetter
from .._published import published_in
from ._frame import mobilenet_stages, resize_like

__all__ = ["LRASPP", "LRASPPHead", "lraspp_mobilenet_v3_large"]

__getattr__ = published_in(__name__)


class LRASPP(nn.Module):
    """Lite R-ASPP, which computes logits of each pixel from a large and a small feature map.

    Args:
        backbone: module that returns a dictionary of the larger, low-level feature map ``"low"`` and the smaller
            feature map ``"high"``.
        low_channels, high_channels: numbers of channels of these maps.
        num_classes: number of classes, including the background.
        inter_channels: number of channels between the layers.

    Shapes: ``(N, 3, H, W)``. The result is a dictionary of ``out``, ``(N, num_classes, H, W)``.
    Source: Howard et al. 2019, arXiv:1905.02244.

    >>> layers = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 8, 3, stride=2))
    >>> model = LRASPP(IntermediateLayerGetter(layers, {"0": "low", "1": "high"}), 4, 8, num_classes=5)
    >>> model(fb.zeros(2, 3, 32, 48))["out"].shape
    flambeau.Size([2, 5, 32, 48])
    """

    def __init__(
        self, backbone: nn.Module, low_channels: int, high_channels: int, num_classes: int, inter_channels: int = 128
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = LRASPPHead(low_channels, high_channels, num_classes, inter_channels)

    def forward(self, input: fb.Tensor) -> OrderedDict[str, fb.Tensor]:
        return OrderedDict([("out", resize_like(self.classifier(self.backbone(input)), input))])


class LRASPPHead(nn.Module):
    """Head that computes logits at the size of the larger map.

    The channels of the smaller map are multiplied by factors that depend on the mean of the map.

    >>> head = LRASPPHead(low_channels=4, high_channels=8, num_classes=5, inter_channels=16)
    >>> head({"low": fb.zeros(2, 4, 16, 16), "high": fb.zeros(2, 8, 8, 8)}).shape
    flambeau.Size([2, 5, 16, 16])
    """

    def __init__(self, low_channels: int, high_channels: int, num_classes: int, inter_channels: int) -> None:
        super().__init__()
        self.cbr = nn.Sequential(
            nn.Conv2d(high_channels, inter_channels, 1, bias=False),
            nn.BatchNorm2d(inter_channels),
            nn.ReLU(inplace=True),
        )
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(high_channels, inter_channels, 1, bias=False), nn.Sigmoid()
        )
        self.low_classifier = nn.Conv2d(low_channels, num_classes, 1)
        self.high_classifier = nn.Conv2d(inter_channels, num_classes, 1)

    def forward(self, input: Mapping[str, fb.Tensor]) -> fb.Tensor:
        low, high = input["low"], input["high"]
        weighted = resize_like(self.cbr(high) * self.scale(high), low)
        scores: fb.Tensor = self.low_classifier(low) + self.high_classifier(weighted)
        return scores


@register_on_backbone(
    Backbone("mobilenet_v3_large", norm_layer=None, options={"dilated": True}), "IMAGENET1K_V1", num_classes=21
)
def lraspp_mobilenet_v3_large(backbone: nn.Module, num_classes: int, aux_loss: bool | None = None) -> LRASPP:
    """Build :class:`LRASPP` with a MobileNetV3 backbone (3,221,538 parameters with 21 classes)."""
    if aux_loss:
        raise NotImplementedError("This model does not use auxiliary loss")
    blocks, stages = mobilenet_stages(backbone)
    low, high = stages[-4], stages[-1]
    maps = IntermediateLayerGetter(blocks, {str(low): "low", str(high): "high"})
    return LRASPP(maps, blocks[low].out_channels, blocks[high].out_channels, num_classes)
