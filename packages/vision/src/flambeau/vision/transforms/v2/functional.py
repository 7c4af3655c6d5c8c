"""Transforms as functions: the functions of ``transforms.functional``, and functions that only v2 has."""

from flambeau import _suggestions

from ..functional import *
from ..functional import (
    elastic_transform as elastic_transform,
    get_image_num_channels as get_image_num_channels,
    hflip as hflip,
    vflip as vflip,
)
from ._augmentation import *
from ._boxes import *
from ._conversion import *
from ._images import erase, resize, resized_crop  # type: ignore[no-redef]  # noqa: F401
from ._queries import is_pure_tensor as is_pure_tensor
from ._video import *

elastic = elastic_transform
get_num_channels = get_image_num_channels
horizontal_flip = hflip
vertical_flip = vflip

_suggestions.suggest_names(__name__)
