"""Object detectors, with the names and the ``state_dict`` keys of torchvision.

>>> import flambeau as fb
>>> model = fasterrcnn_mobilenet_v3_large_320_fpn(num_classes=2, weights_backbone=None).eval()
>>> sorted(model([fb.rand(3, 64, 96)])[0])
['boxes', 'labels', 'scores']
"""

from .._published import names_in, published_in
from .faster_rcnn import (
    FasterRCNN,
    fasterrcnn_mobilenet_v3_large_320_fpn,
    fasterrcnn_mobilenet_v3_large_fpn,
    fasterrcnn_resnet50_fpn,
    fasterrcnn_resnet50_fpn_v2,
)
from .fcos import FCOS, fcos_resnet50_fpn
from .keypoint_rcnn import KeypointRCNN, keypointrcnn_resnet50_fpn
from .mask_rcnn import MaskRCNN, maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2
from .retinanet import RetinaNet, retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2
from .ssd import SSD, ssd300_vgg16
from .ssdlite import ssdlite320_mobilenet_v3_large

__all__ = [
    "FCOS",
    "SSD",
    "fcos_resnet50_fpn",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
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

__getattr__ = published_in(__name__)


def __dir__() -> list[str]:
    return sorted([*__all__, *names_in(__name__)])
