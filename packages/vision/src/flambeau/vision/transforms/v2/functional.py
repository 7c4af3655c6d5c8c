"""Transforms as functions: the functions of ``transforms.functional``, and functions that only v2 has."""

from flambeau import _suggestions

from ..functional import *
from ..functional import hflip as hflip, vflip as vflip
from ._augmentation import *
from ._boxes import *
from ._conversion import *
from ._images import erase, resize, resized_crop  # type: ignore[no-redef]  # noqa: F401

horizontal_flip = hflip
vertical_flip = vflip

_suggestions.suggest_names(__name__)
