"""Transforms as functions: the functions of ``transforms.functional``, and functions that only v2 has.

Functions such as ``resize_mask`` treat a plain tensor as the named kind of data. They have the arguments of the general
function, without those about interpolation for masks, and return plain tensors.

>>> import flambeau
>>> resize_mask(flambeau.tensor([[0, 2]]), (1, 4))
tensor([[0, 0, 2, 2]])
"""

from flambeau import _suggestions

from .. import functional as _v1
from ..functional import *
from ..functional import (
    elastic_transform as elastic_transform,
    get_image_num_channels as get_image_num_channels,
    hflip as hflip,
    vflip as vflip,
)
from . import _augmentation, _conversion, _kernels, _video
from ._augmentation import *
from ._boxes import *
from ._conversion import *
from ._images import erase, resize, resized_crop  # type: ignore[no-redef]
from ._queries import is_pure_tensor as is_pure_tensor
from ._video import *

elastic = elastic_transform
get_num_channels = get_image_num_channels
horizontal_flip = hflip
vertical_flip = vflip

# The variants for plain tensors that contain one kind of data.
adjust_brightness_image, adjust_brightness_video = _kernels.for_images(_v1.adjust_brightness)
adjust_contrast_image, adjust_contrast_video = _kernels.for_images(_v1.adjust_contrast)
adjust_gamma_image, adjust_gamma_video = _kernels.for_images(_v1.adjust_gamma)
adjust_hue_image, adjust_hue_video = _kernels.for_images(_v1.adjust_hue)
adjust_saturation_image, adjust_saturation_video = _kernels.for_images(_v1.adjust_saturation)
adjust_sharpness_image, adjust_sharpness_video = _kernels.for_images(_v1.adjust_sharpness)
affine_image, affine_mask, affine_video = _kernels.for_planes(_v1.affine)
autocontrast_image, autocontrast_video = _kernels.for_images(_v1.autocontrast)
center_crop_image, center_crop_mask, center_crop_video = _kernels.for_planes(_v1.center_crop)
crop_image, crop_mask, crop_video = _kernels.for_planes(_v1.crop)
elastic_image, elastic_mask, elastic_video = _kernels.for_planes(_v1.elastic_transform, "elastic")
equalize_image, equalize_video = _kernels.for_images(_v1.equalize)
erase_image, erase_video = _kernels.for_images(erase)
five_crop_image, five_crop_video = _kernels.for_images(_v1.five_crop)
gaussian_blur_image, gaussian_blur_video = _kernels.for_images(_v1.gaussian_blur)
gaussian_noise_image, gaussian_noise_video = _kernels.for_images(_augmentation.gaussian_noise)
get_dimensions_image, get_dimensions_video = _kernels.for_images(_v1.get_dimensions)
get_num_channels_image, get_num_channels_video = _kernels.for_images(_v1.get_image_num_channels, "get_num_channels")
get_num_frames_video = _kernels.for_images(_video.get_num_frames)[1]
get_size_image, get_size_mask, get_size_video = _kernels.for_planes(_conversion.get_size)
grayscale_to_rgb_image = _kernels.for_images(_conversion.grayscale_to_rgb)[0]
horizontal_flip_image, horizontal_flip_mask, horizontal_flip_video = _kernels.for_planes(hflip, "horizontal_flip")
invert_image, invert_video = _kernels.for_images(_v1.invert)
jpeg_image, jpeg_video = _kernels.for_images(_augmentation.jpeg)
normalize_image, normalize_video = _kernels.for_images(_v1.normalize)
pad_image, pad_mask, pad_video = _kernels.for_planes(_v1.pad)
permute_channels_image, permute_channels_video = _kernels.for_images(_augmentation.permute_channels)
perspective_image, perspective_mask, perspective_video = _kernels.for_planes(_v1.perspective)
posterize_image, posterize_video = _kernels.for_images(_v1.posterize)
resize_image, resize_mask, resize_video = _kernels.for_planes(resize)
resized_crop_image, resized_crop_mask, resized_crop_video = _kernels.for_planes(resized_crop)
rgb_to_grayscale_image = _kernels.for_images(_v1.rgb_to_grayscale)[0]
rotate_image, rotate_mask, rotate_video = _kernels.for_planes(_v1.rotate)
solarize_image, solarize_video = _kernels.for_images(_v1.solarize)
ten_crop_image, ten_crop_video = _kernels.for_images(_v1.ten_crop)
to_dtype_image, to_dtype_video = _kernels.for_images(_conversion.to_dtype)
uniform_temporal_subsample_video = _kernels.for_images(_video.uniform_temporal_subsample)[1]
vertical_flip_image, vertical_flip_mask, vertical_flip_video = _kernels.for_planes(vflip, "vertical_flip")

_suggestions.suggest_names(__name__)
