"""Region proposal network: the first stage of R-CNN."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import Conv2dNormActivation, batched_nms, box_iou, clip_boxes_to_image, remove_small_boxes
from ...ops.feature_pyramid_network import rename_keys
from ._matching import BalancedPositiveNegativeSampler, BoxCoder, Matcher, best_first
from .anchor_utils import AnchorGenerator
from .image_list import ImageList
from .transform import Size, Target

__all__ = ["AnchorGenerator", "RPNHead", "RegionProposalNetwork"]


class RPNHead(nn.Module):
    """Head that predicts a logit and a box code for each anchor, with convolutions that all feature maps share.

    Args:
        in_channels: number of channels of the feature maps.
        num_anchors: number of anchors at each pixel.
        conv_depth: number of 3x3 convolutions before the predictions.

    Shapes: a list of maps ``(N, C, H, W)``. The results are lists of logits ``(N, anchors, H, W)`` and box codes
    ``(N, 4 * anchors, H, W)``.

    >>> scores, codes = RPNHead(8, num_anchors=3)([fb.zeros(2, 8, 4, 4)])
    >>> scores[0].shape, codes[0].shape
    (flambeau.Size([2, 3, 4, 4]), flambeau.Size([2, 12, 4, 4]))
    """

    _version = 2  # since version 2, the first convolutions are in a Sequential

    def __init__(self, in_channels: int, num_anchors: int, conv_depth: int = 1) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(Conv2dNormActivation(in_channels, in_channels, kernel_size=3, norm_layer=None) for _ in range(conv_depth))
        )
        self.cls_logits = nn.Conv2d(in_channels, num_anchors, kernel_size=1, stride=1)
        self.bbox_pred = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=1, stride=1)
        init_head(self)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *others: Any
    ) -> None:
        if local_metadata.get("version", 1) < 2:
            kinds = ("weight", "bias")
            rename_keys(state_dict, {f"{prefix}conv.{kind}": f"{prefix}conv.0.0.{kind}" for kind in kinds})
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)

    def forward(self, x: Sequence[fb.Tensor]) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
        hidden = [self.conv(map) for map in x]
        return [self.cls_logits(map) for map in hidden], [self.bbox_pred(map) for map in hidden]


def init_head(head: nn.Module) -> None:
    """Initialise all convolutions with normal weights (standard deviation 0.01) and zero biases."""
    for layer in head.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def prediction_layer(in_channels: int, columns: int, prior_probability: float = 0.5) -> nn.Conv2d:
    """Return a 3x3 convolution whose bias is the logit of ``prior_probability``."""
    layer = nn.Conv2d(in_channels, columns, kernel_size=3, stride=1, padding=1)
    init_head(layer)
    assert layer.bias is not None
    nn.init.constant_(layer.bias, math.log(prior_probability / (1 - prior_probability)))
    return layer


def by_anchor(predictions: Sequence[fb.Tensor], width: int) -> fb.Tensor:
    """Convert maps ``(N, anchors * width, H, W)`` to one tensor ``(N, all anchors, width)``, in the anchor order."""
    return fb.cat(
        [map.unflatten(1, (-1, width)).permute(0, 3, 4, 1, 2).flatten(1, 3) for map in predictions],
        1,
    )


class RegionProposalNetwork(nn.Module):
    """Region proposal network, which proposes boxes that may contain an object of any class.

    Args:
        anchor_generator: generator of the anchors. Predictions are relative to the anchors.
        head: module that predicts a logit and a box code for each anchor.
        fg_iou_thresh, bg_iou_thresh: an anchor is positive if its IoU with a true box is at least the first number, and
            negative if its IoU with all boxes is below the second number.
        batch_size_per_image: number of anchors of an image that contribute to the loss.
        positive_fraction: maximum fraction of positive anchors among these anchors.
        pre_nms_top_n: numbers of proposals to keep for each feature map before non-maximum suppression: a dictionary
            with the keys ``"training"`` and ``"testing"``.
        post_nms_top_n: the same numbers for each image after the suppression.
        nms_thresh: IoU threshold of the suppression.
        score_thresh: minimum probability of a proposal.

    Shapes: an :class:`ImageList`, a dictionary of feature maps, and the targets of each image. Returns the boxes
    ``(L, 4)`` of each image and, in training, the losses ``loss_objectness`` and ``loss_rpn_box_reg``. The boxes have
    no gradient.
    Raises: ValueError in training without targets.
    Source: Ren et al. 2015, arXiv:1506.01497.

    >>> kept = {"training": 10, "testing": 5}
    >>> anchors = AnchorGenerator(((16,),), ((0.5, 1.0, 2.0),))
    >>> rpn = RegionProposalNetwork(anchors, RPNHead(8, 3), 0.7, 0.3, 256, 0.5, kept, kept, nms_thresh=1.0).eval()
    >>> boxes, losses = rpn(ImageList(fb.zeros(1, 3, 32, 32), [(32, 32)]), {"0": fb.zeros(1, 8, 4, 4)})
    >>> boxes[0].shape, losses
    (flambeau.Size([5, 4]), {})
    """

    def __init__(
        self,
        anchor_generator: AnchorGenerator,
        head: nn.Module,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        pre_nms_top_n: Mapping[str, int],
        post_nms_top_n: Mapping[str, int],
        nms_thresh: float,
        score_thresh: float = 0.0,
    ) -> None:
        super().__init__()
        self.anchor_generator = anchor_generator
        self.head = head
        self.box_coder = BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self.box_similarity = box_iou
        self.proposal_matcher = Matcher(fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True)
        self.fg_bg_sampler = BalancedPositiveNegativeSampler(batch_size_per_image, positive_fraction)
        self._pre_nms_top_n = pre_nms_top_n
        self._post_nms_top_n = post_nms_top_n
        self.nms_thresh = nms_thresh
        self.score_thresh = score_thresh
        self.min_size = 1e-3

    def pre_nms_top_n(self) -> int:
        """Return the number of proposals that are kept for each feature map before non-maximum suppression."""
        return self._pre_nms_top_n["training" if self.training else "testing"]

    def post_nms_top_n(self) -> int:
        """Return the number of proposals that are kept for each image after non-maximum suppression."""
        return self._post_nms_top_n["training" if self.training else "testing"]

    def assign_targets_to_anchors(
        self, anchors: Sequence[fb.Tensor], targets: Sequence[Target]
    ) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
        """Return the labels ``(L,)`` and the matched boxes ``(L, 4)`` of the anchors of each image.

        The label is 1 for positive, 0 for negative and -1 for ignored anchors.
        """
        labels, matched = [], []
        for image_anchors, target in zip(anchors, targets, strict=True):
            truth = target["boxes"]
            if len(truth) == 0:
                labels.append(fb.zeros(len(image_anchors), dtype=fb.float32, device=image_anchors.device))
                matched.append(fb.zeros_like(image_anchors, dtype=fb.float32))
                continue
            matches = self.proposal_matcher(self.box_similarity(truth, image_anchors))
            label = (matches >= 0).to(fb.float32)
            label[matches == Matcher.BETWEEN_THRESHOLDS] = -1.0
            labels.append(label)
            matched.append(truth[matches.clamp(min=0)])
        return labels, matched

    def filter_proposals(
        self,
        proposals: fb.Tensor,
        objectness: fb.Tensor,
        image_shapes: Sequence[Size],
        num_anchors_per_level: Sequence[int],
    ) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
        """Return the best boxes ``(L, 4)`` of each image and their probabilities.

        ``proposals`` is ``(N, anchors, 4)``, and ``objectness`` has the logits ``(N, anchors)``.
        """
        objectness = objectness.detach().reshape(len(proposals), -1)
        best, levels, start = [], [], 0
        for level, boxes_of_image in enumerate(objectness.split(list(num_anchors_per_level), 1)):
            indices = best_first(boxes_of_image, self.pre_nms_top_n())[1]
            best.append(indices + start)
            levels.append(fb.full_like(indices[0], level))
            start += boxes_of_image.shape[1]
        chosen, level_of = fb.cat(best, 1), fb.cat(levels)
        probabilities = objectness.gather(1, chosen).sigmoid()
        boxes, scores = [], []
        for image, size in enumerate(image_shapes):
            boxes_of_image = clip_boxes_to_image(proposals[image][chosen[image]], size)
            large = remove_small_boxes(boxes_of_image, self.min_size)
            kept = large[probabilities[image][large] >= self.score_thresh]
            boxes_of_image, score = boxes_of_image[kept], probabilities[image][kept]
            kept = batched_nms(boxes_of_image, score, level_of[kept], self.nms_thresh)[: self.post_nms_top_n()]
            boxes.append(boxes_of_image[kept])
            scores.append(score[kept])
        return boxes, scores

    def compute_loss(
        self,
        objectness: fb.Tensor,
        pred_bbox_deltas: fb.Tensor,
        labels: Sequence[fb.Tensor],
        regression_targets: Sequence[fb.Tensor],
    ) -> tuple[fb.Tensor, fb.Tensor]:
        """Compute the losses of the logits and of the box codes over sampled anchors."""
        positive, negative = (fb.where(fb.cat(masks))[0] for masks in self.fg_bg_sampler(labels))
        sampled = fb.cat([positive, negative])
        box_loss = nn.functional.smooth_l1_loss(
            pred_bbox_deltas[positive], fb.cat(list(regression_targets))[positive], beta=1 / 9, reduction="sum"
        )
        truth = fb.cat(list(labels))[sampled]
        objectness_loss = nn.functional.binary_cross_entropy_with_logits(objectness.flatten()[sampled], truth)
        return objectness_loss, box_loss / sampled.numel()

    def forward(
        self, images: ImageList, features: Mapping[str, fb.Tensor], targets: Sequence[Target] | None = None
    ) -> tuple[list[fb.Tensor], dict[str, fb.Tensor]]:
        maps = list(features.values())
        scores, codes = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        per_level = [score[0].numel() for score in scores]
        objectness, deltas = by_anchor(scores, 1), by_anchor(codes, 4).flatten(0, 1)
        proposals = self.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
        boxes, _ = self.filter_proposals(proposals, objectness, images.image_sizes, per_level)
        if not self.training:
            return boxes, {}
        if targets is None:
            raise ValueError("targets should not be None")
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        wanted = self.box_coder.encode(matched, anchors)
        loss_objectness, loss_boxes = self.compute_loss(objectness, deltas, labels, wanted)
        return boxes, {"loss_objectness": loss_objectness, "loss_rpn_box_reg": loss_boxes}
