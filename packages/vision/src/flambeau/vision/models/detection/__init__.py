"""Models that find objects, with the names and the ``state_dict`` keys of torchvision's.

>>> import flambeau as fb
>>> model = fasterrcnn_mobilenet_v3_large_320_fpn(num_classes=2, weights_backbone=None).eval()
>>> sorted(model([fb.rand(3, 64, 96)])[0])
['boxes', 'labels', 'scores']
"""

from .faster_rcnn import (
    FasterRCNN,
    fasterrcnn_mobilenet_v3_large_320_fpn,
    fasterrcnn_mobilenet_v3_large_fpn,
    fasterrcnn_resnet50_fpn,
    fasterrcnn_resnet50_fpn_v2,
)
from .keypoint_rcnn import KeypointRCNN, keypointrcnn_resnet50_fpn
from .mask_rcnn import MaskRCNN, maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2
from .retinanet import RetinaNet, retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2

__all__ = [
    "FasterRCNN",
    "KeypointRCNN",
    "MaskRCNN",
    "RetinaNet",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
]
