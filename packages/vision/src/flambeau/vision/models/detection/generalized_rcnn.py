"""The frame of detectors with two stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flambeau as fb
from flambeau import nn

from ._detector import Detector, Losses, Targets
from .image_list import ImageList
from .transform import Target


class GeneralizedRCNN(Detector):
    """Images and targets are transformed, a backbone makes maps of them, and two networks propose and judge boxes.

    Args:
        backbone: gives a map or several by name.
        rpn: proposes boxes from the images and the maps.
        roi_heads: says what they hold.
        transform: module that transforms images and targets, and transforms detections back.

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

    def _outputs(
        self, images: ImageList, features: Mapping[str, fb.Tensor], targets: Targets | None
    ) -> tuple[Losses, list[Target]]:
        proposals, proposal_losses = self.rpn(images, features, targets)
        detections, detector_losses = self.roi_heads(features, proposals, images.image_sizes, targets)
        return {**detector_losses, **proposal_losses}, detections
