from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest
from PIL import Image

import flambeau as fb
from flambeau.vision import tv_tensors
from flambeau.vision.transforms import InterpolationMode
from flambeau.vision.transforms.v2 import functional as F

PLANES = fb.arange(2 * 3 * 8 * 10, dtype=fb.uint8).reshape(2, 3, 8, 10)
CORNERS = [[0, 0], [9, 0], [9, 7], [0, 7]]
GEOMETRIC: dict[str, dict[str, Any]] = {
    "affine": {"angle": 30.0, "translate": [1, 2], "scale": 1.5, "shear": [2.0, 3.0]},
    "center_crop": {"output_size": [4, 5]},
    "crop": {"top": 1, "left": 2, "height": 4, "width": 5},
    "elastic": {"displacement": fb.full((1, 8, 10, 2), 0.3)},
    "horizontal_flip": {},
    "pad": {"padding": [1, 2], "fill": 3},
    "perspective": {"startpoints": CORNERS, "endpoints": [[1, 1], [8, 0], [9, 6], [0, 7]]},
    "resize": {"size": [5, 13]},
    "resized_crop": {"top": 1, "left": 2, "height": 4, "width": 5, "size": [8, 8]},
    "rotate": {"angle": 30.0, "expand": True},
    "vertical_flip": {},
}


@pytest.mark.parametrize("name", GEOMETRIC)
def test_functions_of_one_kind_equal_the_general_function(name: str) -> None:
    general, options = getattr(F, name), GEOMETRIC[name]
    for kind, wrap in (("image", tv_tensors.Image), ("mask", tv_tensors.Mask), ("video", tv_tensors.Video)):
        kernel = getattr(F, f"{name}_{kind}")
        expected = general(wrap(PLANES), **options)
        for data in (PLANES, wrap(PLANES)):
            result = kernel(data, *options.values()) if name != "rotate" else kernel(data, 30.0, expand=True)
            assert type(result) is fb.Tensor and (result == expected.as_subclass(fb.Tensor)).all()
        assert next(iter(inspect.signature(kernel).parameters)) == kind and pickle.loads(pickle.dumps(kernel)) is kernel


def test_functions_of_masks_have_no_arguments_about_interpolation() -> None:
    assert list(inspect.signature(F.resize_mask).parameters) == ["mask", "size", "max_size"]
    assert "interpolation" in inspect.signature(F.resize_image).parameters
    assert F.resize_mask(mask=fb.tensor([[0, 7]]), size=(1, 4)).tolist() == [[0, 0, 7, 7]]
    with pytest.raises(TypeError, match="interpolation"):
        F.resize_mask(PLANES, (4, 4), interpolation=InterpolationMode.BILINEAR)


def test_functions_of_images_and_videos_equal_the_general_function() -> None:
    assert (F.adjust_brightness_image(PLANES[0], 0.5) == F.adjust_brightness(PLANES[0], 0.5)).all()
    assert (F.adjust_brightness_video(PLANES, brightness_factor=0.5) == F.adjust_brightness(PLANES, 0.5)).all()
    assert (F.erase_image(PLANES, 1, 2, 3, 4, fb.tensor(0)) == F.erase(PLANES, 1, 2, 3, 4, fb.tensor(0))).all()
    assert F.to_dtype_video(PLANES, fb.float32, scale=True).max() <= 1
    crops = zip(F.five_crop_image(PLANES, 4), F.five_crop(PLANES, 4), strict=True)
    assert all((one == other).all() for one, other in crops)
    assert tuple(F.grayscale_to_rgb_image(PLANES[:, :1]).shape) == (2, 3, 8, 10)
    assert tuple(F.rgb_to_grayscale_image(PLANES).shape) == (2, 1, 8, 10)
    assert F.get_size_mask(PLANES[0, 0]) == [8, 10] and F.get_dimensions_video(PLANES) == [3, 8, 10]
    assert F.get_num_channels_image(PLANES) == 3 and F.get_num_frames_video(PLANES) == 2
    assert (F.uniform_temporal_subsample_video(PLANES, 1) == PLANES[:1]).all()


def test_functions_of_one_kind_reject_pil_images() -> None:
    with pytest.raises(TypeError, match=r"resize_image requires a tensor, got .*; resize accepts other types"):
        F.resize_image(Image.new("L", (4, 4)), 2)
