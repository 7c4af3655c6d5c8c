"""The second stage of R-CNN: classes, refined boxes, masks and keypoints for proposed boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import batched_nms, box_iou, clip_boxes_to_image, remove_small_boxes
from ._keypoints import heatmaps_to_keypoints, keypointrcnn_inference, keypointrcnn_loss, keypoints_to_heatmap
from ._masks import (
    expand_boxes,
    maskrcnn_inference,
    maskrcnn_loss,
    paste_masks_in_image,
    project_masks_on_boxes,
)
from ._matching import BalancedPositiveNegativeSampler, BoxCoder, Matcher, Weights

__all__ = [
    "RoIHeads",
    "expand_boxes",
    "fastrcnn_loss",
    "heatmaps_to_keypoints",
    "keypointrcnn_inference",
    "keypointrcnn_loss",
    "keypoints_to_heatmap",
    "maskrcnn_inference",
    "maskrcnn_loss",
    "paste_masks_in_image",
    "project_masks_on_boxes",
]

Tensors = Sequence[fb.Tensor]
Target = Mapping[str, fb.Tensor]
Detection = dict[str, fb.Tensor]


def fastrcnn_loss(
    class_logits: fb.Tensor, box_regression: fb.Tensor, labels: Tensors, regression_targets: Tensors
) -> tuple[fb.Tensor, fb.Tensor]:
    """Compute the classification loss, and the box loss of the proposals that are not background.

    Args:
        class_logits: logits of the proposals of all images, ``(sum of L, classes)``.
        box_regression: predicted codes of boxes (see `BoxCoder`), ``(sum of L, 4 * classes)``.
        labels, regression_targets: for each image, the classes ``(L,)`` of its proposals, and the codes ``(L, 4)`` of
            the true boxes.

    >>> logits, codes = fb.tensor([[0.0, 9.0], [9.0, 0.0]]), fb.zeros(2, 8)
    >>> losses = fastrcnn_loss(logits, codes, [fb.tensor([1, 0])], [fb.full((2, 4), 0.1)])
    >>> [round(loss.item(), 4) for loss in losses]
    [0.0001, 0.09]
    """
    truth, targets = fb.cat(list(labels)), fb.cat(list(regression_targets))
    positive = fb.where(truth > 0)[0]
    codes = box_regression.reshape(len(class_logits), box_regression.size(1) // 4, 4)[positive, truth[positive]]
    box_loss = nn.functional.smooth_l1_loss(codes, targets[positive], beta=1 / 9, reduction="sum")
    return nn.functional.cross_entropy(class_logits, truth), box_loss / truth.numel()


class RoIHeads(nn.Module):
    """Second stage of R-CNN, which pools the features of each proposal, and predicts its class and a refined box.

    Args:
        box_roi_pool, box_head, box_predictor: modules that pool features of boxes, process them, and predict class
            logits and box codes.
        fg_iou_thresh, bg_iou_thresh: a proposal gets the class of a true box if their IoU is at least the first number.
            It is background if its IoU with all boxes is below the second number.
        batch_size_per_image: number of proposals of an image that contribute to the loss.
        positive_fraction: maximum fraction of these proposals that are not background.
        bbox_reg_weights: weights of the box codes, 10, 10, 5 and 5 by default.
        score_thresh, nms_thresh, detections_per_img: minimum score, IoU threshold of the non-maximum suppression, and
            maximum number of detections.
        mask_roi_pool, mask_head, mask_predictor: the same modules for masks; None for no masks.
        keypoint_roi_pool, keypoint_head, keypoint_predictor: the same modules for keypoints; None for no keypoints.

    Shapes: a dictionary of feature maps and, for each image, the boxes ``(L, 4)``, the size and, in training, the
    targets. Returns the detections of each image (``boxes``, ``labels``, ``scores``, ``masks``, ...), empty in
    training, and the losses.
    Raises: ValueError for targets with a missing entry, TypeError for entries with a wrong dtype.

    >>> from flambeau.vision.models.detection.faster_rcnn import FastRCNNPredictor, MultiScaleRoIAlign, TwoMLPHead
    >>> first = MultiScaleRoIAlign(["0"], 7, 2), TwoMLPHead(8 * 7 * 7, 16), FastRCNNPredictor(16, 3)
    >>> heads = RoIHeads(*first, 0.5, 0.5, 512, 0.25, None, score_thresh=0.0, nms_thresh=0.5, detections_per_img=10)
    >>> maps, boxes = {"0": fb.rand(1, 8, 8, 8)}, [fb.tensor([[0.0, 0.0, 30.0, 30.0]])]
    >>> detections, losses = heads.eval()(maps, boxes, [(64, 64)])
    >>> detections[0]["labels"].sort()[0]
    tensor([1, 2])
    """

    def __init__(
        self,
        box_roi_pool: nn.Module,
        box_head: nn.Module,
        box_predictor: nn.Module,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        bbox_reg_weights: Weights | None,
        score_thresh: float,
        nms_thresh: float,
        detections_per_img: int,
        mask_roi_pool: nn.Module | None = None,
        mask_head: nn.Module | None = None,
        mask_predictor: nn.Module | None = None,
        keypoint_roi_pool: nn.Module | None = None,
        keypoint_head: nn.Module | None = None,
        keypoint_predictor: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.box_similarity = box_iou
        self.proposal_matcher = Matcher(fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=False)
        self.fg_bg_sampler = BalancedPositiveNegativeSampler(batch_size_per_image, positive_fraction)
        self.box_coder = BoxCoder(bbox_reg_weights or (10.0, 10.0, 5.0, 5.0))
        self.box_roi_pool = box_roi_pool
        self.box_head = box_head
        self.box_predictor = box_predictor
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.mask_roi_pool = mask_roi_pool
        self.mask_head = mask_head
        self.mask_predictor = mask_predictor
        self.keypoint_roi_pool = keypoint_roi_pool
        self.keypoint_head = keypoint_head
        self.keypoint_predictor = keypoint_predictor

    def has_mask(self) -> bool:
        """Return True if masks are predicted."""
        return None not in (self.mask_roi_pool, self.mask_head, self.mask_predictor)

    def has_keypoint(self) -> bool:
        """Return True if keypoints are predicted."""
        return None not in (self.keypoint_roi_pool, self.keypoint_head, self.keypoint_predictor)

    def assign_targets_to_proposals(
        self, proposals: Tensors, gt_boxes: Tensors, gt_labels: Tensors
    ) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
        """Return, for the proposals of each image, the indices of the matched true boxes, and the classes.

        The class 0 is background; proposals with the class -1 are ignored.
        """
        matched, labels = [], []
        for candidates, boxes, classes in zip(proposals, gt_boxes, gt_labels, strict=True):
            if len(boxes) == 0:
                matched.append(fb.zeros(len(candidates), dtype=fb.int64, device=candidates.device))
                labels.append(matched[-1].clone())
                continue
            matches = self.proposal_matcher(self.box_similarity(boxes, candidates))
            matched.append(matches.clamp(min=0))
            label = classes[matched[-1]].to(fb.int64)
            label[matches == Matcher.BELOW_LOW_THRESHOLD] = 0
            label[matches == Matcher.BETWEEN_THRESHOLDS] = -1
            labels.append(label)
        return matched, labels

    def subsample(self, labels: Tensors) -> list[fb.Tensor]:
        """Return, for each image, the indices of the proposals that are used in the loss."""
        positives, negatives = self.fg_bg_sampler(labels)
        return [fb.where(positive | negative)[0] for positive, negative in zip(positives, negatives, strict=True)]

    def check_targets(self, targets: Sequence[Target] | None) -> None:
        """Raise ValueError if targets or required entries are missing."""
        if targets is None:
            raise ValueError("targets should not be None")
        for key in ("boxes", "labels", *(("masks",) * self.has_mask())):
            if not all(key in target for target in targets):
                raise ValueError(f"Every element of targets should have a {key} key")

    def select_training_samples(
        self, proposals: Tensors, targets: Sequence[Target] | None
    ) -> tuple[list[fb.Tensor], list[fb.Tensor], list[fb.Tensor], Sequence[fb.Tensor]]:
        """Sample proposals for the loss. Return the proposals, indices of true boxes, classes and true box codes."""
        self.check_targets(targets)
        assert targets is not None
        truth = [target["boxes"].to(proposals[0].dtype) for target in targets]
        candidates = [fb.cat([proposed, boxes]) for proposed, boxes in zip(proposals, truth, strict=True)]
        matched, labels = self.assign_targets_to_proposals(candidates, truth, [target["labels"] for target in targets])
        for image, sampled in enumerate(self.subsample(labels)):
            for values in (candidates, matched, labels):
                values[image] = values[image][sampled]
        boxes_of = [
            (boxes if len(boxes) else boxes.new_zeros((1, 4)))[numbers]
            for boxes, numbers in zip(truth, matched, strict=True)
        ]
        return candidates, matched, labels, self.box_coder.encode(boxes_of, candidates)

    def postprocess_detections(
        self,
        class_logits: fb.Tensor,
        box_regression: fb.Tensor,
        proposals: Tensors,
        image_shapes: Sequence[tuple[int, int]],
    ) -> tuple[list[fb.Tensor], list[fb.Tensor], list[fb.Tensor]]:
        """Return boxes ``(L, 4)``, probabilities and classes of each image, sorted by decreasing probability."""
        counts = [len(boxes) for boxes in proposals]
        every_box = self.box_coder.decode(box_regression, proposals).split(counts, 0)
        every_score = class_logits.softmax(-1).split(counts, 0)
        boxes, scores, labels = [], [], []
        for decoded, probabilities, size in zip(every_box, every_score, image_shapes, strict=True):
            row, column = fb.where(probabilities[:, 1:] > self.score_thresh)  # 0 is background
            candidates, classes = clip_boxes_to_image(decoded[row, column + 1], size), column + 1
            score = probabilities[row, classes]
            large = remove_small_boxes(candidates, min_size=1e-2)
            candidates, score, classes = candidates[large], score[large], classes[large]
            best = batched_nms(candidates, score, classes, self.nms_thresh)[: self.detections_per_img]
            boxes.append(candidates[best])
            scores.append(score[best])
            labels.append(classes[best])
        return boxes, scores, labels

    def forward(
        self,
        features: Mapping[str, fb.Tensor],
        proposals: Tensors,
        image_shapes: Sequence[tuple[int, int]],
        targets: Sequence[Target] | None = None,
    ) -> tuple[list[Detection], dict[str, fb.Tensor]]:
        for target in targets or ():
            self._check_dtypes(target)
        if self.training:
            proposals, matched, labels, codes = self.select_training_samples(proposals, targets)
        pooled = self.box_head(self.box_roi_pool(features, proposals, image_shapes))
        class_logits, box_regression = self.box_predictor(pooled)
        detections: list[Detection] = []
        losses: dict[str, fb.Tensor] = {}
        if self.training:
            classification, regression = fastrcnn_loss(class_logits, box_regression, labels, codes)
            losses = {"loss_classifier": classification, "loss_box_reg": regression}
            positive = [fb.where(label > 0)[0] for label in labels]
            boxes = [proposed[indices] for proposed, indices in zip(proposals, positive, strict=True)]
            truths = [numbers[indices] for numbers, indices in zip(matched, positive, strict=True)]
        else:
            results = self.postprocess_detections(class_logits, box_regression, proposals, image_shapes)
            detections = [
                {"boxes": refined, "labels": label, "scores": score}
                for refined, score, label in zip(*results, strict=True)
            ]
            boxes, truths = [each["boxes"] for each in detections], []
        if self.has_mask():
            self._masks((features, boxes, image_shapes), truths, targets or (), detections, losses)
        if self.has_keypoint():
            self._keypoints((features, boxes, image_shapes), truths, targets or (), detections, losses)
        return detections, losses

    def _check_dtypes(self, target: Target) -> None:
        boxes, labels = target["boxes"].dtype, target["labels"].dtype
        if boxes not in (fb.float32, fb.float64, fb.float16):
            raise TypeError(f"target boxes must of float type, instead got {boxes}")
        if labels != fb.int64:
            raise TypeError(f"target labels must of int64 type, instead got {labels}")
        if self.has_keypoint() and target["keypoints"].dtype != fb.float32:
            raise TypeError(f"target keypoints must of float type, instead got {target['keypoints'].dtype}")

    def _masks(
        self,
        regions: tuple[Any, list[fb.Tensor], Any],
        truths: Tensors,
        targets: Sequence[Target],
        detections: list[Detection],
        losses: dict[str, fb.Tensor],
    ) -> None:
        """Add masks to ``detections``, or in training the mask loss to ``losses``."""
        assert self.mask_roi_pool is not None and self.mask_head is not None and self.mask_predictor is not None
        logits = self.mask_predictor(self.mask_head(self.mask_roi_pool(*regions)))
        if self.training:
            masks, labels = ([target[key] for target in targets] for key in ("masks", "labels"))
            losses["loss_mask"] = maskrcnn_loss(logits, regions[1], masks, labels, truths)
            return
        masks_of = maskrcnn_inference(logits, [detection["labels"] for detection in detections])
        for each, probabilities in zip(detections, masks_of, strict=True):
            each["masks"] = probabilities

    def _keypoints(
        self,
        regions: tuple[Any, list[fb.Tensor], Any],
        truths: Tensors,
        targets: Sequence[Target],
        detections: list[Detection],
        losses: dict[str, fb.Tensor],
    ) -> None:
        """Add keypoints to ``detections``, or in training the keypoint loss to ``losses``."""
        assert self.keypoint_roi_pool is not None and self.keypoint_head is not None
        assert self.keypoint_predictor is not None
        logits = self.keypoint_predictor(self.keypoint_head(self.keypoint_roi_pool(*regions)))
        if self.training:
            points = [target["keypoints"] for target in targets]
            losses["loss_keypoint"] = keypointrcnn_loss(logits, regions[1], points, truths)
            return
        for each, keypoints, scores in zip(detections, *keypointrcnn_inference(logits, regions[1]), strict=True):
            each["keypoints"], each["keypoints_scores"] = keypoints, scores
