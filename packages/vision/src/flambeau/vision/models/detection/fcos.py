"""FCOS: object detection in which each pixel inside an object predicts a box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import generalized_box_iou_loss, sigmoid_focal_loss
from ...ops.feature_pyramid_network import LastLevelP6P7
from .._backbones import Backbone, register_on_backbone
from .._published import published_in
from ._detector import HeadOutputs, Losses, Targets, Tensors
from ._matching import BoxLinearCoder
from ._one_stage import OneStageDetector
from .anchor_utils import AnchorGenerator
from .backbone_utils import resnet_extractor
from .faster_rcnn import IMAGE_MEAN, IMAGE_STD, check_backbone, check_kind
from .rpn import by_anchor, init_head, prediction_layer
from .transform import GeneralizedRCNNTransform

__all__ = ["FCOS", "FCOSClassificationHead", "FCOSHead", "FCOSRegressionHead", "fcos_resnet50_fpn"]

__getattr__ = published_in(__name__)

Norm = Callable[..., nn.Module]

_GROUPS: Norm = partial(nn.GroupNorm, 32)
_LARGE_AREA = 1e8


def _tower(channels: int, count: int, norm_layer: Norm | None) -> nn.Sequential:
    norm = norm_layer or _GROUPS
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [nn.Conv2d(channels, channels, kernel_size=3, stride=1, padding=1), norm(channels), nn.ReLU()]
    tower = nn.Sequential(*layers)
    init_head(tower)
    return tower


class FCOSClassificationHead(nn.Module):
    """Head that predicts class logits.

    Args:
        in_channels: number of channels of the feature maps.
        num_anchors: number of anchors at each pixel.
        num_classes: number of logits of each anchor.
        num_convs: number of convolutions before the last convolution.
        prior_probability: initial probability of an object, which determines the bias of the last layer.
        norm_layer: normalisation after each convolution; None for group normalisation with 32 groups.

    Shapes: a list of maps ``(N, C, H, W)``; the result is ``(N, anchors, num_classes)``.

    >>> head = FCOSClassificationHead(32, num_anchors=1, num_classes=3)
    >>> head([fb.zeros(2, 32, 8, 8), fb.zeros(2, 32, 4, 4)]).shape  # 8 * 8 + 4 * 4 anchors
    flambeau.Size([2, 80, 3])
    """

    def __init__(
        self,
        in_channels: int,
        num_anchors: int,
        num_classes: int,
        num_convs: int = 4,
        prior_probability: float = 0.01,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_anchors = num_anchors
        self.conv = _tower(in_channels, num_convs, norm_layer)
        self.cls_logits = prediction_layer(in_channels, num_anchors * num_classes, prior_probability)

    def forward(self, x: Sequence[fb.Tensor]) -> fb.Tensor:
        return by_anchor([self.cls_logits(self.conv(map)) for map in x], self.num_classes)


class FCOSRegressionHead(nn.Module):
    """Head that predicts distances to the sides of boxes, ``(N, anchors, 4)``, and centredness, ``(N, anchors, 1)``.

    >>> distances, centredness = FCOSRegressionHead(32, num_anchors=1)([fb.zeros(2, 32, 8, 8), fb.zeros(2, 32, 4, 4)])
    >>> distances.shape, centredness.shape
    (flambeau.Size([2, 80, 4]), flambeau.Size([2, 80, 1]))
    """

    def __init__(self, in_channels: int, num_anchors: int, num_convs: int = 4, norm_layer: Norm | None = None) -> None:
        super().__init__()
        self.conv = _tower(in_channels, num_convs, norm_layer)
        self.bbox_reg = prediction_layer(in_channels, num_anchors * 4)
        self.bbox_ctrness = prediction_layer(in_channels, num_anchors)

    def forward(self, x: Sequence[fb.Tensor]) -> tuple[fb.Tensor, fb.Tensor]:
        maps = [self.conv(map) for map in x]
        distances = by_anchor([nn.functional.relu(self.bbox_reg(map)) for map in maps], 4)
        return distances, by_anchor([self.bbox_ctrness(map) for map in maps], 1)


class FCOSHead(nn.Module):
    """Heads for class logits, distances and centredness. Arguments as in :class:`FCOSClassificationHead`.

    >>> result = FCOSHead(32, num_anchors=1, num_classes=3)([fb.zeros(2, 32, 8, 8), fb.zeros(2, 32, 4, 4)])
    >>> {name: tuple(value.shape) for name, value in result.items()}
    {'cls_logits': (2, 80, 3), 'bbox_regression': (2, 80, 4), 'bbox_ctrness': (2, 80, 1)}
    """

    def __init__(self, in_channels: int, num_anchors: int, num_classes: int, num_convs: int = 4) -> None:
        super().__init__()
        self.box_coder = BoxLinearCoder(normalize_by_size=True)
        self.classification_head = FCOSClassificationHead(in_channels, num_anchors, num_classes, num_convs)
        self.regression_head = FCOSRegressionHead(in_channels, num_anchors, num_convs)

    def forward(self, x: Sequence[fb.Tensor]) -> dict[str, fb.Tensor]:
        distances, nearness = self.regression_head(x)
        return {"cls_logits": self.classification_head(x), "bbox_regression": distances, "bbox_ctrness": nearness}

    def compute_loss(
        self, targets: Targets, head_outputs: HeadOutputs, anchors: Tensors, matched_idxs: Tensors
    ) -> Losses:
        """Return the losses of all images, divided by the number of matched pixels."""
        logits = head_outputs["cls_logits"]
        matches = fb.stack(list(matched_idxs))
        foreground = matches >= 0
        pairs = list(zip(targets, matches, strict=True))
        labels = fb.cat([target["labels"][indices[indices >= 0]] for target, indices in pairs])
        truth = fb.cat([target["boxes"][indices[indices >= 0]] for target, indices in pairs])
        classes = fb.zeros_like(logits)
        classes[(*fb.where(foreground), labels)] = 1.0
        boxes = fb.stack(list(anchors))[foreground]
        found = self.box_coder.decode(head_outputs["bbox_regression"][foreground], boxes)
        nearness = head_outputs["bbox_ctrness"].squeeze(2)[foreground]
        wanted = _centerness(self.box_coder.encode(boxes, truth))
        losses = {
            "classification": sigmoid_focal_loss(logits, classes, reduction="sum"),
            "bbox_regression": generalized_box_iou_loss(found, truth, reduction="sum"),
            "bbox_ctrness": nn.functional.binary_cross_entropy_with_logits(nearness, wanted, reduction="sum"),
        }
        count = max(1, len(boxes))
        return {name: loss / count for name, loss in losses.items()}


def _centerness(distances: fb.Tensor) -> fb.Tensor:
    """Compute the centredness from the distances ``(L, 4)`` to the sides of a box: 1 at the centre, 0 at the sides."""
    across, down = distances[:, [0, 2]], distances[:, [1, 3]]
    return fb.sqrt(across.amin(-1) / across.amax(-1) * (down.amin(-1) / down.amax(-1)))


class FCOS(OneStageDetector):
    """FCOS: detector that predicts boxes and classes from pixels near the centres of objects.

    Args:
        backbone: module that returns a feature map or a dictionary of feature maps. All maps have
            ``backbone.out_channels`` channels.
        num_classes: number of logits; the number of classes plus 1 if the labels begin at 1.
        min_size, max_size, image_mean, image_std, kwargs: arguments of
            :class:`~flambeau.vision.models.detection.transform.GeneralizedRCNNTransform`.
        anchor_generator: generator of one square at each pixel.
        head: module that replaces :class:`FCOSHead`.
        center_sampling_radius: maximum distance from the centre of a box to the pixels that are matched with it, in
            units of the side of the anchor square.
        score_thresh, nms_thresh, detections_per_img: minimum score, IoU threshold of the non-maximum suppression, and
            maximum number of detections.
        topk_candidates: number of highest scores of each feature map to consider.

    Shapes, targets and detections: as in :class:`~flambeau.vision.models.detection.FasterRCNN`; the losses are
    ``classification``, ``bbox_regression`` and ``bbox_ctrness``.
    Raises: ValueError and TypeError for invalid arguments.
    Source: Tian et al. 2019, arXiv:1904.01355.

    >>> backbone, anchors = nn.Conv2d(3, 32, 3, stride=8), AnchorGenerator(((8,),), ((1.0,),))
    >>> model = FCOS(backbone, num_classes=3, min_size=32, anchor_generator=anchors)
    >>> targets = [{"boxes": fb.tensor([[4.0, 4.0, 20.0, 20.0]]), "labels": fb.tensor([1])}]
    >>> sorted(model([fb.rand(3, 32, 48)], targets))
    ['bbox_ctrness', 'bbox_regression', 'classification']
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
        center_sampling_radius: float = 1.5,
        score_thresh: float = 0.2,
        nms_thresh: float = 0.6,
        detections_per_img: int = 100,
        topk_candidates: int = 1000,
        **kwargs: Any,
    ) -> None:
        check_backbone(backbone)
        check_kind("anchor_generator", anchor_generator, AnchorGenerator)
        anchors = anchor_generator or AnchorGenerator(((8,), (16,), (32,), (64,), (128,)), ((1.0,),) * 5)
        per_pixel = anchors.num_anchors_per_location()[0]
        if per_pixel != 1:
            raise ValueError(f"anchor_generator.num_anchors_per_location()[0] should be 1 instead of {per_pixel}")
        super().__init__(
            backbone,
            anchors,
            head or FCOSHead(backbone.out_channels, per_pixel, num_classes),
            BoxLinearCoder(normalize_by_size=True),
            GeneralizedRCNNTransform(min_size, max_size, image_mean or IMAGE_MEAN, image_std or IMAGE_STD, **kwargs),
            score_thresh=score_thresh,
            nms_thresh=nms_thresh,
            detections_per_img=detections_per_img,
            topk_candidates=topk_candidates,
        )
        self.center_sampling_radius = center_sampling_radius

    def _losses(self, targets: Targets, outputs: HeadOutputs, anchors: Tensors, pixels: Sequence[int]) -> Losses:
        return self.compute_loss(targets, outputs, anchors, pixels)

    def compute_loss(
        self,
        targets: Targets,
        head_outputs: HeadOutputs,
        anchors: Tensors,
        num_anchors_per_level: Sequence[int],
    ) -> Losses:
        """Match pixels with boxes, and return the losses of the head."""
        matched = [
            self._matches(target["boxes"], image_anchors, num_anchors_per_level)
            for target, image_anchors in zip(targets, anchors, strict=True)
        ]
        losses: Losses = self.head.compute_loss(targets, head_outputs, anchors, matched)
        return losses

    def _matches(self, boxes: fb.Tensor, anchors: fb.Tensor, per_level: Sequence[int]) -> fb.Tensor:
        """Return, for each pixel, the index of the smallest suitable box, or -1: ``(pixels,)``.

        A box is suitable if the pixel is inside and near the centre, and if the size of the box fits the feature map.
        """
        if len(boxes) == 0:
            return fb.full((len(anchors),), -1, dtype=fb.int64, device=anchors.device)
        sides = anchors[:, 2] - anchors[:, 0]
        points = ((anchors[:, :2] + anchors[:, 2:]) / 2)[:, None]
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        near = (points - middles).abs().amax(2) < self.center_sampling_radius * sides[:, None]
        distances = fb.cat([points - boxes[:, :2], boxes[:, 2:] - points], 2)  # (pixels, boxes, 4)
        # For each feature map: bounds of the distance to the farthest side. The first map has no lower bound, and the
        # last map has no upper bound.
        lowest, highest = sides * 4, sides * 8
        lowest[: per_level[0]] = 0
        highest[-per_level[-1] :] = fb.inf
        farthest = distances.amax(2)
        of_size = (farthest > lowest[:, None]) & (farthest < highest[:, None])
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        fits = near & (distances.amin(2) > 0) & of_size
        best, matches = (fits * (_LARGE_AREA - areas)).max(1)
        return matches.masked_fill(best < 1e-5, -1)

    def _scores(self, outputs: HeadOutputs) -> fb.Tensor:
        return fb.sqrt(outputs["cls_logits"].sigmoid() * outputs["bbox_ctrness"].sigmoid())

    def _decoded(self, codes: fb.Tensor, anchors: fb.Tensor) -> fb.Tensor:
        boxes: fb.Tensor = self.box_coder.decode(codes, anchors)
        return boxes


@register_on_backbone(Backbone("resnet50", freezes_norm=True), "IMAGENET1K_V1", stages=5)
def fcos_resnet50_fpn(backbone: nn.Module, num_classes: int, trainable_layers: int, **options: Any) -> FCOS:
    """Build :class:`FCOS` with a ResNet-50 backbone (32,269,600 parameters with 91 classes).

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = fcos_resnet50_fpn(weights_backbone=None, num_classes=5)
    >>> model.head.classification_head.cls_logits
    Conv2d(256, 5, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """
    network = resnet_extractor(backbone, trainable_layers, [2, 3, 4], LastLevelP6P7(256, 256))
    return FCOS(network, num_classes, **options)
