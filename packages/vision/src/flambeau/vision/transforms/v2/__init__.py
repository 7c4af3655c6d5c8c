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
from .._composition import (
    Compose as Compose,
    RandomApply as RandomApply,
    RandomChoice as RandomChoice,
    RandomOrder as RandomOrder,
)
from .._interpolation import InterpolationMode as InterpolationMode
from . import _queries, functional as functional
from ._augmentation import (
    JPEG as JPEG,
    CutMix as CutMix,
    GaussianNoise as GaussianNoise,
    MixUp as MixUp,
    RandomChannelPermutation as RandomChannelPermutation,
    RandomPhotometricDistort as RandomPhotometricDistort,
)
from ._boxes import (
    ClampBoundingBoxes as ClampBoundingBoxes,
    ConvertBoundingBoxFormat as ConvertBoundingBoxFormat,
    RandomIoUCrop as RandomIoUCrop,
    SanitizeBoundingBoxes as SanitizeBoundingBoxes,
    SetClampingMode as SetClampingMode,
)
from ._conversion import (
    RGB as RGB,
    ConvertImageDtype as ConvertImageDtype,
    Identity as Identity,
    PILToTensor as PILToTensor,
    ToDtype as ToDtype,
    ToImage as ToImage,
    ToPILImage as ToPILImage,
    ToPureTensor as ToPureTensor,
    ToTensor as ToTensor,
)
from ._queries import (
    check_type as check_type,
    get_bounding_boxes as get_bounding_boxes,
    has_all as has_all,
    has_any as has_any,
    query_chw as query_chw,
    query_size as query_size,
)
from ._sizes import (
    RandomResize as RandomResize,
    RandomShortestSize as RandomShortestSize,
    RandomZoomOut as RandomZoomOut,
    ScaleJitter as ScaleJitter,
)
from ._transform import Lambda as Lambda, Transform as Transform, for_samples
from ._video import UniformTemporalSubsample as UniformTemporalSubsample

if TYPE_CHECKING:
    from .._image_transforms import *  # type: ignore[assignment]
else:  # type checkers take the public names from the imports
    _kinds = filter(inspect.isclass, vars(_image_transforms).values())
    globals().update({kind.__name__: for_samples(kind) for kind in _kinds if kind.__name__ not in globals()})
    # The functions of v2 replace those that the classes of ``transforms`` call.
    for _name, _function in (("Resize", "resize"), ("RandomResizedCrop", "resized_crop"), ("RandomErasing", "erase")):
        setattr(globals()[_name], f"_{_function}", staticmethod(getattr(functional, _function)))
    __all__ = ["functional", *_queries.__all__]
    __all__ += [name for name, value in globals().items() if inspect.isclass(value)]

    def __dir__() -> list[str]:
        return _public_names.public_names(globals(), __all__)

    _suggestions.suggest_names(__name__)
