from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

import flambeau as fb
from flambeau.vision import tv_tensors
from flambeau.vision.ops import masks_to_boxes
from flambeau.vision.transforms import v2
from flambeau.vision.transforms.v2 import functional as F
from flambeau.vision.tv_tensors import BoundingBoxes, Mask


def sample(height: int = 40, width: int = 60) -> tuple[tv_tensors.Image, dict[str, Any]]:
    """Return two rectangles of different brightness, with their masks and boxes."""
    masks = fb.zeros(2, height, width, dtype=fb.uint8)
    masks[0, 8:20, 10:30] = 1
    masks[1, 22:34, 34:50] = 1
    image = (masks[0] * 100 + masks[1] * 200)[None].repeat(3, 1, 1)
    around = masks_to_boxes(masks)
    around[:, 2:] += 1  # from the last pixels to their outer edges
    target = {
        "boxes": BoundingBoxes(around, format="XYXY", canvas_size=(height, width)),
        "masks": Mask(masks),
        "labels": fb.tensor([1, 2]),
        "image_id": 7,
    }
    return tv_tensors.Image(image), target


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomHorizontalFlip(0.5),
        v2.RandomVerticalFlip(0.5),
        v2.Resize((80, 90), antialias=False),
        v2.Resize(20, max_size=25),
        v2.RandomCrop((30, 45)),
        v2.CenterCrop(36),
        v2.Pad([3, 4, 5, 6]),
        v2.RandomResizedCrop((50, 40), scale=(0.7, 1.0)),
        v2.RandomZoomOut(side_range=(1.0, 2.0), p=1),
        v2.ScaleJitter((50, 50), (0.7, 1.5)),
        v2.RandomShortestSize([30, 50], max_size=70),
        v2.RandomResize(30, 50),
        v2.RandomRotation((90, 90), expand=True),
        v2.RandomAffine(0, (0.1, 0.1), (0.9, 1.2)),
        v2.RandomIoUCrop(),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_v2_transforms_apply_alike_to_images_masks_and_boxes(transform: Any) -> None:
    fb.manual_seed(0)
    for _ in range(8):
        before, known = sample()
        image, target = transform(before, known)
        boxes, masks = target["boxes"], target["masks"]
        assert type(image) is tv_tensors.Image and type(boxes) is BoundingBoxes and type(masks) is Mask
        height, width = image.shape[-2:]
        assert boxes.canvas_size == (height, width) == tuple(masks.shape[-2:]) and masks.dtype is fb.uint8
        assert target["labels"] is known["labels"] and target["image_id"] == 7
        for mask, brightness, box in zip(masks, (100, 200), boxes, strict=True):
            own = image[0].float()
            differs = ((own - brightness).abs() < 10) != mask.bool()
            assert differs.float().mean() < 0.06  # only at the edges, where pixels are interpolated
            if mask.any() and box[2:].ne(box[:2]).all():
                around = masks_to_boxes(mask[None])[0] + fb.tensor([0.0, 0.0, 1.0, 1.0])
                assert (around - box).abs().max() <= 1.6


def test_v2_rotation_and_perspective_of_boxes_match_torchvision() -> None:
    box = BoundingBoxes([[10.0, 8.0, 30.0, 20.0]], format="XYXY", canvas_size=(40, 60))
    # The expected values were computed by torchvision.
    np.testing.assert_allclose(F.rotate(box, 90.0, expand=True).numpy(), [[8, 30, 20, 50]], atol=1e-4)
    assert F.rotate(box, 90.0, expand=True).canvas_size == (60, 40)
    assert F.get_size(box) == F.get_size(sample()[0]) == F.get_size(sample()[1]["masks"]) == [40, 60]
    angle = np.radians(20.0)
    corners = np.array([[10, 8], [30, 8], [30, 20], [10, 20]]) - [30, 20]
    rotated = corners @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * 1.5 + [33, 18]
    expected = [*rotated.min(0).clip(0), *rotated.max(0)]
    moved = F.affine(box, 20.0, [3, -2], 1.5, [0.0, 0.0])
    np.testing.assert_allclose(moved.numpy()[0], expected, atol=1e-4)
    mapped = F.perspective(box, [[0, 0], [60, 0], [60, 40], [0, 40]], [[5, 0], [65, 0], [65, 40], [5, 40]])
    np.testing.assert_allclose(mapped.numpy(), [[15, 8, 35, 20]], atol=1e-4)
    with pytest.raises(NotImplementedError, match="elastic_transform does not support bounding boxes"):
        F.elastic_transform(box, fb.zeros(1, 40, 60, 2))
    with pytest.raises(ValueError, match="Padding mode 'edge' is not supported with bounding boxes"):
        F.pad(box, 3, padding_mode="edge")


def test_v2_transforms_accept_boxes_in_other_formats() -> None:
    box = BoundingBoxes([[1.0, 2.0, 5.0, 10.0]], format="XYXY", canvas_size=(20, 30))
    for name, numbers in (("XYWH", [1, 2, 4, 8]), ("CXCYWH", [3, 6, 4, 8])):
        other = v2.ConvertBoundingBoxFormat(name)(box)
        assert other.tolist() == [numbers] and other.format.value == name and other.canvas_size == (20, 30)
        assert F.convert_bounding_box_format(other, new_format="XYXY").tolist() == box.tolist()
        assert F.horizontal_flip(other).format.value == name
        flipped = F.convert_bounding_box_format(F.horizontal_flip(other), new_format="XYXY")
        assert flipped.tolist() == [[25, 2, 29, 10]]
    assert F.convert_bounding_box_format(fb.tensor([[3, 6, 4, 8]]), "CXCYWH", "XYXY").tolist() == [[1, 2, 5, 10]]
    with pytest.raises(ValueError, match="`old_format` has to be passed"):
        F.convert_bounding_box_format(fb.zeros(1, 4), new_format="XYXY")
    with pytest.raises(ValueError, match="`old_format` must not be passed"):
        F.convert_bounding_box_format(box, "XYXY", "XYWH")


def test_bounding_boxes_can_be_clamped_and_sanitized() -> None:
    around = [[-3.0, 2.0, 5.0, 50.0], [4.0, 4.0, 4.5, 9.0], [1.0, 1.0, 9.0, 9.0], [40.0, 1.0, 50.0, 9.0]]
    boxes = BoundingBoxes(around, format="XYXY", canvas_size=(20, 30))
    target = {"boxes": boxes, "labels": fb.arange(4), "masks": Mask(fb.ones(4, 20, 30)), "area": fb.rand(4)}
    image = tv_tensors.Image(fb.zeros(3, 20, 30))
    clamped = v2.ClampBoundingBoxes()(image, target)[1]["boxes"]
    assert clamped.tolist() == [[0, 2, 5, 20], [4, 4, 4.5, 9], [1, 1, 9, 9], [30, 1, 30, 9]]
    free = tv_tensors.wrap(boxes, like=boxes, clamping_mode=None)
    assert v2.ClampBoundingBoxes()(free).tolist() == around
    cleaned = v2.Compose([v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes()])(image, target)[1]
    assert cleaned["boxes"].tolist() == [[0, 2, 5, 20], [1, 1, 9, 9]] and cleaned["labels"].tolist() == [0, 2]
    assert len(cleaned["masks"]) == 2 and len(cleaned["area"]) == 4
    both = v2.SanitizeBoundingBoxes(labels_getter=lambda sample: (sample[1]["labels"], sample[1]["area"]))
    kept = both(image, target)[1]
    assert kept["labels"].tolist() == [2] and kept["area"].tolist() == target["area"][2:3].tolist()
    assert v2.SanitizeBoundingBoxes(labels_getter=None)(boxes).tolist() == [[1, 1, 9, 9]]
    assert v2.SanitizeBoundingBoxes(min_area=65, labels_getter=None)(boxes).shape == (0, 4)
    valid = F.sanitize_bounding_boxes(fb.tensor(around), format="XYXY", canvas_size=(20, 30))[1]
    assert valid.tolist() == [False, False, True, False]
    with pytest.raises(ValueError, match=r"must match the number of labels. Found labels with shape=\[3\]"):
        v2.SanitizeBoundingBoxes()(image, {**target, "labels": fb.arange(3)})
    with pytest.raises(ValueError, match="Could not infer where the labels are"):
        v2.SanitizeBoundingBoxes()(image, {"boxes": boxes})
    with pytest.raises(ValueError, match="min_size must be >= 1, got 0"):
        v2.SanitizeBoundingBoxes(min_size=0)


def test_random_iou_crops_contain_a_box() -> None:
    fb.manual_seed(0)
    sizes, counts = set(), set()
    pipeline = v2.Compose([v2.RandomIoUCrop(), v2.SanitizeBoundingBoxes()])
    for _ in range(40):
        image, target = pipeline(*sample())
        sizes.add(tuple(image.shape[-2:]))
        counts.add(len(target["labels"]))
        assert len(target["boxes"]) == len(target["masks"]) == len(target["labels"]) > 0
    assert len(sizes) > 10 and counts == {1, 2}
    with pytest.raises(TypeError, match="requires input sample to contain tensor or PIL images and bounding boxes"):
        v2.RandomIoUCrop()(sample()[0])


def test_v2_colour_transforms_change_only_images() -> None:
    image, target = sample()
    steps = [v2.ToDtype(fb.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    normalized, same = v2.Compose(steps)(image, target)
    assert type(normalized) is tv_tensors.Image and normalized.min() == -1 and normalized.dtype is fb.float32
    assert same["masks"].dtype is fb.uint8 and (same["masks"] == target["masks"]).all()
    by_kind = v2.ToDtype({tv_tensors.Image: fb.float64, Mask: fb.int64, "others": None}, scale=True)
    double, wide = by_kind(image, target)
    assert double.dtype is fb.float64 and double.max() <= 1 and type(wide["masks"]) is Mask
    assert wide["masks"].dtype is fb.int64 and wide["masks"].max() == 1 and wide["boxes"].dtype is fb.float32
    plain = v2.ToPureTensor()(image, target)
    assert type(plain[0]) is fb.Tensor and type(plain[1]["boxes"]) is fb.Tensor
    assert type(v2.ToImage()(Image.new("RGB", (4, 3)))) is tv_tensors.Image
    with pytest.raises(ValueError, match="No dtype was specified for type"):
        v2.ToDtype({Mask: fb.int64})(image)


@pytest.mark.parametrize("kind", [tv_tensors.Image, tv_tensors.Video])
def test_v2_functions_return_the_class_of_their_input(kind: type) -> None:
    image = kind(fb.rand(2, 3, 8, 9))
    for name, arguments in (
        ("adjust_brightness", (1.2,)),
        ("adjust_contrast", (1.2,)),
        ("adjust_saturation", (1.2,)),
        ("adjust_hue", (0.2,)),
        ("adjust_gamma", (1.2,)),
        ("adjust_sharpness", (1.2,)),
        ("autocontrast", ()),
        ("equalize", ()),
        ("erase", (0, 0, 2, 2, 1.0)),
        ("gaussian_blur", (3,)),
        ("gaussian_noise", ()),
        ("invert", ()),
        ("normalize", ([0.5] * 3, [0.5] * 3)),
        ("permute_channels", ([2, 1, 0],)),
        ("posterize", (3,)),
        ("rgb_to_grayscale", (3,)),
        ("solarize", (0.5,)),
        ("to_dtype", (fb.uint8, True)),
    ):
        assert type(getattr(F, name)(image, *arguments)) is kind, name
    assert type(F.jpeg(F.to_dtype(image, fb.uint8, scale=True), 90)) is kind


def test_to_dtype_scales_only_images() -> None:
    mask = Mask(fb.tensor([[0, 1, 2]], dtype=fb.uint8))
    boxes = BoundingBoxes([[1, 2, 5, 6]], format="XYXY", canvas_size=(8, 10))
    for dtype in (fb.float32, fb.int64):
        wide = F.to_dtype(mask, dtype, scale=True)
        assert type(wide) is Mask and wide.dtype is dtype and wide.tolist() == [[0, 1, 2]]
    floats = F.to_dtype(boxes, fb.float32, scale=True)
    assert type(floats) is BoundingBoxes and floats.tolist() == [[1, 2, 5, 6]]
    assert F.to_dtype(mask.as_subclass(fb.Tensor), fb.float32, scale=True).max() < 0.01


def test_v2_transforms_leave_plain_tensors_next_to_an_image_unchanged() -> None:
    image, target = sample()
    features = fb.rand(4, 4)
    assert v2.RandomHorizontalFlip(1)(image, features)[1] is features
    flipped, masks = v2.RandomHorizontalFlip(1)(features, Mask(fb.eye(4)))
    assert (flipped == features.flip(-1)).all() and (masks == fb.eye(4).flip(-1)).all()
    picture, moved = v2.RandomHorizontalFlip(1)(Image.new("RGB", (60, 40)), target)
    assert isinstance(picture, Image.Image) and moved["boxes"].tolist()[0] == [30, 8, 50, 20]


def test_v2_fill_is_selected_by_type() -> None:
    zoom = v2.RandomZoomOut(fill={tv_tensors.Image: (9, 8, 7), "others": 0}, side_range=(2, 2), p=1)
    image, target = zoom(*sample())
    assert set(image[:, 0, 0].tolist()) == {9, 8, 7} or image[:, -1, -1].tolist() == [9, 8, 7]
    assert target["masks"].sum() == sample()[1]["masks"].sum()


def test_v2_fills_of_borders_and_rotations_are_selected_by_type() -> None:
    fills = {tv_tensors.Image: (9, 8, 7), Mask: 5}
    for transform in (
        v2.Pad(2, fill=fills),
        v2.RandomRotation((45, 45), fill=fills),
        v2.RandomAffine((45, 45), fill={tv_tensors.Image: (9, 8, 7), "others": 5}),
        v2.RandomCrop((44, 64), padding=2, fill=fills),
    ):
        image, target = transform(*sample())
        assert image[:, 0, 0].tolist() == [9, 8, 7] and target["masks"][:, 0, 0].tolist() == [5, 5]
        plain = transform(fb.zeros(3, 40, 60, dtype=fb.uint8))
        assert plain[:, 0, 0].tolist() == [9, 8, 7]
    assert v2.Pad(1, fill={Mask: 5})(fb.ones(1, 1, 1)).sum() == 1
    assert v2.Pad(1, fill={fb.Tensor: 2, "others": 5})(fb.ones(1, 1, 1)).sum() == 17


def test_v2_maps_the_centres_of_integer_boxes_without_rounding() -> None:
    box = BoundingBoxes([[10, 12, 8, 9]], format="CXCYWH", canvas_size=(30, 40))  # y from 7.5 to 16.5
    assert F.horizontal_flip(box).tolist() == [[30, 12, 8, 9]]
    assert F.vertical_flip(box).tolist() == [[10, 18, 8, 9]]
    assert F.crop(box, 3, 5, 20, 20).tolist() == [[5, 9, 8, 9]]
    assert F.pad(box, [1, 2]).tolist() == [[11, 14, 8, 9]]
    assert F.resize(box, [60, 80]).tolist() == [[20, 24, 16, 18]]
    assert F.affine(box, 0.0, [3, -2], 1.0, [0.0, 0.0]).tolist() == [[13, 10, 8, 9]]
    assert F.clamp_bounding_boxes(box).tolist() == box.tolist()
    wide = BoundingBoxes([[3, 0, 3, 5]], format="XYWH", canvas_size=(5, 10))
    assert F.resize(wide, [5, 15]).tolist() == [[4, 0, 4, 5]]
    # Corners are rounded towards zero: y from -2.5 to 6.5.
    assert F.convert_bounding_box_format(fb.tensor([[1, 2, 8, 9]]), "CXCYWH", "XYXY").tolist() == [[-3, -2, 5, 6]]


def test_custom_v2_transforms_override_make_params() -> None:
    class Shift(v2.Transform):
        def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
            return {"kinds": [type(value).__name__ for value in flat_inputs], "left": int(fb.randint(1, 5, (1,)))}

        def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
            self.seen = params["kinds"]
            return F.pad(inpt, [params["left"], 0, 0, 0])

    shift = Shift()
    image, target = shift(*sample())
    left = image.shape[-1] - 60
    assert target["boxes"].tolist()[0] == [10 + left, 8, 30 + left, 20] and target["masks"].shape[-1] == 60 + left
    assert shift.seen == ["Image", "BoundingBoxes", "Mask"] and target["labels"].tolist() == [1, 2]


def test_custom_v2_transforms_choose_the_types_that_they_transform() -> None:
    class Halve(v2.Transform):
        _transformed_types = (tv_tensors.BoundingBoxes, lambda value: isinstance(value, float))

        def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
            return inpt / 2

    class Negate(v2.Transform):
        _transformed_types = (fb.Tensor,)

        def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
            return -inpt

    image, target = sample()
    same, changed, number = Halve()(image, target, 3.0)
    assert same is image and changed["masks"] is target["masks"] and number == 1.5
    assert changed["boxes"].tolist() == (target["boxes"] / 2).tolist()
    negative, changed = Negate()(image, target)
    assert (negative == -image).all() and (changed["boxes"] == -target["boxes"]).all()
    assert changed["labels"] is target["labels"]  # a plain tensor next to an image


def test_uniform_temporal_subsample_selects_frames_at_equal_distances() -> None:
    frames = fb.arange(11)[:, None, None, None].expand(2, 11, 3, 2, 2)
    video = tv_tensors.Video(frames)
    assert F.get_num_frames(video) == F.get_num_frames(frames) == 11
    for number, expected in (
        (1, [0]),
        (3, [0, 5, 10]),
        (4, [0, 3, 6, 10]),
        (12, [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ):
        chosen = F.uniform_temporal_subsample(video, number)
        assert type(chosen) is tv_tensors.Video and chosen[1, :, 0, 0, 0].tolist() == expected
        plain = F.uniform_temporal_subsample(frames, number)
        assert type(plain) is fb.Tensor and (plain == chosen).all()
    picture, target = sample()
    shorter = v2.UniformTemporalSubsample(5)
    assert repr(shorter) == "UniformTemporalSubsample(num_samples=5)"
    assert tuple(shorter(frames).shape) == (2, 5, 3, 2, 2)
    chosen, same, others = shorter(video, picture, target)
    assert type(chosen) is tv_tensors.Video and tuple(chosen.shape) == (2, 5, 3, 2, 2)
    assert (same == picture).all() and others["masks"] is target["masks"] and others["boxes"] is target["boxes"]
    with pytest.raises(ValueError, match=r"should have shape \[\.\.\., T, C, H, W\], got shape \[3, 4, 5\]"):
        shorter(fb.zeros(3, 4, 5))
    with pytest.raises(TypeError, match=r"should be a plain tensor or tv_tensors\.Video, got .*Image"):
        F.get_num_frames(picture)
