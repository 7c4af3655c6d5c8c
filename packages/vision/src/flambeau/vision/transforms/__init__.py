"""From the images that datasets hold to the tensors that models take, with chance along the way.

An image is a PIL image, a NumPy array ``(H, W)`` or ``(H, W, C)``, or a tensor ``(..., H, W)`` of one image or of a
batch. Chance comes from flambeau's default generator: a loader that seeds it for each sample makes every augmentation
repeatable, and ``flambeau.manual_seed`` does so elsewhere.
"""

from . import functional
from ._composition import Compose, Lambda, RandomApply, RandomChoice, RandomOrder, RandomTransforms
from ._conversion import ConvertImageDtype, PILToTensor, ToPILImage, ToTensor
from ._normalization import LinearTransformation, Normalize

__all__ = [
    "Compose",
    "ConvertImageDtype",
    "Lambda",
    "LinearTransformation",
    "Normalize",
    "PILToTensor",
    "RandomApply",
    "RandomChoice",
    "RandomOrder",
    "RandomTransforms",
    "ToPILImage",
    "ToTensor",
    "functional",
]
