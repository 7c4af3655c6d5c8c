"""Keypoint R-CNN: boxes and keypoints of persons or of other objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import MultiScaleRoIAlign
from .._backbones import Backbone, register_on_backbone
from .._published import published_in
from .backbone_utils import resnet_extractor
from .faster_rcnn import FasterRCNN, check_backbone, check_kind, init_convolutions

__all__ = ["KeypointRCNN", "KeypointRCNNHeads", "KeypointRCNNPredictor", "keypointrcnn_resnet50_fpn"]

__getattr__ = published_in(__name__)


class KeypointRCNN(FasterRCNN):
    """:class:`~flambeau.vision.models.detection.FasterRCNN` that also predicts keypoints of objects.

    Args:
        backbone, num_classes, min_size, positional, options: as in ``FasterRCNN``. By default, ``min_size`` contains
            sizes from 640 to 800.
        keypoint_roi_pool, keypoint_head, keypoint_predictor: arguments of
            :class:`~flambeau.vision.models.detection.roi_heads.RoIHeads`.
        num_keypoints: number of points of an object, 17 by default.

    Shapes: as in ``FasterRCNN``. Targets also have ``keypoints`` ``(L, points, 3)`` float32 with x, y and visibility.
    Detections also have ``keypoints`` and ``keypoints_scores`` ``(L, points)``.
    Raises: ValueError and TypeError for incompatible arguments.
    Source: He et al. 2017, arXiv:1703.06870.

    >>> from flambeau.vision.models.detection.rpn import AnchorGenerator
    >>> backbone, anchors = nn.Conv2d(3, 8, 3, stride=8), AnchorGenerator(((16,),), ((1.0,),))
    >>> model = KeypointRCNN(backbone, 2, min_size=32, rpn_anchor_generator=anchors, num_keypoints=5).eval()
    >>> sorted(model([fb.rand(3, 32, 48)])[0])
    ['boxes', 'keypoints', 'keypoints_scores', 'labels', 'scores']
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        min_size: int | Sequence[int] | None = None,
        *positional: Any,
        keypoint_roi_pool: MultiScaleRoIAlign | None = None,
        keypoint_head: nn.Module | None = None,
        keypoint_predictor: nn.Module | None = None,
        num_keypoints: int | None = None,
        **options: Any,
    ) -> None:
        check_kind("keypoint_roi_pool", keypoint_roi_pool, MultiScaleRoIAlign)
        if num_keypoints is not None and keypoint_predictor is not None:
            raise ValueError("num_keypoints should be None when keypoint_predictor is specified")
        sizes = (640, 672, 704, 736, 768, 800) if min_size is None else min_size
        # These layers are created first, so that the initial values are drawn in the same order as in torchvision.
        check_backbone(backbone)
        pool = keypoint_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=14, sampling_ratio=2)
        head = keypoint_head or KeypointRCNNHeads(backbone.out_channels, (512,) * 8)
        predictor = keypoint_predictor or KeypointRCNNPredictor(512, num_keypoints or 17)
        super().__init__(backbone, num_classes, sizes, *positional, **options)
        self.roi_heads.keypoint_roi_pool, self.roi_heads.keypoint_head = pool, head
        self.roi_heads.keypoint_predictor = predictor


class KeypointRCNNHeads(nn.Sequential):
    """3x3 convolutions with ReLU. ``layers`` contains their numbers of channels.

    >>> KeypointRCNNHeads(8, layers=[4, 4])(fb.zeros(5, 8, 14, 14)).shape
    flambeau.Size([5, 4, 14, 14])
    """

    def __init__(self, in_channels: int, layers: Sequence[int]) -> None:
        blocks: list[nn.Module] = []
        for channels in layers:
            blocks += [nn.Conv2d(in_channels, channels, 3, stride=1, padding=1), nn.ReLU(inplace=True)]
            in_channels = channels
        super().__init__(*blocks)
        init_convolutions(self)


class KeypointRCNNPredictor(nn.Module):
    """Layers that compute heatmaps of keypoints with four times the size of the input.

    Shapes: ``(L, C, M, M)``; the result is ``(L, points, 4 * M, 4 * M)``.

    >>> KeypointRCNNPredictor(8, num_keypoints=17)(fb.zeros(5, 8, 14, 14)).shape
    flambeau.Size([5, 17, 56, 56])
    """

    def __init__(self, in_channels: int, num_keypoints: int) -> None:
        super().__init__()
        self.kps_score_lowres = nn.ConvTranspose2d(in_channels, num_keypoints, 4, stride=2, padding=1)
        nn.init.kaiming_normal_(self.kps_score_lowres.weight, mode="fan_out", nonlinearity="relu")
        assert self.kps_score_lowres.bias is not None
        nn.init.zeros_(self.kps_score_lowres.bias)
        self.up_scale = 2
        self.out_channels = num_keypoints

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        scores = self.kps_score_lowres(x)
        return nn.functional.interpolate(
            scores, scale_factor=float(self.up_scale), mode="bilinear", align_corners=False
        )


@register_on_backbone(Backbone("resnet50", freezes_norm=True), "IMAGENET1K_V1", stages=5, num_classes=2)
def keypointrcnn_resnet50_fpn(
    backbone: nn.Module, num_classes: int, trainable_layers: int, **options: Any
) -> KeypointRCNN:
    """Build :class:`KeypointRCNN` with a ResNet-50 backbone (59,137,258 parameters with 17 keypoints of persons).

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = keypointrcnn_resnet50_fpn(weights_backbone=None, num_keypoints=5)
    >>> model.roi_heads.keypoint_predictor.kps_score_lowres
    ConvTranspose2d(512, 5, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1))
    """
    return KeypointRCNN(resnet_extractor(backbone, trainable_layers), num_classes, **options)
