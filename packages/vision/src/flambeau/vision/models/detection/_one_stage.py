"""The base class of detectors with one stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flambeau as fb

from ...ops import batched_nms, clip_boxes_to_image
from ._detector import Detector, HeadOutputs, Losses, Targets, Tensors
from ._matching import best_first
from .image_list import ImageList
from .transform import GeneralizedRCNNTransform, Size, Target


class OneStageDetector(Detector):
    """Base class of detectors whose head predicts boxes for all anchors at once. A subclass defines ``_losses``.

    Args:
        backbone, anchor_generator, head, box_coder, transform: modules and objects of the detector.
        score_thresh, nms_thresh, detections_per_img: minimum score, IoU threshold of the non-maximum suppression, and
            maximum number of detections.
        topk_candidates: number of highest scores of each feature map, or of each class, to consider.
    """

    def __init__(
        self,
        backbone: Any,
        anchor_generator: Any,
        head: Any,
        box_coder: Any,
        transform: GeneralizedRCNNTransform,
        *,
        score_thresh: float,
        nms_thresh: float,
        detections_per_img: int,
        topk_candidates: int,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.anchor_generator = anchor_generator
        self.head = head
        self.box_coder = box_coder
        self.transform = transform
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates

    def _outputs(
        self, images: ImageList, features: Mapping[str, fb.Tensor], targets: Targets | None
    ) -> tuple[Losses, list[Target]]:
        maps = list(features.values())
        outputs = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        pixels = [map.shape[2] * map.shape[3] for map in maps]
        if self.training:
            return self._losses(targets or (), outputs, anchors, pixels), []
        return {}, self._detections(outputs, anchors, pixels, images.image_sizes)

    def _losses(self, targets: Targets, outputs: HeadOutputs, anchors: Tensors, pixels: Sequence[int]) -> Losses:
        """Return the losses by name. ``pixels`` is the number of pixels of each feature map."""
        raise NotImplementedError

    def _detections(
        self, outputs: HeadOutputs, anchors: Tensors, pixels: Sequence[int], sizes: Sequence[Size]
    ) -> list[Target]:
        """Return the detections of each image. All feature maps have the same number of anchors per pixel."""
        per_level = [count * (len(anchors[0]) // sum(pixels)) for count in pixels]
        by_level = {name: value.split(per_level, dim=1) for name, value in outputs.items()}
        return self.postprocess_detections(by_level, [of_image.split(per_level) for of_image in anchors], sizes)

    def postprocess_detections(
        self,
        head_outputs: Mapping[str, Sequence[fb.Tensor]],
        anchors: Sequence[Sequence[fb.Tensor]],
        image_shapes: Sequence[Size],
    ) -> list[Target]:
        """Return the detections of each image, from the outputs of the head and the anchors of each level."""
        detections = []
        for index, size in enumerate(image_shapes):
            by_level = []
            for level, boxes in enumerate(anchors[index]):
                outputs = {name: values[level][index] for name, values in head_outputs.items()}
                by_level.append(self._detections_of_level(outputs, boxes, size))
            boxes, scores, labels = (fb.cat(values) for values in zip(*by_level, strict=True))
            detections.append(self._best_detections(boxes, scores, labels))
        return detections

    def _best_detections(self, boxes: fb.Tensor, scores: fb.Tensor, labels: fb.Tensor) -> Target:
        kept = batched_nms(boxes, scores, labels, self.nms_thresh)[: self.detections_per_img]
        return {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}

    def _detections_of_level(
        self, outputs: HeadOutputs, anchors: fb.Tensor, size: Size
    ) -> tuple[fb.Tensor, fb.Tensor, fb.Tensor]:
        scores = self._scores(outputs)
        classes, scores = scores.shape[-1], scores.flatten()
        likely = fb.where(scores > self.score_thresh)[0]
        scores, indices = best_first(scores[likely], self.topk_candidates)
        anchor, label = likely[indices] // classes, likely[indices] % classes
        boxes = self._decoded(outputs["bbox_regression"][anchor], anchors[anchor])
        return clip_boxes_to_image(boxes, size), scores, label

    def _scores(self, outputs: HeadOutputs) -> fb.Tensor:
        """Return probabilities ``(anchors, classes)``."""
        return outputs["cls_logits"].sigmoid()

    def _decoded(self, codes: fb.Tensor, anchors: fb.Tensor) -> fb.Tensor:
        """Return boxes ``(L, 4)`` from codes relative to anchors."""
        boxes: fb.Tensor = self.box_coder.decode_single(codes, anchors)
        return boxes
