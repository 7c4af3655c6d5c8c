"""Base class of two-stage detectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flambeau as fb
from flambeau import nn

from ._detector import Detector, Losses, Targets
from .image_list import ImageList
from .transform import Target


class GeneralizedRCNN(Detector):
    """Base class of two-stage detectors.

    The images are transformed, a backbone computes feature maps, a first network proposes boxes, and a second network
    classifies and refines the boxes.

    Args:
        backbone: module that returns a feature map or a dictionary of feature maps.
        rpn: module that proposes boxes from the images and the feature maps.
        roi_heads: module that classifies and refines the proposed boxes.
        transform: module that transforms images and targets, and transforms detections back.

    Shapes: a list of images ``(C, H, W)`` and, in training, a list of targets: dictionaries with ``boxes`` ``(L, 4)``,
    ``labels`` ``(L,)`` int64 and further entries that the heads require. In training, the result is a dictionary of
    losses, otherwise a dictionary of detections for each image.
    Raises: AssertionError if targets are missing, or if a box has no area.
    """

    def __init__(self, backbone: nn.Module, rpn: nn.Module, roi_heads: nn.Module, transform: Any) -> None:
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads

    def _outputs(
        self, images: ImageList, features: Mapping[str, fb.Tensor], targets: Targets | None
    ) -> tuple[Losses, list[Target]]:
        proposals, proposal_losses = self.rpn(images, features, targets)
        detections, detector_losses = self.roi_heads(features, proposals, images.image_sizes, targets)
        return {**detector_losses, **proposal_losses}, detections
