"""From the images that datasets hold to the tensors that models take, with chance along the way.

An image is a PIL image, a NumPy array ``(H, W)`` or ``(H, W, C)``, or a tensor ``(..., H, W)`` of one image or of a
batch. Chance comes from flambeau's default generator: a loader that seeds it for each sample makes every augmentation
repeatable, and ``flambeau.manual_seed`` does so elsewhere.
"""

import importlib
from typing import TYPE_CHECKING, Any

from flambeau import _public_names, _suggestions

from . import functional
from ._augmentation_policies import AutoAugmentPolicy
from ._blur import GaussianBlur, RandomAdjustSharpness
from ._colour import ColorJitter, Grayscale, RandomGrayscale
from ._composition import Compose, Lambda, RandomApply, RandomChoice, RandomOrder, RandomTransforms
from ._conversion import ConvertImageDtype, PILToTensor, ToPILImage, ToTensor
from ._crop import CenterCrop, FiveCrop, RandomCrop, RandomResizedCrop, TenCrop
from ._erase import RandomErasing
from ._flip import RandomHorizontalFlip, RandomVerticalFlip
from ._geometry import ElasticTransform, RandomAffine, RandomPerspective, RandomRotation
from ._interpolation import InterpolationMode
from ._normalization import LinearTransformation, Normalize
from ._pad import Pad
from ._resize import Resize
from ._tone import RandomAutocontrast, RandomEqualize, RandomInvert, RandomPosterize, RandomSolarize
from .autoaugment import AugMix, AutoAugment, RandAugment, TrivialAugmentWide

if TYPE_CHECKING:
    from . import v2


if not TYPE_CHECKING:  # so that type checkers report names that do not exist

    def __getattr__(name: str) -> Any:
        if name == "v2":  # made of all the others, and seldom used beside them
            return importlib.import_module(f"{__name__}.v2")
        raise _suggestions.unknown_attribute(__name__, name)


__all__ = [
    "AugMix",
    "AutoAugment",
    "AutoAugmentPolicy",
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "ConvertImageDtype",
    "ElasticTransform",
    "FiveCrop",
    "GaussianBlur",
    "Grayscale",
    "InterpolationMode",
    "Lambda",
    "LinearTransformation",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandAugment",
    "RandomAdjustSharpness",
    "RandomAffine",
    "RandomApply",
    "RandomAutocontrast",
    "RandomChoice",
    "RandomCrop",
    "RandomEqualize",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomOrder",
    "RandomPerspective",
    "RandomPosterize",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSolarize",
    "RandomTransforms",
    "RandomVerticalFlip",
    "Resize",
    "TenCrop",
    "ToPILImage",
    "ToTensor",
    "TrivialAugmentWide",
    "functional",
    "v2",
]


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), (*__all__, "v2"))
