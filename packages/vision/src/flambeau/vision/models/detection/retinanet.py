"""RetinaNet: boxes of objects and their classes in one stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import Conv2dNormActivation, sigmoid_focal_loss
from ...ops.feature_pyramid_network import LastLevelP6P7, rename_keys
from .._backbones import Backbone, register_on_backbone
from .._published import published_in
from ._detector import HeadOutputs, Losses, Targets, Tensors
from ._matching import BoxCoder, Matcher, box_loss, match_anchors
from ._one_stage import OneStageDetector
from .anchor_utils import AnchorGenerator
from .backbone_utils import resnet_extractor
from .faster_rcnn import IMAGE_MEAN, IMAGE_STD, check_backbone, check_kind
from .rpn import by_anchor, init_head, prediction_layer
from .transform import GeneralizedRCNNTransform

__all__ = [
    "RetinaNet",
    "RetinaNetClassificationHead",
    "RetinaNetHead",
    "RetinaNetRegressionHead",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
]

__getattr__ = published_in(__name__)

Norm = Callable[..., nn.Module]


def _default_anchors() -> AnchorGenerator:
    sizes = tuple((side, int(side * 2 ** (1 / 3)), int(side * 2 ** (2 / 3))) for side in (32, 64, 128, 256, 512))
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))


class _Tower(nn.Module):
    """Base class of heads, with four convolutions before the prediction layer that all feature maps share."""

    _version = 2  # since version 2, each convolution is in a Sequential with its normalisation

    def __init__(self, in_channels: int, norm_layer: Norm | None) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(Conv2dNormActivation(in_channels, in_channels, norm_layer=norm_layer) for _ in range(4))
        )
        init_head(self.conv)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *others: Any
    ) -> None:
        if local_metadata.get("version", 1) < 2:
            renamed = {
                f"{prefix}conv.{2 * index}.{kind}": f"{prefix}conv.{index}.0.{kind}"
                for index in range(4)
                for kind in ("weight", "bias")
            }
            rename_keys(state_dict, renamed)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)


class RetinaNetClassificationHead(_Tower):
    """Head that predicts class logits.

    Args:
        in_channels: number of channels of the feature maps.
        num_anchors: number of anchors at each pixel.
        num_classes: number of logits of each anchor.
        prior_probability: initial probability of an object, which determines the bias of the last layer.
        norm_layer: normalisation after each convolution; None for no normalisation.

    Shapes: a list of maps ``(N, C, H, W)``; the result is ``(N, anchors, num_classes)``.

    >>> head = RetinaNetClassificationHead(8, num_anchors=9, num_classes=3)
    >>> head([fb.zeros(2, 8, 8, 8), fb.zeros(2, 8, 4, 4)]).shape  # 9 * (8 * 8 + 4 * 4) anchors
    flambeau.Size([2, 720, 3])
    """

    def __init__(
        self,
        in_channels: int,
        num_anchors: int,
        num_classes: int,
        prior_probability: float = 0.01,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__(in_channels, norm_layer)
        self.cls_logits = prediction_layer(in_channels, num_anchors * num_classes, prior_probability)
        self.num_classes = num_classes
        self.num_anchors = num_anchors

    def compute_loss(self, targets: Targets, head_outputs: HeadOutputs, matched_idxs: Tensors) -> fb.Tensor:
        """Compute the focal loss over matched and background anchors, divided by the number of matched anchors."""
        losses = []
        for target, logits, matches in zip(targets, head_outputs["cls_logits"], matched_idxs, strict=True):
            foreground = fb.where(matches >= 0)[0]
            truth = fb.zeros_like(logits)
            truth[foreground, target["labels"][matches[foreground]]] = 1.0
            counted = matches != Matcher.BETWEEN_THRESHOLDS
            loss = sigmoid_focal_loss(logits[counted], truth[counted], reduction="sum")
            losses.append(loss / max(1, len(foreground)))
        return fb.stack(losses).mean()

    def forward(self, x: Sequence[fb.Tensor]) -> fb.Tensor:
        return by_anchor([self.cls_logits(self.conv(map)) for map in x], self.num_classes)


class RetinaNetRegressionHead(_Tower):
    """Head that predicts box codes ``(N, anchors, 4)`` from maps ``(N, C, H, W)``.

    Arguments as in :class:`RetinaNetClassificationHead`.

    >>> RetinaNetRegressionHead(8, num_anchors=9)([fb.zeros(2, 8, 8, 8), fb.zeros(2, 8, 4, 4)]).shape
    flambeau.Size([2, 720, 4])
    """

    def __init__(self, in_channels: int, num_anchors: int, norm_layer: Norm | None = None) -> None:
        super().__init__(in_channels, norm_layer)
        self.bbox_reg = prediction_layer(in_channels, num_anchors * 4)
        self.box_coder = BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self._loss_type = "l1"

    def compute_loss(
        self, targets: Targets, head_outputs: HeadOutputs, anchors: Tensors, matched_idxs: Tensors
    ) -> fb.Tensor:
        """Compute the sum of the box losses of matched anchors, divided by the number of matched anchors."""
        losses = []
        codes = head_outputs["bbox_regression"]
        for target, own, boxes, matches in zip(targets, codes, anchors, matched_idxs, strict=True):
            foreground = fb.where(matches >= 0)[0]
            truth = target["boxes"][matches[foreground]]
            loss = box_loss(self._loss_type, self.box_coder, boxes[foreground], truth, own[foreground])
            losses.append(loss / max(1, len(foreground)))
        return fb.stack(losses).mean()

    def forward(self, x: Sequence[fb.Tensor]) -> fb.Tensor:
        return by_anchor([self.bbox_reg(self.conv(map)) for map in x], 4)


class RetinaNetHead(nn.Module):
    """Heads for class logits and box codes. Arguments as in :class:`RetinaNetClassificationHead`.

    >>> result = RetinaNetHead(8, num_anchors=9, num_classes=3)([fb.zeros(2, 8, 8, 8), fb.zeros(2, 8, 4, 4)])
    >>> {name: tuple(value.shape) for name, value in result.items()}
    {'cls_logits': (2, 720, 3), 'bbox_regression': (2, 720, 4)}
    """

    def __init__(self, in_channels: int, num_anchors: int, num_classes: int, norm_layer: Norm | None = None) -> None:
        super().__init__()
        self.classification_head = RetinaNetClassificationHead(
            in_channels, num_anchors, num_classes, norm_layer=norm_layer
        )
        self.regression_head = RetinaNetRegressionHead(in_channels, num_anchors, norm_layer=norm_layer)

    def compute_loss(
        self, targets: Targets, head_outputs: HeadOutputs, anchors: Tensors, matched_idxs: Tensors
    ) -> Losses:
        """Return a dictionary of the classification loss and the box loss."""
        return {
            "classification": self.classification_head.compute_loss(targets, head_outputs, matched_idxs),
            "bbox_regression": self.regression_head.compute_loss(targets, head_outputs, anchors, matched_idxs),
        }

    def forward(self, x: Sequence[fb.Tensor]) -> dict[str, fb.Tensor]:
        return {"cls_logits": self.classification_head(x), "bbox_regression": self.regression_head(x)}


class RetinaNet(OneStageDetector):
    """RetinaNet: one-stage detector that predicts boxes and classes for all anchors at once.

    Args:
        backbone: module that returns a feature map or a dictionary of feature maps. All maps have
            ``backbone.out_channels`` channels.
        num_classes: number of logits; the number of classes plus 1 if the labels begin at 1.
        min_size, max_size, image_mean, image_std, kwargs: arguments of
            :class:`~flambeau.vision.models.detection.transform.GeneralizedRCNNTransform`.
        anchor_generator, head, proposal_matcher: objects that replace the default objects.
        score_thresh, nms_thresh, detections_per_img: minimum score, IoU threshold of the non-maximum suppression, and
            maximum number of detections.
        fg_iou_thresh, bg_iou_thresh: an anchor is matched with a true box if their IoU is at least the first number.
            It is background if its IoU with all boxes is below the second number.
        topk_candidates: number of highest scores of each feature map to consider.

    Shapes, targets and detections: as in :class:`~flambeau.vision.models.detection.FasterRCNN`; the losses are
    ``classification`` and ``bbox_regression``.
    Raises: ValueError and TypeError for invalid arguments.
    Source: Lin et al. 2017, arXiv:1708.02002.

    >>> backbone, anchors = nn.Conv2d(3, 8, 3, stride=8), AnchorGenerator(((16,),), ((1.0,),))
    >>> model = RetinaNet(backbone, num_classes=3, min_size=32, anchor_generator=anchors)
    >>> targets = [{"boxes": fb.tensor([[4.0, 4.0, 20.0, 20.0]]), "labels": fb.tensor([1])}]
    >>> sorted(model([fb.rand(3, 32, 48)], targets))
    ['bbox_regression', 'classification']
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int,
        min_size: int | Sequence[int] = 800,
        max_size: int = 1333,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        anchor_generator: AnchorGenerator | None = None,
        head: Any = None,
        proposal_matcher: Matcher | None = None,
        score_thresh: float = 0.05,
        nms_thresh: float = 0.5,
        detections_per_img: int = 300,
        fg_iou_thresh: float = 0.5,
        bg_iou_thresh: float = 0.4,
        topk_candidates: int = 1000,
        **kwargs: Any,
    ) -> None:
        check_backbone(backbone)
        check_kind("anchor_generator", anchor_generator, AnchorGenerator)
        anchors = anchor_generator or _default_anchors()
        per_pixel = anchors.num_anchors_per_location()[0]
        super().__init__(
            backbone,
            anchors,
            head or RetinaNetHead(backbone.out_channels, per_pixel, num_classes),
            BoxCoder(weights=(1.0, 1.0, 1.0, 1.0)),
            GeneralizedRCNNTransform(min_size, max_size, image_mean or IMAGE_MEAN, image_std or IMAGE_STD, **kwargs),
            score_thresh=score_thresh,
            nms_thresh=nms_thresh,
            detections_per_img=detections_per_img,
            topk_candidates=topk_candidates,
        )
        self.proposal_matcher = proposal_matcher or Matcher(
            fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True
        )

    def compute_loss(self, targets: Targets, head_outputs: HeadOutputs, anchors: Tensors) -> Losses:
        """Match anchors with boxes, and return the losses of the head."""
        matched = match_anchors(self.proposal_matcher, targets, anchors)
        losses: Losses = self.head.compute_loss(targets, head_outputs, anchors, matched)
        return losses

    def _losses(self, targets: Targets, outputs: HeadOutputs, anchors: Tensors, pixels: Sequence[int]) -> Losses:
        return self.compute_loss(targets, outputs, anchors)


@register_on_backbone(Backbone("resnet50", freezes_norm=True), "IMAGENET1K_V1", stages=5)
def retinanet_resnet50_fpn(backbone: nn.Module, num_classes: int, trainable_layers: int, **options: Any) -> RetinaNet:
    """Build :class:`RetinaNet` with a ResNet-50 backbone (34,014,999 parameters with 91 classes).

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = retinanet_resnet50_fpn(weights_backbone=None, num_classes=5)
    >>> model.head.classification_head.cls_logits
    Conv2d(256, 45, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """
    # As in the paper, omit the largest feature map, because it has too many anchors.
    network = resnet_extractor(backbone, trainable_layers, [2, 3, 4], LastLevelP6P7(256, 256))
    return RetinaNet(network, num_classes, **options)


@register_on_backbone(Backbone("resnet50"), None, stages=5)
def retinanet_resnet50_fpn_v2(
    backbone: nn.Module, num_classes: int, trainable_layers: int, **options: Any
) -> RetinaNet:
    """Build :class:`RetinaNet` with group normalisation and a GIoU loss (38,198,935 parameters with 91 classes).

    Source: Zhang et al. 2019, arXiv:1912.02424.

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = retinanet_resnet50_fpn_v2(weights_backbone=None, num_classes=5)
    >>> model.head.classification_head.cls_logits
    Conv2d(256, 45, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """
    network = resnet_extractor(backbone, trainable_layers, [2, 3, 4], LastLevelP6P7(2048, 256))
    anchors = _default_anchors()
    per_pixel = anchors.num_anchors_per_location()[0]
    head = RetinaNetHead(network.out_channels, per_pixel, num_classes, norm_layer=partial(nn.GroupNorm, 32))
    head.regression_head._loss_type = "giou"
    return RetinaNet(network, num_classes, **{"anchor_generator": anchors, "head": head, **options})
