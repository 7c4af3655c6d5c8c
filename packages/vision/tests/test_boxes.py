from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import ops

RNG = np.random.default_rng(0)


def random_boxes(count: int) -> np.ndarray:
    corner = RNG.random((count, 2)) * 10
    return np.concatenate([corner, corner + RNG.random((count, 2)) * 8 + 0.1], axis=1)


def overlap(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Return the areas of the intersection, the union and the smallest enclosing box of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    intersection = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - intersection
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return intersection, union, hull


def test_box_iou_and_generalized_box_iou_compare_all_pairs() -> None:
    first, second = random_boxes(6), random_boxes(5)
    iou = ops.box_iou(fb.from_numpy(first), fb.from_numpy(second)).numpy()
    giou = ops.generalized_box_iou(fb.from_numpy(first), fb.from_numpy(second)).numpy()
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            intersection, union, hull = overlap(a, b)
            assert iou[i, j] == pytest.approx(intersection / union)
            assert giou[i, j] == pytest.approx(intersection / union - (hull - union) / hull)
    assert (iou > 0).any() and (iou == 0).any()
    with pytest.raises(ValueError, match=r"boxes2 should have shape \[N, 4\] .* got shape \[4\]"):
        ops.box_iou(fb.zeros(2, 4), fb.zeros(4))


def distances(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return the penalty terms of distance-IoU and complete-IoU for two boxes."""
    hull = np.hypot(max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1]))
    distance = (np.hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3]) / 2 / hull) ** 2
    angle = np.arctan2(a[2] - a[0], a[3] - a[1]) - np.arctan2(b[2] - b[0], b[3] - b[1])
    v, iou = (2 * angle / np.pi) ** 2, overlap(a, b)[0] / overlap(a, b)[1]
    return distance, distance + v * v / (1 - iou + v)


def test_distance_box_iou_and_the_box_losses_match_the_formulas() -> None:
    first, second = random_boxes(5), random_boxes(5)
    x, y = fb.from_numpy(first), fb.from_numpy(second)
    iou = ops.box_iou(x, y).numpy()
    penalties = np.array([[distances(a, b) for b in second] for a in first])
    for penalty, function in enumerate((ops.distance_box_iou, ops.complete_box_iou)):
        np.testing.assert_allclose(function(x, y).numpy(), iou - penalties[..., penalty], rtol=1e-5)
    for pairs, loss in (
        (ops.generalized_box_iou, ops.generalized_box_iou_loss),
        (ops.distance_box_iou, ops.distance_box_iou_loss),
        (ops.complete_box_iou, ops.complete_box_iou_loss),
    ):
        expected = 1 - pairs(x, y).diagonal()
        np.testing.assert_allclose(loss(x, y).numpy(), expected.numpy(), rtol=1e-5)
        assert loss(x, y, reduction="sum").item() == pytest.approx(expected.sum().item(), rel=1e-5)
        assert loss(x, y, reduction="mean").item() == pytest.approx(expected.mean().item(), rel=1e-5)
        assert loss(x[:0], y[:0], reduction="mean").item() == 0
        with pytest.raises(ValueError, match="'reduction': 'most'"):
            loss(x, y, reduction="most")


def test_a_gradient_step_decreases_the_box_losses() -> None:
    for loss in (ops.generalized_box_iou_loss, ops.distance_box_iou_loss, ops.complete_box_iou_loss):
        boxes = fb.tensor([0.0, 0.0, 1.0, 2.0], dtype=fb.float64, requires_grad=True)
        target = fb.tensor([5.0, 4.0, 7.0, 6.0], dtype=fb.float64)
        before = loss(boxes, target)
        before.backward()
        assert loss((boxes - 0.1 * boxes.grad).detach(), target) < before


def test_box_area_of_small_integer_types_does_not_overflow() -> None:
    assert ops.box_area(fb.tensor([[0, 0, 200, 200]], dtype=fb.uint8)).tolist() == [40_000]


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16, fb.uint8])
def test_areas_of_small_types_do_not_overflow_in_ious_and_losses(dtype: fb.dtype) -> None:
    first, second = np.array([[0.0, 0.0, 240.0, 240.0]]), np.array([[0.0, 80.0, 240.0, 240.0]])
    x, y = (fb.from_numpy(boxes).to(dtype) for boxes in (first, second))
    intersection, union, hull = overlap(first[0], second[0])
    generalized = intersection / union - (hull - union) / hull
    distance, complete = (intersection / union - penalty for penalty in distances(first[0], second[0]))
    for name, expected in (
        ("box_iou", intersection / union),
        ("generalized_box_iou", generalized),
        ("distance_box_iou", distance),
        ("complete_box_iou", complete),
    ):
        found = getattr(ops, name)(x, y)
        assert found.dtype is fb.float32 and found.item() == pytest.approx(expected, rel=1e-5)
        if name != "box_iou":
            loss = getattr(ops, f"{name}_loss")(x, y)
            assert loss.dtype is fb.float32 and loss.item() == pytest.approx(1 - expected, rel=1e-5)
    assert ops.box_area(x).item() == 57_600


@pytest.mark.parametrize("given", ["xyxy", "xywh", "cxcywh"])
@pytest.mark.parametrize("wanted", ["xyxy", "xywh", "cxcywh"])
def test_box_convert_converts_between_all_formats(given: str, wanted: str) -> None:
    of = {"xyxy": [1.0, 2.0, 4.0, 8.0], "xywh": [1.0, 2.0, 3.0, 6.0], "cxcywh": [2.5, 5.0, 3.0, 6.0]}
    assert ops.box_convert(fb.tensor([of[given]]), given, wanted).tolist() == [of[wanted]]
    with pytest.raises(ValueError, match="in_fmt xy and out_fmt xyxy"):
        ops.box_convert(fb.zeros(1, 4), "xy", "xyxy")


def test_boxes_are_clipped_to_the_image_and_small_boxes_are_removed() -> None:
    boxes = fb.tensor([[-1.0, -2.0, 5.0, 20.0], [1.0, 1.0, 2.0, 9.0]])
    assert ops.clip_boxes_to_image(boxes, (10, 4)).tolist() == [[0, 0, 4, 10], [1, 1, 2, 9]]
    assert ops.remove_small_boxes(boxes, 3).tolist() == [0]


def suppressed(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    taken: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        overlaps = (overlap(boxes[index], boxes[other]) for other in taken)
        if all(intersection / union <= threshold for intersection, union, _ in overlaps):
            taken.append(index)
    return taken


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_nms_equals_sequential_suppression(threshold: float) -> None:
    boxes, scores = random_boxes(60), RNG.random(60)
    taken = ops.nms(fb.from_numpy(boxes), fb.from_numpy(scores), threshold)
    assert taken.dtype is fb.int64 and taken.tolist() == suppressed(boxes, scores, threshold)


def test_batched_nms_suppresses_within_classes() -> None:
    boxes, scores, classes = random_boxes(60), RNG.random(60), RNG.integers(0, 3, 60)
    taken = ops.batched_nms(fb.from_numpy(boxes), fb.from_numpy(scores), fb.from_numpy(classes), 0.3).tolist()
    expected = [
        np.flatnonzero(classes == c)[index]
        for c in range(3)
        for index in suppressed(boxes[classes == c], scores[classes == c], 0.3)
    ]
    assert sorted(taken) == sorted(expected) and scores[taken].tolist() == sorted(scores[taken], reverse=True)
    assert ops.nms(fb.zeros(0, 4), fb.zeros(0), 0.5).tolist() == []
    assert ops.batched_nms(fb.zeros(0, 4), fb.zeros(0), fb.zeros(0), 0.5).tolist() == []
    with pytest.raises(ValueError, match=r"scores should have shape \[2\], .* got shape \[3\]"):
        ops.nms(fb.zeros(2, 4), fb.zeros(3), 0.5)


def test_masks_to_boxes_returns_the_bounding_boxes() -> None:
    masks = fb.zeros(2, 8, 9, dtype=fb.bool)
    masks[0, 2:5, 3:9] = True
    assert ops.masks_to_boxes(masks).tolist() == [[3, 2, 8, 4], [0, 0, 0, 0]]


def read(plane: np.ndarray, y: float, x: float) -> float:
    """Interpolate bilinearly, as the paper's code does.

    Up to one pixel outside the image, edge pixels are repeated. Beyond that, the result is 0.
    """
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, u = y - top, x - left
    upper = plane[top, left] * (1 - u) + plane[top, right] * u
    lower = plane[bottom, left] * (1 - u) + plane[bottom, right] * u
    return upper * (1 - v) + lower * v


@pytest.mark.parametrize(
    ("scale", "ratio", "aligned"), [(1.0, 2, False), (1.0, -1, True), (0.5, -1, False), (0.5, 3, True)]
)
def test_roi_align_averages_sampled_points(scale: float, ratio: int, aligned: bool) -> None:
    maps = RNG.standard_normal((2, 3, 12, 15))
    rois = np.array([[0, 1, 2, 7, 9], [1, 0, 0, 14, 11], [1, -3, 5, 4, 30], [0, 3, 3, 3.2, 3.4]])
    result = ops.roi_align(fb.from_numpy(maps), fb.from_numpy(rois), (4, 5), scale, ratio, aligned)
    assert tuple(result.shape) == (4, 3, 4, 5)
    for k, (number, *corners) in enumerate(rois):
        x1, y1, x2, y2 = np.array(corners) * scale - 0.5 * aligned
        width, height = (x2 - x1, y2 - y1) if aligned else (max(x2 - x1, 1), max(y2 - y1, 1))
        across = ratio if ratio > 0 else max(int(np.ceil(width / 5)), 1)
        down = ratio if ratio > 0 else max(int(np.ceil(height / 4)), 1)
        for row, column in ((0, 0), (1, 3), (3, 4)):
            points = [
                read(
                    maps[int(number), 1],
                    y1 + (row + (i + 0.5) / down) * height / 4,
                    x1 + (column + (j + 0.5) / across) * width / 5,
                )
                for i in range(down)
                for j in range(across)
            ]
            assert result[k, 1, row, column].item() == pytest.approx(np.mean(points), abs=1e-12)


def test_roi_align_accepts_lists_of_boxes_and_passes_gradcheck() -> None:
    maps = fb.from_numpy(RNG.standard_normal((2, 1, 6, 6))).requires_grad_()
    boxes = [
        fb.tensor([[0.0, 0.0, 3.0, 3.0]]).double(),
        fb.tensor([[1.0, 1.0, 5.0, 4.0], [0.0, 2.0, 2.0, 5.0]]).double(),
    ]
    layer = ops.RoIAlign(2, 1.0, 2, aligned=True)
    result = layer(maps, boxes)
    assert tuple(result.shape) == (3, 1, 2, 2)
    result.sum().backward()
    # Each of the 12 outputs is a weighted mean, so its gradient with respect to the pixels sums to 1.
    assert maps.grad is not None and maps.grad.sum().item() == pytest.approx(12)
    assert repr(layer) == "RoIAlign(output_size=2, spatial_scale=1.0, sampling_ratio=2, aligned=True)"


@pytest.mark.parametrize(
    ("maps", "boxes", "message"),
    [
        (fb.zeros(3, 4, 4), fb.zeros(1, 5), r"input should have shape \[N, C, H, W\]"),
        (fb.zeros(2, 3, 4, 4), fb.zeros(1, 4), r"Tensor\[K, 5\], got \[1, 4\]"),
        (fb.zeros(2, 3, 4, 4), [fb.zeros(1, 4)], "a list of 2 tensors"),
        (fb.zeros(2, 3, 4, 4), fb.tensor([[2.0, 0, 0, 1, 1]]), "should be indices of images from 0 to 1"),
    ],
)
def test_roi_align_rejects_invalid_regions(maps: fb.Tensor, boxes: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.roi_align(maps, boxes, 2)


def test_focal_loss_matches_the_formula() -> None:
    scores, targets = RNG.standard_normal(20), (RNG.random(20) > 0.5).astype(float)
    p = 1 / (1 + np.exp(-scores))
    right = np.where(targets == 1, p, 1 - p)
    expected = -np.where(targets == 1, 0.25, 0.75) * (1 - right) ** 2 * np.log(right)
    given = (fb.from_numpy(scores), fb.from_numpy(targets))
    np.testing.assert_allclose(ops.sigmoid_focal_loss(*given).numpy(), expected)
    assert ops.sigmoid_focal_loss(*given, reduction="mean").item() == pytest.approx(expected.mean())
    plain = ops.sigmoid_focal_loss(*given, alpha=-1, gamma=0, reduction="sum").item()
    assert plain == pytest.approx(-np.log(right).sum())
    with pytest.raises(ValueError, match="Invalid Value for arg 'reduction': 'max'"):
        ops.sigmoid_focal_loss(*given, reduction="max")
    with pytest.raises(ValueError, match="Invalid alpha value: 2"):
        ops.sigmoid_focal_loss(*given, alpha=2)


def test_box_inter_union_returns_the_areas_of_intersection_and_union():
    first, second = fb.tensor([[0.0, 0.0, 2.0, 2.0]]), fb.tensor([[1.0, 1.0, 3.0, 3.0]])
    assert [t.tolist() for t in ops._box_inter_union(first, second)] == [[[1.0]], [[7.0]]]
