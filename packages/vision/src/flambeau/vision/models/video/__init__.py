"""Models for video classification, with the names and the ``state_dict`` keys of torchvision.

>>> import flambeau as fb
>>> model = r3d_18(num_classes=3).eval()
>>> model(fb.rand(1, 3, 4, 32, 32)).shape
flambeau.Size([1, 3])
"""

from .._published import names_in, published_in
from .resnet import VideoResNet, mc3_18, r2plus1d_18, r3d_18
from .s3d import S3D, s3d
from .swin_transformer import SwinTransformer3d, swin3d_b, swin3d_s, swin3d_t

__all__ = [
    "S3D",
    "SwinTransformer3d",
    "VideoResNet",
    "mc3_18",
    "r2plus1d_18",
    "r3d_18",
    "s3d",
    "swin3d_b",
    "swin3d_s",
    "swin3d_t",
]

__getattr__ = published_in(__name__)


def __dir__() -> list[str]:
    return sorted([*__all__, *names_in(__name__)])
