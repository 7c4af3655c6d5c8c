from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import flambeau as fb
from flambeau.vision import tv_tensors
from flambeau.vision.transforms import v2
from flambeau.vision.transforms.v2 import functional as F
from flambeau.vision.tv_tensors import BoundingBoxes


def boxes() -> BoundingBoxes:
    return BoundingBoxes([[-2, 1, 12, 5]], format="XYXY", canvas_size=(8, 10))


def test_type_queries_accept_types_and_functions() -> None:
    sample = [Image.new("L", (2, 2)), 3, fb.zeros(2)]
    assert v2.has_any(sample, str, Image.Image) and not v2.has_any(sample, str) and not v2.has_any([], int)
    assert v2.has_any(sample, F.is_pure_tensor) and not v2.has_any(sample, lambda value: value == "cat")
    assert v2.has_all(sample, int, F.is_pure_tensor) and not v2.has_all(sample, int, str) and v2.has_all(sample)
    assert v2.check_type(3, (str, int)) and not v2.check_type(3, ())
    assert not F.is_pure_tensor(boxes()) and not F.is_pure_tensor(np.zeros(2))


def test_size_queries_return_the_size_of_all_images_of_a_sample() -> None:
    image, video = tv_tensors.Image(fb.zeros(3, 8, 10)), tv_tensors.Video(fb.zeros(2, 3, 8, 10))
    everything = [image, video, Image.new("RGB", (10, 8)), tv_tensors.Mask(fb.zeros(2, 8, 10)), boxes(), "cat", 3]
    assert v2.query_size(everything) == (8, 10) and v2.query_chw(everything) == (3, 8, 10)
    assert v2.query_size([boxes()]) == (8, 10) and v2.query_chw([fb.zeros(4, 5), 3]) == (1, 4, 5)
    with pytest.raises(TypeError, match="No image or video was found in the sample"):
        v2.query_chw([boxes(), "cat"])
    with pytest.raises(TypeError, match="No image, video, mask or bounding box was found in the sample"):
        v2.query_size(["cat"])
    with pytest.raises(ValueError, match=r"multiple HxW dimensions in the sample: \[\(4, 5\), \(8, 10\)\]"):
        v2.query_size([boxes(), fb.zeros(4, 5)])
    with pytest.raises(ValueError, match=r"multiple CxHxW dimensions in the sample: \[\(1, 4, 5\), \(3, 4, 5\)\]"):
        v2.query_chw([fb.zeros(3, 4, 5), fb.zeros(4, 5)])


def test_get_bounding_boxes_returns_the_only_boxes_of_a_sample() -> None:
    found = boxes()
    assert v2.get_bounding_boxes([3, found, "cat"]) is found
    with pytest.raises(ValueError, match="No bounding boxes were found"):
        v2.get_bounding_boxes([3])


def test_functions_have_the_general_and_the_older_names() -> None:
    assert F.get_num_channels(Image.new("RGB", (4, 5))) == F.get_num_channels(fb.zeros(2, 3, 4, 5)) == 3
    assert F.get_dimensions(fb.zeros(2, 3, 4, 5)) == [3, 4, 5] and F.elastic is F.elastic_transform


def test_set_clamping_mode_changes_how_later_transforms_clip_boxes() -> None:
    image, before = fb.zeros(3, 8, 10), boxes()
    _, after = v2.SetClampingMode(None)(image, before)
    assert before.clamping_mode == "soft" and after.clamping_mode is None and (after == before).all()
    assert v2.CenterCrop((8, 10))(after).tolist() == [[-2, 1, 12, 5]]
    hard = v2.SetClampingMode("hard")
    assert hard(after).clamping_mode == "hard" and repr(hard) == "SetClampingMode(clamping_mode=hard)"
    assert v2.CenterCrop((8, 10))(hard(after)).tolist() == [[0, 1, 10, 5]]
    with pytest.raises(ValueError, match="clamping_mode must be None, hard or soft, got loud"):
        v2.SetClampingMode("loud")
