"""Models for semantic segmentation, with the names and the ``state_dict`` keys of torchvision.

>>> import flambeau as fb
>>> model = lraspp_mobilenet_v3_large(num_classes=3, weights_backbone=None).eval()
>>> model(fb.rand(1, 3, 64, 96))["out"].shape
flambeau.Size([1, 3, 64, 96])
"""

from .._published import names_in, published_in
from .deeplabv3 import DeepLabV3, deeplabv3_mobilenet_v3_large, deeplabv3_resnet50, deeplabv3_resnet101
from .fcn import FCN, fcn_resnet50, fcn_resnet101
from .lraspp import LRASPP, lraspp_mobilenet_v3_large

__all__ = [
    "FCN",
    "LRASPP",
    "DeepLabV3",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet101",
    "deeplabv3_resnet50",
    "fcn_resnet101",
    "fcn_resnet50",
    "lraspp_mobilenet_v3_large",
]

__getattr__ = published_in(__name__)


def __dir__() -> list[str]:
    return sorted([*__all__, *names_in(__name__)])
