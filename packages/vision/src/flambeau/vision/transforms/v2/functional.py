"""Transforms as functions, with v2's names: those of ``transforms.functional`` and further ones of v2."""

from flambeau import _suggestions

from ..functional import *
from ..functional import hflip as hflip
from ..functional import vflip as vflip
from ._augmentation import *
from ._boxes import *
from ._conversion import *

horizontal_flip = hflip
vertical_flip = vflip

_suggestions.suggest_names(__name__)
