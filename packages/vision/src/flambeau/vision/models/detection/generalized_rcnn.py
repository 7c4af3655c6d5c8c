"""The frame of detectors with two stages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from .transform import Size, Target


class GeneralizedRCNN(nn.Module):
    """Images and targets are transformed, a backbone makes maps of them, and two networks propose and judge boxes.

    Args:
        backbone: gives a map or several by name.
        rpn: proposes boxes from the images and the maps.
        roi_heads: says what they hold.
        transform: of images, targets and detections.

    Shapes: a list of images ``(C, H, W)`` and, in training, of targets: ``boxes`` ``(L, 4)``, ``labels`` ``(L,)`` int64
    and what the heads want. Gives the losses by name in training and otherwise a detection for each image.
    Raises: AssertionError for targets that are absent or whose boxes have no area.
    """

    def __init__(self, backbone: nn.Module, rpn: nn.Module, roi_heads: nn.Module, transform: Any) -> None:
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads

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
        features = maps_by_name(self.backbone(batch.tensors))
        proposals, proposal_losses = self.rpn(batch, features, targets)
        detections, detector_losses = self.roi_heads(features, proposals, batch.image_sizes, targets)
        detections = self.transform.postprocess(detections, batch.image_sizes, sizes)
        return self.eager_outputs({**detector_losses, **proposal_losses}, detections)


def maps_by_name(features: Any) -> Mapping[str, fb.Tensor]:
    """A backbone's maps; one alone is called ``"0"``."""
    return OrderedDict([("0", features)]) if isinstance(features, fb.Tensor) else features


def original_sizes(images: Sequence[fb.Tensor]) -> list[Size]:
    """Height and width of each image."""
    return [(image.shape[-2], image.shape[-1]) for image in images]


def check_boxes_of_targets(targets: Sequence[Target] | None) -> None:
    """Raise AssertionError for targets that are absent, or whose boxes are no ``(L, 4)``."""
    if targets is None:
        raise AssertionError("targets should not be none when in training mode")
    for target in targets:
        boxes: Any = target["boxes"]
        if not isinstance(boxes, fb.Tensor):
            raise AssertionError(f"Expected target boxes to be of type Tensor, got {type(boxes)}.")
        if boxes.ndim != 2 or boxes.shape[-1] != 4:
            raise AssertionError(f"Expected target boxes to be a tensor of shape [N, 4], got {tuple(boxes.shape)}.")


def check_areas(targets: Sequence[Target]) -> None:
    """Raise AssertionError for a box without height or width."""
    for index, target in enumerate(targets):
        boxes = target["boxes"]
        flat = (boxes[:, 2:] <= boxes[:, :2]).any(1)
        if flat.any():
            raise AssertionError(
                "All bounding boxes should have positive height and width. Found invalid box "
                f"{boxes[flat][0].tolist()} for target at index {index}."
            )
