"""The transforms as functions, whose parameters are given and not drawn."""

from flambeau import _suggestions

from ._blur import adjust_sharpness, gaussian_blur
from ._colour import (
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    rgb_to_grayscale,
    to_grayscale,
)
from ._conversion import convert_image_dtype, pil_to_tensor, to_pil_image, to_tensor
from ._crop import center_crop, crop, five_crop, resized_crop, ten_crop
from ._erase import erase
from ._flip import hflip, vflip
from ._image import get_dimensions, get_image_num_channels, get_image_size
from ._interpolation import InterpolationMode
from ._normalization import normalize
from ._pad import pad
from ._resize import resize
from ._tone import autocontrast, equalize, invert, posterize, solarize
from ._warp import affine, elastic_transform, perspective, rotate

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "affine",
    "autocontrast",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "elastic_transform",
    "equalize",
    "erase",
    "five_crop",
    "gaussian_blur",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "InterpolationMode",
    "invert",
    "normalize",
    "pad",
    "perspective",
    "pil_to_tensor",
    "posterize",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "solarize",
    "ten_crop",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]

_suggestions.suggest_names(__name__)
