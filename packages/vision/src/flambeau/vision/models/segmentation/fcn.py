"""Fully convolutional networks."""

from __future__ import annotations

from typing import Any

from flambeau import nn

from .._backbones import Backbone, register_on_backbone
from .._published import published_in
from ._frame import SegmentationModel, normalized, resnet_maps

__all__ = ["FCN", "FCNHead", "fcn_resnet101", "fcn_resnet50"]

__getattr__ = published_in(__name__)

_DILATED: dict[str, Any] = {"replace_stride_with_dilation": [False, True, True]}


class FCN(SegmentationModel):
    """Fully convolutional network. Arguments and shapes as in :class:`SegmentationModel`.

    Source: Long et al. 2014, arXiv:1411.4038.

    >>> class Backbone(nn.Conv2d):
    ...     def forward(self, x):
    ...         return {"out": super().forward(x)}
    >>> FCN(Backbone(3, 8, 3, stride=2), FCNHead(8, 5))(fb.zeros(2, 3, 32, 48))["out"].shape
    flambeau.Size([2, 5, 32, 48])
    """


class FCNHead(nn.Sequential):
    """Two convolutions that compute logits of ``channels`` classes.

    Shapes: ``(N, in_channels, H, W)``; the result is ``(N, channels, H, W)``.

    >>> FCNHead(in_channels=8, channels=5)(fb.zeros(2, 8, 6, 6)).shape
    flambeau.Size([2, 5, 6, 6])
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        between = in_channels // 4
        super().__init__(*normalized(in_channels, between, 3), nn.Dropout(0.1), nn.Conv2d(between, channels, 1))


def _fcn(backbone: nn.Module, num_classes: int, aux_loss: bool | None) -> FCN:
    auxiliary = FCNHead(1024, num_classes) if aux_loss else None
    return FCN(resnet_maps(backbone, aux_loss), FCNHead(2048, num_classes), auxiliary)


@register_on_backbone(Backbone("resnet50", norm_layer=None, options=_DILATED), "IMAGENET1K_V1", num_classes=21)
def fcn_resnet50(backbone: nn.Module, num_classes: int, aux_loss: bool | None = None) -> FCN:
    """Build :class:`FCN` with a ResNet-50 backbone (35,322,218 parameters with both heads and 21 classes)."""
    return _fcn(backbone, num_classes, aux_loss)


@register_on_backbone(Backbone("resnet101", norm_layer=None, options=_DILATED), "IMAGENET1K_V1", num_classes=21)
def fcn_resnet101(backbone: nn.Module, num_classes: int, aux_loss: bool | None = None) -> FCN:
    """Build :class:`FCN` with a ResNet-101 backbone (54,314,346 parameters with both heads and 21 classes)."""
    return _fcn(backbone, num_classes, aux_loss)
