"""Image transforms and random augmentation.

An image is a PIL image, a NumPy array ``(H, W)`` or ``(H, W, C)``, or a tensor ``(..., H, W)`` of one image or of a
batch. Random numbers come from flambeau's default generator. Augmentation is reproducible if a loader seeds this
generator for each sample, or after ``flambeau.manual_seed``.
"""

import importlib
import inspect
from typing import TYPE_CHECKING

from flambeau import _public_names, _suggestions

from . import functional as functional
from ._augmentation_policies import AutoAugmentPolicy as AutoAugmentPolicy
from ._composition import (
    Compose as Compose,
    Lambda as Lambda,
    RandomApply as RandomApply,
    RandomChoice as RandomChoice,
    RandomOrder as RandomOrder,
    RandomTransforms as RandomTransforms,
)
from ._conversion import PILToTensor as PILToTensor, ToPILImage as ToPILImage, ToTensor as ToTensor
from ._image_transforms import *
from ._interpolation import InterpolationMode as InterpolationMode

if TYPE_CHECKING:
    from . import v2 as v2
else:  # type checkers take the public names from the imports
    __all__ = ["functional", "v2", *(name for name, value in globals().items() if inspect.isclass(value))]

    def __getattr__(name: str) -> object:
        if name == "v2":  # v2 is imported at first use, because it creates a class for each transform of this module
            return importlib.import_module(f"{__name__}.v2")
        raise _suggestions.unknown_attribute(__name__, name)

    def __dir__() -> list[str]:
        return _public_names.public_names(globals(), __all__)
