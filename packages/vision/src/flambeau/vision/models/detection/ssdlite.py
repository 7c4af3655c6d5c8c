"""SSDlite: SSD with separable convolutions, for small devices."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import Conv2dNormActivation
from .._backbones import Backbone, register_on_backbone
from .._published import published_in
from ._matching import retrieve_out_channels
from .anchor_utils import DefaultBoxGenerator
from .ssd import SSD, SSDScoringHead, check_maps

__all__ = ["SSDLiteClassificationHead", "SSDLiteHead", "SSDLiteRegressionHead", "ssdlite320_mobilenet_v3_large"]

__getattr__ = published_in(__name__)

Norm = Callable[..., nn.Module]

_NORM: Norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)


def _init_normal(layers: nn.Module) -> None:
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, mean=0.0, std=0.03)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _predictors(
    in_channels: Sequence[int], num_anchors: Sequence[int], columns: int, norm_layer: Norm
) -> nn.ModuleList:
    """Return a depthwise 3x3 convolution and a pointwise convolution for each feature map."""
    heads = nn.ModuleList(
        nn.Sequential(
            Conv2dNormActivation(
                channels, channels, kernel_size=3, groups=channels, norm_layer=norm_layer, activation_layer=nn.ReLU6
            ),
            nn.Conv2d(channels, columns * count, 1),
        )
        for channels, count in zip(in_channels, num_anchors, strict=False)
    )
    _init_normal(heads)
    return heads


class SSDLiteClassificationHead(SSDScoringHead):
    """Head that predicts class logits. Arguments as in :class:`SSDLiteHead`.

    >>> head = SSDLiteClassificationHead([8, 16], [4, 6], num_classes=3, norm_layer=nn.BatchNorm2d)
    >>> head([fb.zeros(2, 8, 8, 8), fb.zeros(2, 16, 4, 4)]).shape
    flambeau.Size([2, 352, 3])
    """

    def __init__(
        self, in_channels: Sequence[int], num_anchors: Sequence[int], num_classes: int, norm_layer: Norm
    ) -> None:
        super().__init__(_predictors(in_channels, num_anchors, num_classes, norm_layer), num_classes)


class SSDLiteRegressionHead(SSDScoringHead):
    """Head that predicts box codes. Arguments as in :class:`SSDLiteHead`.

    >>> head = SSDLiteRegressionHead([8, 16], [4, 6], norm_layer=nn.BatchNorm2d)
    >>> head([fb.zeros(2, 8, 8, 8), fb.zeros(2, 16, 4, 4)]).shape
    flambeau.Size([2, 352, 4])
    """

    def __init__(self, in_channels: Sequence[int], num_anchors: Sequence[int], norm_layer: Norm) -> None:
        super().__init__(_predictors(in_channels, num_anchors, 4, norm_layer), 4)


class SSDLiteHead(nn.Module):
    """Heads that predict class logits and box codes with separable convolutions.

    For each feature map, ``in_channels`` contains the number of channels, and ``num_anchors`` the number of anchors per
    pixel.

    >>> head = SSDLiteHead([8, 16], [4, 6], num_classes=3, norm_layer=nn.BatchNorm2d)
    >>> {name: tuple(value.shape) for name, value in head([fb.zeros(2, 8, 8, 8), fb.zeros(2, 16, 4, 4)]).items()}
    {'bbox_regression': (2, 352, 4), 'cls_logits': (2, 352, 3)}
    """

    def __init__(
        self, in_channels: Sequence[int], num_anchors: Sequence[int], num_classes: int, norm_layer: Norm
    ) -> None:
        super().__init__()
        self.classification_head = SSDLiteClassificationHead(in_channels, num_anchors, num_classes, norm_layer)
        self.regression_head = SSDLiteRegressionHead(in_channels, num_anchors, norm_layer)

    def forward(self, x: Sequence[fb.Tensor]) -> dict[str, fb.Tensor]:
        return {"bbox_regression": self.regression_head(x), "cls_logits": self.classification_head(x)}


def _halving_layers(in_channels: int, out_channels: int, norm_layer: Norm) -> nn.Sequential:
    """Return layers that halve the size of a map with a depthwise 3x3 convolution."""
    activated = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
    between = out_channels // 2
    return nn.Sequential(
        activated(in_channels, between, kernel_size=1),
        activated(between, between, kernel_size=3, stride=2, groups=between),
        activated(between, out_channels, kernel_size=1),
    )


class SSDLiteFeatureExtractorMobileNet(nn.Module):
    """Backbone that computes six feature maps with a MobileNet and additional convolutions.

    The first map is the output of the expansion layer in the block ``c4_pos``. The second map is the output of the
    MobileNet. Each of the other four maps has half the size of the previous map.

    Raises: ValueError if the block ``c4_pos`` has a residual connection.
    """

    def __init__(
        self, backbone: Any, c4_pos: int, norm_layer: Norm, width_mult: float = 1.0, min_depth: int = 16
    ) -> None:
        super().__init__()
        if backbone[c4_pos].use_res_connect:
            raise ValueError("backbone[c4_pos].use_res_connect should be False")
        block = backbone[c4_pos].block
        self.features = nn.Sequential(
            nn.Sequential(*backbone[:c4_pos], block[0]),  # the first map is the output of the expansion layer
            nn.Sequential(block[1:], *backbone[c4_pos + 1 :]),
        )
        depths = [max(min_depth, int(depth * width_mult)) for depth in (512, 256, 256, 128)]
        inputs = [backbone[-1].out_channels, *depths[:-1]]
        self.extra = nn.ModuleList(
            _halving_layers(before, after, norm_layer) for before, after in zip(inputs, depths, strict=True)
        )
        _init_normal(self.extra)

    def forward(self, x: fb.Tensor) -> OrderedDict[str, fb.Tensor]:
        maps = []
        for block in (*self.features, *self.extra):
            x = block(x)
            maps.append(x)
        return OrderedDict((str(index), map) for index, map in enumerate(maps))


def _mobilenet_maps(backbone: Any, trainable_layers: int) -> SSDLiteFeatureExtractorMobileNet:
    features = backbone.features
    last = len(features) - 1
    starts = [0, *(index for index, block in enumerate(features) if getattr(block, "_is_cn", False)), last]
    fixed = len(features) if trainable_layers == 0 else starts[len(starts) - trainable_layers]
    for block in features[:fixed]:
        block.requires_grad_(False)
    return SSDLiteFeatureExtractorMobileNet(features, starts[-2], _NORM)


@register_on_backbone(
    Backbone(
        "mobilenet_v3_large", norm_layer=_NORM, untrained_options={"reduced_tail": True}, prepare_untrained=_init_normal
    ),
    "IMAGENET1K_V1",
    stages=6,
    learning=6,
)
def ssdlite320_mobilenet_v3_large(backbone: nn.Module, num_classes: int, trainable_layers: int, **options: Any) -> SSD:
    """Build :class:`SSD` for 320x320 pixels with a reduced MobileNetV3 backbone (3,440,060 parameters with 91 classes).

    Source: Howard et al. 2019, arXiv:1905.02244; Sandler et al. 2018, arXiv:1801.04381.

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = ssdlite320_mobilenet_v3_large(weights_backbone=None, num_classes=5)
    >>> model.transform.fixed_size, model.anchor_generator.num_anchors_per_location()
    ((320, 320), [6, 6, 6, 6, 6, 6])
    """
    maps = _mobilenet_maps(backbone, trainable_layers)
    boxes = DefaultBoxGenerator([[2, 3] for _ in range(6)], min_ratio=0.2, max_ratio=0.95)
    channels = retrieve_out_channels(maps, (320, 320))
    check_maps(channels, boxes)
    head = SSDLiteHead(channels, boxes.num_anchors_per_location(), num_classes, _NORM)
    usual = {
        "score_thresh": 0.001,
        "nms_thresh": 0.55,
        "detections_per_img": 300,
        "topk_candidates": 300,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    return SSD(maps, boxes, (320, 320), num_classes, head=head, **{**usual, **options})
