"""Transforms as functions, with explicit parameters instead of random parameters.

This module exports the functions in ``__all__`` of the imported modules.
"""

from flambeau import _suggestions

from ._blur import *
from ._colour import *
from ._conversion import *
from ._crop import *
from ._erase import *
from ._flip import *
from ._image import *
from ._interpolation import *
from ._normalization import *
from ._pad import *
from ._resize import *
from ._tone import *
from ._warp import *

_suggestions.suggest_names(__name__)
