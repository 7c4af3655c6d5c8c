"""Test masks and keypoints of detections against NumPy: the operators, and their replacements in traced programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision.models.detection import _pasting, _peaks
from flambeau.vision.models.detection.roi_heads import heatmaps_to_keypoints, paste_masks_in_image


def linear(length: int, size: int) -> np.ndarray:
    """Return the weights ``(length, size)`` of linear interpolation. Edge elements are repeated outside the mask."""
    matrix = np.zeros((length, size))
    for pixel in range(length):
        source = max((pixel + 0.5) * size / length - 0.5, 0.0)
        low = int(source)
        matrix[pixel, low] += 1 - (source - low)
        matrix[pixel, min(low + 1, size - 1)] += source - low
    return matrix


def cubic(length: int, size: int) -> np.ndarray:
    """Return the weights ``(length, size)`` of cubic convolution (Keys 1981) with the parameter -0.75."""
    matrix, a = np.zeros((length, size)), -0.75
    for pixel in range(length):
        source = (pixel + 0.5) * size / length - 0.5
        low = int(np.floor(source))
        for tap in range(low - 1, low + 3):
            d = abs(source - tap)
            near = (a + 2) * d**3 - (a + 3) * d**2 + 1
            far = a * (d**3 - 5 * d**2 + 8 * d - 4)
            matrix[pixel, np.clip(tap, 0, size - 1)] += near if d <= 1 else far
    return matrix


@pytest.mark.parametrize("paste", [_pasting.paste_masks, _pasting._by_products])
def test_paste_masks_interpolates_over_the_box_and_clips_at_the_edges(paste: Callable[..., fb.Tensor]) -> None:
    places = [[2, 3, 9, 17], [-4, -2, 3, 30], [5, 5, 5, 5], [10, 4, 60, 8], [8, 8, 6, 7], [30, 2, 40, 9], [0, 0, 5, 5]]
    masks = fb.rand(len(places), 1, 6, 6)
    pasted = paste(masks, fb.tensor(places), 20, 24)
    expected = np.zeros((len(places), 1, 20, 24))
    for image, mask, (left, top, right, bottom) in zip(expected[:, 0], masks[:, 0].numpy(), places, strict=True):
        height, width = max(bottom - top + 1, 1), max(right - left + 1, 1)
        whole = linear(height, 6) @ mask @ linear(width, 6).T
        for y in range(max(top, 0), min(bottom + 1, 20)):
            for x in range(max(left, 0), min(right + 1, 24)):
                image[y, x] = whole[y - top, x - left]
    np.testing.assert_allclose(pasted.numpy(), expected, atol=1e-6)
    assert paste(masks[:0], fb.zeros(0, 4, dtype=fb.int64), 5, 6).shape == (0, 1, 5, 6)


@pytest.mark.parametrize("peaks", [_peaks.bicubic_peaks, _peaks._by_products])
def test_heatmaps_to_keypoints_finds_the_maximum_of_each_resized_map(peaks: Callable[..., Any]) -> None:
    sizes = [[7, 11], [1, 1], [40, 3], [8, 8], [5, 60]]  # width and height
    maps = fb.randn(len(sizes), 3, 8, 8)
    scores, cells = peaks(maps, fb.tensor(sizes))
    for own, score, cell, (width, height) in zip(maps.numpy(), scores.numpy(), cells.numpy(), sizes, strict=True):
        enlarged = cubic(height, 8) @ own @ cubic(width, 8).T
        np.testing.assert_allclose(score, enlarged.max((1, 2)), rtol=1e-5)
        for map, (column, row) in zip(enlarged, cell, strict=True):
            assert (row, column) == np.unravel_index(map.argmax(), map.shape)
    empty = peaks(maps[:0], fb.zeros(0, 2, dtype=fb.int64))
    assert [tuple(each.shape) for each in empty] == [(0, 3), (0, 3, 2)]


def test_heatmaps_to_keypoints_uses_pixel_centres() -> None:
    maps = fb.zeros(1, 2, 4, 4)
    maps[0, 0, 0, 0] = maps[0, 1, 3, 2] = 1.0
    places, scores = heatmaps_to_keypoints(maps, fb.tensor([[10.0, 20.0, 13.5, 24.0]]))
    np.testing.assert_allclose(places[0].numpy(), [[10 + 0.5 * 3.5 / 4, 20.5, 1], [10 + 2.5 * 3.5 / 4, 23.5, 1]])
    assert scores.tolist() == [[1.0, 1.0]]


def test_pasted_masks_and_keypoint_scores_have_gradients() -> None:
    boxes = fb.tensor([[1.0, 2.0, 9.0, 8.0], [3.0, 0.0, 7.0, 9.0]])
    masks = fb.rand(2, 1, 4, 4, requires_grad=True)
    paste_masks_in_image(masks, boxes, (10, 10)).sum().backward()
    # Each pixel of a mask contributes to the sum. (The total is not checked, because the padding also contributes.)
    assert masks.grad is not None and (masks.grad > 0).all()
    maps = fb.randn(2, 3, 4, 4, requires_grad=True)
    heatmaps_to_keypoints(maps, boxes)[1].sum().backward()
    assert maps.grad is not None
    np.testing.assert_allclose(maps.grad.sum((2, 3)).numpy(), np.ones((2, 3)), rtol=1e-5)
