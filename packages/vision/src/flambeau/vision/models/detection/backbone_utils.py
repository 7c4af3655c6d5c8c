"""Backbones that consist of a classification network and optionally a feature pyramid."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import FrozenBatchNorm2d
from ...ops.feature_pyramid_network import ExtraFPNBlock, FeaturePyramidNetwork, LastLevelMaxPool
from .._backbones import _validate_trainable_layers as _validate_trainable_layers
from .._intermediate_layers import IntermediateLayerGetter
from .._registry import get_model_builder

Norm = Callable[..., nn.Module]

_STAGES = ("layer4", "layer3", "layer2", "layer1", "conv1")


class BackboneWithFPN(nn.Module):
    """Network with a feature pyramid over the outputs of some of its children.

    Args:
        backbone: the network, such as a ResNet.
        return_layers: dictionary that maps the names of the children whose outputs the pyramid uses to the names of
            feature maps.
        in_channels_list: number of channels of each of these outputs.
        out_channels: number of channels of the maps of the pyramid.
        extra_blocks: module that adds feature maps; by default
            :class:`~flambeau.vision.ops.feature_pyramid_network.LastLevelMaxPool`.
        norm_layer: normalisation in the pyramid; None for no normalisation.

    Shapes: ``(N, C, H, W)``; the result is a dictionary of maps ``(N, out_channels, H, W)``.
    """

    def __init__(
        self,
        backbone: nn.Module,
        return_layers: Mapping[str, str],
        in_channels_list: Sequence[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(backbone, return_layers=return_layers)
        self.fpn = FeaturePyramidNetwork(in_channels_list, out_channels, extra_blocks or LastLevelMaxPool(), norm_layer)
        self.out_channels = out_channels

    def forward(self, x: fb.Tensor) -> OrderedDict[str, fb.Tensor]:
        maps: OrderedDict[str, fb.Tensor] = self.fpn(self.body(x))
        return maps


def resnet_fpn_backbone(
    *,
    backbone_name: str,
    weights: Any,
    norm_layer: Norm = FrozenBatchNorm2d,
    trainable_layers: int = 3,
    returned_layers: Sequence[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
) -> BackboneWithFPN:
    """Build a ResNet with a feature pyramid. Some stages of the ResNet are frozen.

    Args:
        backbone_name: name of the model, such as ``"resnet50"``.
        weights: argument of the builder of the model; None for random weights.
        norm_layer: normalisation in the ResNet.
        trainable_layers: number of trainable stages, counted from the last of five.
        returned_layers: numbers 1 to 4 of the stages that the pyramid uses; all four by default.
        extra_blocks: as in :class:`BackboneWithFPN`.
    Raises: ValueError for stages that do not exist.
    """
    network = get_model_builder(backbone_name)(weights=weights, norm_layer=norm_layer)
    return resnet_extractor(network, trainable_layers, returned_layers, extra_blocks)


def resnet_extractor(
    backbone: Any,
    trainable_layers: int,
    returned_layers: Sequence[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    norm_layer: Norm | None = None,
) -> BackboneWithFPN:
    """Build a feature pyramid over a ResNet. The arguments are described in :func:`resnet_fpn_backbone`."""
    if not 0 <= trainable_layers <= 5:
        raise ValueError(f"Trainable layers should be in the range [0,5], got {trainable_layers}")
    learning = (*_STAGES[:trainable_layers], *(("bn1",) if trainable_layers == 5 else ()))
    for name, parameter in backbone.named_parameters():
        if not name.startswith(learning):
            parameter.requires_grad_(False)
    returned = [1, 2, 3, 4] if returned_layers is None else list(returned_layers)
    if min(returned) <= 0 or max(returned) >= 5:
        raise ValueError(f"Each returned layer should be in the range [1,4]. Got {returned}")
    layers = {f"layer{stage}": str(index) for index, stage in enumerate(returned)}
    channels = [backbone.inplanes // 8 * 2 ** (stage - 1) for stage in returned]
    return BackboneWithFPN(backbone, layers, channels, 256, extra_blocks, norm_layer)


def mobilenet_backbone(
    *,
    backbone_name: str,
    weights: Any,
    fpn: bool,
    norm_layer: Norm = FrozenBatchNorm2d,
    trainable_layers: int = 2,
    returned_layers: Sequence[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
) -> nn.Module:
    """Build a MobileNet that returns a feature pyramid or one feature map. Some stages of the MobileNet are frozen.

    Args:
        backbone_name: name of the model, such as ``"mobilenet_v3_large"``.
        weights: argument of the builder of the model; None for random weights.
        fpn: if True, add a feature pyramid; if False, return one feature map.
        norm_layer: normalisation in the MobileNet.
        trainable_layers: number of trainable stages, counted from the last.
        returned_layers: numbers of the stages that the pyramid uses; the last two by default.
        extra_blocks: as in :class:`BackboneWithFPN`.
    Raises: ValueError for stages that do not exist.
    """
    network = get_model_builder(backbone_name)(weights=weights, norm_layer=norm_layer)
    return mobilenet_extractor(network, fpn, trainable_layers, returned_layers, extra_blocks)


def mobilenet_extractor(
    backbone: Any,
    fpn: bool,
    trainable_layers: int,
    returned_layers: Sequence[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    norm_layer: Norm | None = None,
) -> nn.Module:
    """Build a backbone from the features of a MobileNet. The arguments are described in :func:`mobilenet_backbone`."""
    features = backbone.features
    last = len(features) - 1
    starts = [0, *(index for index, block in enumerate(features) if getattr(block, "_is_cn", False)), last]
    stages = len(starts)
    if not 0 <= trainable_layers <= stages:
        raise ValueError(f"Trainable layers should be in the range [0,{stages}], got {trainable_layers}")
    for block in features[: len(features) if trainable_layers == 0 else starts[stages - trainable_layers]]:
        block.requires_grad_(False)
    if not fpn:
        narrow = nn.Sequential(features, nn.Conv2d(features[-1].out_channels, 256, 1))
        narrow.out_channels = 256
        return narrow
    returned = [stages - 2, stages - 1] if returned_layers is None else list(returned_layers)
    if min(returned) < 0 or max(returned) >= stages:
        raise ValueError(f"Each returned layer should be in the range [0,{stages - 1}], got {returned}")
    layers = {str(starts[stage]): str(index) for index, stage in enumerate(returned)}
    channels = [features[starts[stage]].out_channels for stage in returned]
    return BackboneWithFPN(features, layers, channels, 256, extra_blocks, norm_layer)
