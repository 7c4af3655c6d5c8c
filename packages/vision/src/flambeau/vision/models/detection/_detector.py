"""The base class of all detectors, and checks of the inputs of detectors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from .image_list import ImageList
from .transform import Size, Target

Tensors = Sequence[fb.Tensor]
Targets = Sequence[Target]
HeadOutputs = Mapping[str, fb.Tensor]
Losses = dict[str, fb.Tensor]


class Detector(nn.Module):
    """Base class of detectors.

    ``transform`` prepares images and targets, and ``backbone`` computes feature maps. A subclass defines ``_outputs``,
    which computes losses or detections from the feature maps.

    Shapes: a list of images ``(C, H, W)`` and, in training, a list of targets: dictionaries with ``boxes`` ``(L, 4)``,
    ``labels`` ``(L,)`` int64 and further entries that the heads require. In training, the result is a dictionary of
    losses, otherwise a dictionary of detections for each image.
    Raises: AssertionError if targets are missing, or if a box has no area.
    """

    transform: Any
    backbone: Any

    def eager_outputs(self, losses: Losses, detections: list[Target]) -> Losses | list[Target]:
        """Return the losses in training mode, otherwise the detections."""
        return losses if self.training else detections

    def forward(self, images: Sequence[fb.Tensor], targets: Targets | None = None) -> Losses | list[Target]:
        if self.training:
            check_boxes_of_targets(targets)
        sizes: list[Size] = [(image.shape[-2], image.shape[-1]) for image in images]
        batch, targets = self.transform(images, targets)
        check_areas(targets or ())
        losses, detections = self._outputs(batch, maps_by_name(self.backbone(batch.tensors)), targets)
        if detections:
            detections = self.transform.postprocess(detections, batch.image_sizes, sizes)
        return self.eager_outputs(losses, detections)

    def _outputs(
        self, images: ImageList, features: Mapping[str, fb.Tensor], targets: Targets | None
    ) -> tuple[Losses, list[Target]]:
        """Return the losses (empty in evaluation), and the detections in the resized images (empty in training)."""
        raise NotImplementedError


def maps_by_name(features: Any) -> Mapping[str, fb.Tensor]:
    """Return a dictionary of the feature maps of a backbone. A single map gets the name ``"0"``."""
    return OrderedDict([("0", features)]) if isinstance(features, fb.Tensor) else features


def check_boxes_of_targets(targets: Targets | None) -> None:
    """Raise AssertionError if targets are missing, or if the shape of their boxes is not ``(L, 4)``."""
    if targets is None:
        raise AssertionError("targets should not be none when in training mode")
    for target in targets:
        boxes: Any = target["boxes"]
        if not isinstance(boxes, fb.Tensor):
            raise AssertionError(f"Expected target boxes to be of type Tensor, got {type(boxes)}.")
        if boxes.ndim != 2 or boxes.shape[-1] != 4:
            raise AssertionError(f"Expected target boxes to be a tensor of shape [N, 4], got {list(boxes.shape)}.")


def check_areas(targets: Targets) -> None:
    """Raise AssertionError for a box without height or width."""
    for index, target in enumerate(targets):
        boxes = target["boxes"]
        flat = (boxes[:, 2:] <= boxes[:, :2]).any(1)
        if flat.any():
            raise AssertionError(
                "All bounding boxes should have positive height and width. Found invalid box "
                f"{boxes[flat][0].tolist()} for target at index {index}."
            )
