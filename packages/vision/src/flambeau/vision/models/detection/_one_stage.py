"""The frame of detectors with one stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import batched_nms, clip_boxes_to_image
from ._matching import best_first
from .generalized_rcnn import check_areas, check_boxes_of_targets, maps_by_name, original_sizes
from .transform import Size, Target


class OneStageDetector(nn.Module):
    """Images and targets are transformed, a backbone makes maps of them, and a head predicts boxes for all anchors.

    A subclass has ``backbone``, ``head``, ``anchor_generator`` and ``transform``, and for what it finds
    ``score_thresh``, ``nms_thresh``, ``detections_per_img`` and ``topk_candidates``.

    Shapes: a list of images ``(C, H, W)`` and, in training, of targets: ``boxes`` ``(L, 4)`` and ``labels`` ``(L,)``
    int64. Gives the losses by name in training and otherwise a detection for each image.
    Raises: AssertionError for targets that are absent or whose boxes have no area.
    """

    backbone: Any
    head: Any
    anchor_generator: Any
    transform: Any
    score_thresh: float
    nms_thresh: float
    detections_per_img: int
    topk_candidates: int

    def eager_outputs(
        self, losses: dict[str, fb.Tensor], detections: list[Target]
    ) -> dict[str, fb.Tensor] | list[Target]:
        """What the model gives: losses in training, else detections."""
        return losses if self.training else detections

    def forward(
        self, images: Sequence[fb.Tensor], targets: Sequence[Target] | None = None
    ) -> dict[str, fb.Tensor] | list[Target]:
        if self.training:
            check_boxes_of_targets(targets)
        sizes = original_sizes(images)
        batch, targets = self.transform(images, targets)
        check_areas(targets or ())
        maps = list(maps_by_name(self.backbone(batch.tensors)).values())
        outputs = self.head(maps)
        anchors = self.anchor_generator(batch, maps)
        pixels = [map.shape[2] * map.shape[3] for map in maps]
        if self.training:
            return self.eager_outputs(self._losses(targets or (), outputs, anchors, pixels), [])
        found = self._detections(outputs, anchors, pixels, batch.image_sizes)
        return self.eager_outputs({}, self.transform.postprocess(found, batch.image_sizes, sizes))

    def _losses(
        self,
        targets: Sequence[Target],
        outputs: Mapping[str, fb.Tensor],
        anchors: Sequence[fb.Tensor],
        pixels: Sequence[int],
    ) -> dict[str, fb.Tensor]:
        """The losses by name; ``pixels`` are those of each map."""
        raise NotImplementedError

    def _detections(
        self,
        outputs: Mapping[str, fb.Tensor],
        anchors: Sequence[fb.Tensor],
        pixels: Sequence[int],
        sizes: Sequence[Size],
    ) -> list[Target]:
        """Each image's detections, by levels, which have as many anchors about each pixel."""
        per_level = [count * (len(anchors[0]) // sum(pixels)) for count in pixels]
        by_level = {name: value.split(per_level, dim=1) for name, value in outputs.items()}
        return self.postprocess_detections(by_level, [own.split(per_level) for own in anchors], sizes)

    def postprocess_detections(
        self,
        head_outputs: Mapping[str, Sequence[fb.Tensor]],
        anchors: Sequence[Sequence[fb.Tensor]],
        image_shapes: Sequence[Size],
    ) -> list[Target]:
        """Each image's detections, from what the head says of each level, and the anchors of each level."""
        detections = []
        for index, size in enumerate(image_shapes):
            found = []
            for level, boxes in enumerate(anchors[index]):
                outputs = {name: values[level][index] for name, values in head_outputs.items()}
                found.append(self._of_level(outputs, boxes, size))
            boxes, scores, labels = (fb.cat(values) for values in zip(*found, strict=True))
            detections.append(self._best(boxes, scores, labels))
        return detections

    def _best(self, boxes: fb.Tensor, scores: fb.Tensor, labels: fb.Tensor) -> Target:
        kept = batched_nms(boxes, scores, labels, self.nms_thresh)[: self.detections_per_img]
        return {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}

    def _of_level(
        self, outputs: Mapping[str, fb.Tensor], anchors: fb.Tensor, size: Size
    ) -> tuple[fb.Tensor, fb.Tensor, fb.Tensor]:
        scores = self._scores(outputs)
        classes, scores = scores.shape[-1], scores.flatten()
        likely = fb.where(scores > self.score_thresh)[0]
        scores, places = best_first(scores[likely], self.topk_candidates)
        anchor, label = likely[places] // classes, likely[places] % classes
        boxes = self._decoded(outputs["bbox_regression"][anchor], anchors[anchor])
        return clip_boxes_to_image(boxes, size), scores, label

    def _scores(self, outputs: Mapping[str, fb.Tensor]) -> fb.Tensor:
        """``(anchors, classes)`` in 0..1."""
        return outputs["cls_logits"].sigmoid()

    def _decoded(self, codes: fb.Tensor, anchors: fb.Tensor) -> fb.Tensor:
        """Boxes ``(L, 4)`` from codes relative to anchors."""
        raise NotImplementedError
