"""Transforms of samples, with the names of torchvision's ``transforms.v2``.

These transforms accept one image, several arguments, or any nested structure of tuples, lists and dictionaries. They
transform all images of one call with the same random parameters, and return labels and texts unchanged. Boxes and masks
that are ``tv_tensors`` are transformed together with their image.

>>> import flambeau
>>> transform = Compose([ToImage(), RandomHorizontalFlip(p=1), ToDtype(flambeau.float32, scale=True)])
>>> image, label = transform(flambeau.tensor([[[0, 255]]], dtype=flambeau.uint8), 3)
>>> image.tolist(), label
([[[1.0, 0.0]]], 3)
"""

import inspect
from typing import TYPE_CHECKING

from flambeau import _public_names, _suggestions

from .. import _image_transforms
from .._augmentation_policies import AutoAugmentPolicy as AutoAugmentPolicy
from .._composition import Compose as Compose
from .._composition import RandomApply as RandomApply
from .._composition import RandomChoice as RandomChoice
from .._composition import RandomOrder as RandomOrder
from .._interpolation import InterpolationMode as InterpolationMode
from . import functional as functional
from ._augmentation import JPEG as JPEG
from ._augmentation import CutMix as CutMix
from ._augmentation import GaussianNoise as GaussianNoise
from ._augmentation import MixUp as MixUp
from ._augmentation import RandomChannelPermutation as RandomChannelPermutation
from ._augmentation import RandomPhotometricDistort as RandomPhotometricDistort
from ._boxes import ClampBoundingBoxes as ClampBoundingBoxes
from ._boxes import ConvertBoundingBoxFormat as ConvertBoundingBoxFormat
from ._boxes import RandomIoUCrop as RandomIoUCrop
from ._boxes import SanitizeBoundingBoxes as SanitizeBoundingBoxes
from ._conversion import RGB as RGB
from ._conversion import Identity as Identity
from ._conversion import PILToTensor as PILToTensor
from ._conversion import ToDtype as ToDtype
from ._conversion import ToImage as ToImage
from ._conversion import ToPILImage as ToPILImage
from ._conversion import ToPureTensor as ToPureTensor
from ._conversion import ToTensor as ToTensor
from ._sizes import RandomResize as RandomResize
from ._sizes import RandomShortestSize as RandomShortestSize
from ._sizes import RandomZoomOut as RandomZoomOut
from ._sizes import ScaleJitter as ScaleJitter
from ._transform import Lambda as Lambda
from ._transform import Transform as Transform
from ._transform import for_samples

if TYPE_CHECKING:
    from .._image_transforms import *
else:  # type checkers take the public names from the imports
    _kinds = filter(inspect.isclass, vars(_image_transforms).values())
    globals().update({kind.__name__: for_samples(kind) for kind in _kinds})
    # The functions of v2 replace those that the classes of ``transforms`` call.
    for _name, _function in (("Resize", "resize"), ("RandomResizedCrop", "resized_crop"), ("RandomErasing", "erase")):
        setattr(globals()[_name], f"_{_function}", staticmethod(getattr(functional, _function)))
    __all__ = ["functional", *(name for name, value in globals().items() if inspect.isclass(value))]

    def __dir__() -> list[str]:
        return _public_names.public_names(globals(), __all__)

    _suggestions.suggest_names(__name__)
