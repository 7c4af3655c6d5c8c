"""The transforms as functions, whose parameters are given and not drawn."""

from ._conversion import convert_image_dtype, pil_to_tensor, to_pil_image, to_tensor
from ._image import get_dimensions, get_image_num_channels, get_image_size
from ._normalization import normalize

__all__ = [
    "convert_image_dtype",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "normalize",
    "pil_to_tensor",
    "to_pil_image",
    "to_tensor",
]
