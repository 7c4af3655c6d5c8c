"""SSD: object detection with a separate map for each size of objects."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import clip_boxes_to_image
from .._backbones import Backbone, register_on_backbone
from .._published import published_in
from ._detector import HeadOutputs, Losses, Targets, Tensors
from ._matching import BoxCoder, SSDMatcher, best_first, match_anchors, retrieve_out_channels
from ._one_stage import OneStageDetector
from .anchor_utils import DefaultBoxGenerator
from .faster_rcnn import IMAGE_MEAN, IMAGE_STD
from .rpn import by_anchor
from .transform import GeneralizedRCNNTransform, Size, Target

__all__ = ["SSD", "SSDClassificationHead", "SSDHead", "SSDRegressionHead", "SSDScoringHead", "ssd300_vgg16"]

__getattr__ = published_in(__name__)


def _init_xavier(layers: nn.Module) -> None:
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class SSDScoringHead(nn.Module):
    """Base class of heads with a separate network for each feature map. The output is ``(N, anchors, num_columns)``.

    >>> head = SSDScoringHead(nn.ModuleList([nn.Conv2d(8, 3 * 4, 3, padding=1)]), num_columns=3)  # 4 anchors
    >>> head([fb.zeros(2, 8, 8, 8)]).shape
    flambeau.Size([2, 256, 3])
    """

    def __init__(self, module_list: nn.ModuleList, num_columns: int) -> None:
        super().__init__()
        self.module_list = module_list
        self.num_columns = num_columns

    def forward(self, x: Sequence[fb.Tensor]) -> fb.Tensor:
        return by_anchor([head(map) for head, map in zip(self.module_list, x, strict=True)], self.num_columns)


def _convolutions(in_channels: Sequence[int], num_anchors: Sequence[int], columns: int) -> nn.ModuleList:
    pairs = zip(in_channels, num_anchors, strict=False)
    heads = nn.ModuleList(nn.Conv2d(channels, columns * count, kernel_size=3, padding=1) for channels, count in pairs)
    _init_xavier(heads)
    return heads


class SSDClassificationHead(SSDScoringHead):
    """Head that predicts class logits.

    For each feature map, ``in_channels`` contains the number of channels, and ``num_anchors`` the number of anchors per
    pixel.

    >>> head = SSDClassificationHead([8, 16], num_anchors=[4, 6], num_classes=3)
    >>> head([fb.zeros(2, 8, 8, 8), fb.zeros(2, 16, 4, 4)]).shape  # 4 * 8 * 8 + 6 * 4 * 4 anchors
    flambeau.Size([2, 352, 3])
    """

    def __init__(self, in_channels: Sequence[int], num_anchors: Sequence[int], num_classes: int) -> None:
        super().__init__(_convolutions(in_channels, num_anchors, num_classes), num_classes)


class SSDRegressionHead(SSDScoringHead):
    """Head that predicts box codes. Arguments as in :class:`SSDClassificationHead`.

    >>> SSDRegressionHead([8, 16], num_anchors=[4, 6])([fb.zeros(2, 8, 8, 8), fb.zeros(2, 16, 4, 4)]).shape
    flambeau.Size([2, 352, 4])
    """

    def __init__(self, in_channels: Sequence[int], num_anchors: Sequence[int]) -> None:
        super().__init__(_convolutions(in_channels, num_anchors, 4), 4)


class SSDHead(nn.Module):
    """Heads for class logits and box codes. Arguments as in :class:`SSDClassificationHead`.

    >>> result = SSDHead([8, 16], num_anchors=[4, 6], num_classes=3)([fb.zeros(2, 8, 8, 8), fb.zeros(2, 16, 4, 4)])
    >>> {name: tuple(value.shape) for name, value in result.items()}
    {'bbox_regression': (2, 352, 4), 'cls_logits': (2, 352, 3)}
    """

    def __init__(self, in_channels: Sequence[int], num_anchors: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.classification_head = SSDClassificationHead(in_channels, num_anchors, num_classes)
        self.regression_head = SSDRegressionHead(in_channels, num_anchors)

    def forward(self, x: Sequence[fb.Tensor]) -> dict[str, fb.Tensor]:
        return {"bbox_regression": self.regression_head(x), "cls_logits": self.classification_head(x)}


class SSD(OneStageDetector):
    """SSD: one-stage detector that predicts boxes and classes for the default boxes of several feature maps.

    Args:
        backbone: module that returns a dictionary of feature maps. Its attribute ``out_channels`` is a list of their
            numbers of channels. Without this attribute, the backbone is run once to find the numbers.
        anchor_generator: generator of the default boxes.
        size: width and height to which images are resized.
        num_classes: number of classes, including the background, class 0.
        image_mean, image_std, kwargs: arguments of
            :class:`~flambeau.vision.models.detection.transform.GeneralizedRCNNTransform`.
        head: module that replaces :class:`SSDHead`.
        score_thresh, nms_thresh, detections_per_img: minimum score, IoU threshold of the non-maximum suppression, and
            maximum number of detections.
        iou_thresh: minimum IoU at which a default box is matched with a true box.
        topk_candidates: number of highest scores of each class to consider.
        positive_fraction: fraction of matched boxes among the boxes that contribute to the classification loss. The
            other boxes are the background boxes with the largest losses.

    Shapes, targets and detections: as in :class:`~flambeau.vision.models.detection.FasterRCNN`; the losses are
    ``classification`` and ``bbox_regression``.
    Raises: ValueError if the backbone and ``anchor_generator`` have different numbers of feature maps.
    Source: Liu et al. 2015, arXiv:1512.02325.

    >>> backbone = nn.Sequential(nn.Conv2d(3, 8, 3, stride=8))
    >>> model = SSD(backbone, DefaultBoxGenerator([[2]]), size=(64, 64), num_classes=3)
    >>> targets = [{"boxes": fb.tensor([[4.0, 4.0, 20.0, 20.0]]), "labels": fb.tensor([1])}]
    >>> sorted(model([fb.rand(3, 32, 48)], targets))
    ['bbox_regression', 'classification']
    """

    def __init__(
        self,
        backbone: Any,
        anchor_generator: DefaultBoxGenerator,
        size: tuple[int, int],
        num_classes: int,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        head: nn.Module | None = None,
        score_thresh: float = 0.01,
        nms_thresh: float = 0.45,
        detections_per_img: int = 200,
        iou_thresh: float = 0.5,
        topk_candidates: int = 400,
        positive_fraction: float = 0.25,
        **kwargs: Any,
    ) -> None:
        if head is None:
            known = hasattr(backbone, "out_channels")
            channels = backbone.out_channels if known else retrieve_out_channels(backbone, size)
            check_maps(channels, anchor_generator)
            head = SSDHead(channels, anchor_generator.num_anchors_per_location(), num_classes)
        mean, std = image_mean or IMAGE_MEAN, image_std or IMAGE_STD
        super().__init__(
            backbone,
            anchor_generator,
            head,
            BoxCoder(weights=(10.0, 10.0, 5.0, 5.0)),
            GeneralizedRCNNTransform(min(size), max(size), mean, std, 1, size, **kwargs),
            score_thresh=score_thresh,
            nms_thresh=nms_thresh,
            detections_per_img=detections_per_img,
            topk_candidates=topk_candidates,
        )
        self.proposal_matcher = SSDMatcher(iou_thresh)
        self.neg_to_pos_ratio = (1.0 - positive_fraction) / positive_fraction

    def _losses(self, targets: Targets, outputs: HeadOutputs, anchors: Tensors, pixels: Sequence[int]) -> Losses:
        matched = match_anchors(self.proposal_matcher, targets, anchors)
        return self.compute_loss(targets, outputs, anchors, matched)

    def compute_loss(
        self, targets: Targets, head_outputs: HeadOutputs, anchors: Tensors, matched_idxs: Tensors
    ) -> Losses:
        """Return the box loss and the classification loss, divided by the number of matched boxes.

        The classification loss includes the matched boxes, and the background boxes with the largest losses.
        """
        of_boxes, classes, count = [], [], 0
        codes, logits = head_outputs["bbox_regression"], head_outputs["cls_logits"]
        for target, own, boxes, matches in zip(targets, codes, anchors, matched_idxs, strict=True):
            foreground = fb.where(matches >= 0)[0]
            truths = matches[foreground]
            wanted = self.box_coder.encode_single(target["boxes"][truths], boxes[foreground])
            of_boxes.append(nn.functional.smooth_l1_loss(own[foreground], wanted, reduction="sum"))
            labels = target["labels"].new_zeros(len(matches))
            labels[foreground] = target["labels"][truths]
            classes.append(labels)
            count += len(foreground)
        labels = fb.stack(classes)
        entropy = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
        counted = (labels > 0) | self._hardest_negatives(entropy.detach(), labels > 0)
        return {
            "bbox_regression": fb.stack(of_boxes).sum() / max(1, count),
            "classification": entropy[counted].sum() / max(1, count),
        }

    def _hardest_negatives(self, loss: fb.Tensor, positive: fb.Tensor) -> fb.Tensor:
        """Return a mask of the background boxes of each image with the largest losses.

        Their number is ``neg_to_pos_ratio`` times the number of matched boxes.
        """
        order = loss.masked_fill(positive, -fb.inf).argsort(1, descending=True)
        return order.argsort(1) < self.neg_to_pos_ratio * positive.sum(1, keepdim=True)

    def _detections(
        self, outputs: HeadOutputs, anchors: Tensors, pixels: Sequence[int], sizes: Sequence[Size]
    ) -> list[Target]:
        probabilities = nn.functional.softmax(outputs["cls_logits"], dim=-1)
        detections = []
        for codes, scores, own, size in zip(outputs["bbox_regression"], probabilities, anchors, sizes, strict=True):
            boxes = clip_boxes_to_image(self.box_coder.decode_single(codes, own), size)
            by_class = [self._select_of_class(boxes, scores[:, label], label) for label in range(1, scores.shape[1])]
            detections.append(self._best_detections(*(fb.cat(values) for values in zip(*by_class, strict=True))))
        return detections

    def _select_of_class(
        self, boxes: fb.Tensor, scores: fb.Tensor, label: int
    ) -> tuple[fb.Tensor, fb.Tensor, fb.Tensor]:
        likely = fb.where(scores > self.score_thresh)[0]
        scores, indices = best_first(scores[likely], self.topk_candidates)
        return boxes[likely[indices]], scores, fb.full_like(scores, label, dtype=fb.int64)


def check_maps(channels: Sequence[int], anchor_generator: DefaultBoxGenerator) -> None:
    """Raise ValueError if the backbone and the anchor generator have different numbers of feature maps."""
    if len(channels) != len(anchor_generator.aspect_ratios):
        raise ValueError(
            f"The length of the output channels from the backbone ({len(channels)}) do not match the length of the "
            f"anchor generator aspect ratios ({len(anchor_generator.aspect_ratios)})"
        )


def _bottleneck(inputs: int, between: int, outputs: int, stride: int = 1, padding: int = 0) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, between, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(between, outputs, kernel_size=3, stride=stride, padding=padding),
        nn.ReLU(inplace=True),
    )


class SSDFeatureExtractorVGG(nn.Module):
    """Backbone that computes six feature maps (seven if ``highres``) with VGG and additional convolutions.

    At each pixel of the first map, the channels are normalised to length 1 and multiplied by learned factors.
    """

    def __init__(self, backbone: Any, highres: bool) -> None:
        super().__init__()
        third, fourth = [index for index, layer in enumerate(backbone) if isinstance(layer, nn.MaxPool2d)][2:4]
        backbone[third].ceil_mode = True
        self.scale_weight = nn.Parameter(fb.ones(512) * 20)
        self.features = nn.Sequential(*backbone[:fourth])
        dilated = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=False),
            nn.Conv2d(512, 1024, kernel_size=3, padding=6, dilation=6),
            nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, kernel_size=1),
            nn.ReLU(inplace=True),
        )
        further = [
            _bottleneck(1024, 256, 512, padding=1, stride=2),
            _bottleneck(512, 128, 256, padding=1, stride=2),
            _bottleneck(256, 128, 256),
            _bottleneck(256, 128, 256),
        ]
        if highres:
            last = nn.Conv2d(128, 256, kernel_size=4)
            further.append(nn.Sequential(nn.Conv2d(256, 128, kernel_size=1), nn.ReLU(True), last, nn.ReLU(True)))
        for layers in (dilated, *further):
            _init_xavier(layers)
        self.extra = nn.ModuleList([nn.Sequential(*backbone[fourth:-1], dilated), *further])

    def forward(self, x: fb.Tensor) -> OrderedDict[str, fb.Tensor]:
        x = self.features(x)
        maps = [self.scale_weight.view(1, -1, 1, 1) * nn.functional.normalize(x)]
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return OrderedDict((str(index), map) for index, map in enumerate(maps))


def _vgg_maps(backbone: Any, trainable_layers: int) -> SSDFeatureExtractorVGG:
    features = backbone.features
    starts = [0, *(index for index, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d))][:-1]
    fixed = len(features) if trainable_layers == 0 else starts[len(starts) - trainable_layers]
    for layer in features[:fixed]:
        layer.requires_grad_(False)
    return SSDFeatureExtractorVGG(features, highres=False)


@register_on_backbone(Backbone("vgg16", norm_layer=None), "IMAGENET1K_FEATURES", stages=5, learning=4)
def ssd300_vgg16(backbone: nn.Module, num_classes: int, trainable_layers: int, **options: Any) -> SSD:
    """Build :class:`SSD` for 300x300 pixels with a VGG-16 backbone (35,641,826 parameters with 91 classes).

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = ssd300_vgg16(weights_backbone=None, num_classes=5)
    >>> model.transform.fixed_size, model.anchor_generator.num_anchors_per_location()
    ((300, 300), [4, 6, 6, 6, 4, 4])
    """
    boxes = DefaultBoxGenerator(
        [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        steps=[8, 16, 32, 64, 100, 300],
    )
    # The weights of the backbone were trained with pixels in 0..255 minus the mean, without division by a standard
    # deviation.
    usual = {"image_mean": [0.48235, 0.45882, 0.40784], "image_std": [1.0 / 255.0] * 3}
    return SSD(_vgg_maps(backbone, trainable_layers), boxes, (300, 300), num_classes, **{**usual, **options})
