"""Base class of segmentation models."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import flambeau as fb
from flambeau import nn

from .._intermediate_layers import IntermediateLayerGetter


class SegmentationModel(nn.Module):
    """Base class of segmentation models, which compute class logits of feature maps and resize them to the image.

    Args:
        backbone: module that returns a dictionary of feature maps: ``"out"`` and, for the auxiliary classifier,
            ``"aux"``.
        classifier, aux_classifier: modules that compute logits from a feature map; ``aux_classifier`` may be None.

    Shapes: ``(N, 3, H, W)``. The result is a dictionary of ``out`` and optionally ``aux``, both
    ``(N, classes, H, W)``.
    """

    def __init__(self, backbone: nn.Module, classifier: nn.Module, aux_classifier: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.aux_classifier = aux_classifier

    def forward(self, x: fb.Tensor) -> OrderedDict[str, fb.Tensor]:
        features = self.backbone(x)
        result = OrderedDict([("out", resize_like(self.classifier(features["out"]), x))])
        if self.aux_classifier is not None:
            result["aux"] = resize_like(self.aux_classifier(features["aux"]), x)
        return result


def resize_like(map: fb.Tensor, like: fb.Tensor) -> fb.Tensor:
    """Resize a map to another map's height and width."""
    return nn.functional.interpolate(map, size=like.shape[-2:], mode="bilinear", align_corners=False)


def normalized(in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1) -> list[nn.Module]:
    """Return a size-preserving convolution without bias, batch normalisation and ReLU."""
    padding = dilation if kernel_size == 3 else 0
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    ]


def resnet_maps(backbone: nn.Module, aux_loss: bool | None) -> IntermediateLayerGetter:
    """Return a module that computes the last map of a ResNet and, for an auxiliary loss, the second-last map."""
    return IntermediateLayerGetter(backbone, {**({"layer3": "aux"} if aux_loss else {}), "layer4": "out"})


def mobilenet_stages(backbone: Any) -> tuple[Any, list[int]]:
    """Return the blocks of a MobileNet, and the indices of the blocks that begin a stage, and of the last block."""
    blocks = backbone.features
    strided = [index for index, block in enumerate(blocks) if getattr(block, "_is_cn", False)]
    return blocks, [0, *strided, len(blocks) - 1]
