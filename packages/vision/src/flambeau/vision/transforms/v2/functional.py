"""The transforms as functions, by v2's names: all of ``transforms.functional``, and functions for boxes and samples."""

from flambeau import _suggestions

from ..functional import *  # noqa: F403
from ..functional import hflip, vflip
from ._boxes import clamp_bounding_boxes as clamp_bounding_boxes
from ._boxes import convert_bounding_box_format as convert_bounding_box_format
from ._boxes import sanitize_bounding_boxes as sanitize_bounding_boxes
from ._conversion import get_size as get_size
from ._conversion import to_dtype as to_dtype
from ._conversion import to_image as to_image

horizontal_flip = hflip
vertical_flip = vflip

_suggestions.suggest_names(__name__)
