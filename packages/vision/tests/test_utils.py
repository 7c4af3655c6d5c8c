from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import flambeau as fb
from flambeau.vision import utils

IMAGES = fb.from_numpy(np.random.default_rng(0).random((5, 3, 4, 6), dtype=np.float32))


def test_make_grid_arranges_images_in_rows() -> None:
    grid = utils.make_grid(IMAGES, nrow=3, padding=1, pad_value=0.5)
    assert tuple(grid.shape) == (3, 11, 22)
    expected = np.full((3, 11, 22), 0.5, dtype=np.float32)
    for index, (top, left) in enumerate([(1, 1), (1, 8), (1, 15), (6, 1), (6, 8)]):
        expected[:, top : top + 4, left : left + 6] = IMAGES[index].numpy()
    np.testing.assert_array_equal(grid.numpy(), expected)
    np.testing.assert_array_equal(utils.make_grid(list(IMAGES), nrow=3, padding=1, pad_value=0.5).numpy(), expected)


def test_make_grid_accepts_one_image_and_grey_images() -> None:
    assert (utils.make_grid(IMAGES[0]) == IMAGES[0]).all() and (utils.make_grid(IMAGES[:1]) == IMAGES[0]).all()
    for gray in (IMAGES[0, 0], IMAGES[0, :1], IMAGES[:1, :1]):
        assert (utils.make_grid(gray) == IMAGES[0, 0]).all() and utils.make_grid(gray).shape[0] == 3
    assert utils.make_grid(IMAGES[:, :2]).shape[0] == 2 and utils.make_grid(IMAGES[:2], padding=0).shape[2] == 12


def test_make_grid_normalises_images() -> None:
    images = IMAGES * 6 - 3
    before = images.clone()
    values = utils.make_grid(images, normalize=True, padding=0, nrow=5).numpy()
    assert values.min() == 0 and values.max() == pytest.approx(1)
    each = utils.make_grid(images, normalize=True, scale_each=True, padding=0, nrow=5).reshape(3, 4, 5, 6)
    assert all(each[:, :, n].min() == 0 and each[:, :, n].max().item() == pytest.approx(1) for n in range(5))
    ranged = utils.make_grid(images, normalize=True, value_range=(-1, 1), padding=0, nrow=5).numpy()
    whole = np.concatenate(list(images.numpy()), axis=2)
    np.testing.assert_allclose(ranged, (np.clip(whole, -1, 1) + 1) / 2, rtol=1e-6)
    assert (images == before).all()


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((2, 2)), TypeError, "tensor or list of tensors expected, got <class 'numpy.ndarray'>"),
        ([IMAGES[0], 3], TypeError, "tensor or list of tensors expected, got <class 'list'>"),
        (
            [IMAGES[0], IMAGES[0, :, :2]],
            ValueError,
            r"images of the same shape expected, got shapes \[\[3, 4, 6\], \[3, 2, 6\]\]",
        ),
        (IMAGES[0, 0, 0], ValueError, r"expected, got shape \[6\]"),
        (IMAGES[:0], ValueError, r"expected, got shape \[0, 3, 4, 6\]"),
    ],
)
def test_make_grid_rejects_other_inputs(images: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        utils.make_grid(images)


def test_save_image_writes_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    utils.save_image(IMAGES, path, nrow=3)
    grid = utils.make_grid(IMAGES, nrow=3)
    saved = np.asarray(Image.open(path))
    np.testing.assert_array_equal(saved, np.floor(grid.numpy() * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0))
    file = io.BytesIO()
    utils.save_image(fb.tensor([[-1.0, 2.0]]), file, format="PNG")
    assert np.asarray(Image.open(file)).tolist() == [[[0] * 3, [255] * 3]]
    with pytest.raises(ValueError, match=r"unknown file extension: .picture"):
        utils.save_image(IMAGES, tmp_path / "grid.picture")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        utils.save_image(IMAGES, tmp_path / "nowhere" / "grid.png")
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


BLACK = fb.zeros(3, 20, 30, dtype=fb.uint8)
BOXES = fb.tensor([[2.0, 3.0, 10.0, 12.0], [15.0, 5.0, 28.0, 18.0]])


def test_draw_bounding_boxes_draws_outlines_in_the_given_colours() -> None:
    drawn = utils.draw_bounding_boxes(BLACK, BOXES, colors=["red", (0, 0, 255)]).numpy()
    expected = np.zeros((3, 20, 30), dtype=np.uint8)
    for channel, (x1, y1, x2, y2) in ((0, (2, 3, 10, 12)), (2, (15, 5, 28, 18))):
        expected[channel, y1 : y2 + 1, x1 : x2 + 1] = 255
        expected[channel, y1 + 1 : y2, x1 + 1 : x2] = 0
    np.testing.assert_array_equal(drawn, expected)
    assert not BLACK.any()
    filled = utils.draw_bounding_boxes(BLACK, BOXES, colors="red", fill=True)
    assert filled[0, 5, 5] == 100 and filled[0, 3, 5] == 255
    floats = utils.draw_bounding_boxes(BLACK.double(), BOXES, colors="red")
    assert floats.dtype is fb.float64 and floats.max() == 1
    assert utils.draw_bounding_boxes(BLACK[:1], BOXES, labels=["a", None]).shape[0] == 3
    assert len({tuple(c) for c in utils.draw_bounding_boxes(BLACK, BOXES).flatten(1).T.tolist()}) == 2


def test_draw_segmentation_masks_blends_the_colours() -> None:
    masks = fb.zeros(2, 20, 30, dtype=fb.bool)
    masks[0, :10], masks[1, 5:15] = True, True
    image = fb.full((3, 20, 30), 100, dtype=fb.uint8)
    drawn = utils.draw_segmentation_masks(image, masks, alpha=0.5, colors=["red", "#0000ff"])
    assert drawn[:, 0, 0].tolist() == [177, 50, 50] and drawn[:, 12, 0].tolist() == [50, 50, 177]
    assert drawn[:, 7, 0].tolist() == [50, 50, 50] and drawn[:, 19, 0].tolist() == [100, 100, 100]
    floats = utils.draw_segmentation_masks(image / 255, masks[0], alpha=1.0, colors="red")
    assert floats[:, 0, 0].tolist() == [1, 0, 0]


def test_draw_keypoints_draws_visible_points_and_connections() -> None:
    points = fb.tensor([[[5.0, 5.0], [25.0, 5.0], [15.0, 15.0]]])
    drawn = utils.draw_keypoints(BLACK, points, colors="red", radius=1)
    assert drawn[0, 5, 5] == drawn[0, 5, 25] == drawn[0, 15, 15] == 255 and drawn[0].sum() < 255 * 30
    lined = utils.draw_keypoints(BLACK, points, [(0, 1)], colors="red", width=1)
    assert lined[:, 5, 15].tolist() == [255, 255, 255]
    some = utils.draw_keypoints(BLACK, points, [(0, 1)], colors="red", visibility=fb.tensor([[True, False, True]]))
    assert not some[:, 5, 15:].any() and some[0, 5, 5] == 255


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: utils.draw_bounding_boxes(BLACK.numpy(), BOXES), TypeError, "The image must be a tensor"),
        (
            lambda: utils.draw_bounding_boxes(BLACK.int(), BOXES),
            ValueError,
            "must be uint8 or float, got flambeau.int32",
        ),
        (lambda: utils.draw_bounding_boxes(BLACK[None], BOXES), ValueError, r"got shape \[1, 3, 20, 30\]"),
        (lambda: utils.draw_bounding_boxes(BLACK, BOXES[0]), ValueError, r"boxes should have shape \[N, 4\]"),
        (lambda: utils.draw_bounding_boxes(BLACK, BOXES.flip(1)), ValueError, "Use flambeau.vision.ops.box_convert"),
        (lambda: utils.draw_bounding_boxes(BLACK, BOXES, ["a"]), ValueError, r"boxes \(2\) and labels \(1\) mismatch"),
        (lambda: utils.draw_bounding_boxes(BLACK, BOXES, colors=["red"]), ValueError, "but got 1 < 2"),
        (lambda: utils.draw_segmentation_masks(BLACK, BLACK), ValueError, "masks must be bool"),
        (lambda: utils.draw_segmentation_masks(BLACK, BLACK[:, :5] > 0), ValueError, "the same height and width"),
        (lambda: utils.draw_keypoints(BLACK, BOXES), ValueError, r"of shape \[num_instances, K, 2\]"),
        (lambda: utils.draw_keypoints(BLACK, fb.zeros(1, 2, 2), visibility=fb.ones(1, 3)), ValueError, r"\[1, 2\]"),
    ],
)
def test_drawing_functions_reject_invalid_arguments(call, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_flow_to_image_shows_directions_as_colours() -> None:
    right, down = [0.0, 1.0, 0.0, -1.0, 0.0, 0.5], [0.0, 0.0, 1.0, 0.0, -1.0, 0.0]
    flow = fb.tensor([[right], [down]]) * 4
    image = utils.flow_to_image(flow)
    assert image.dtype is fb.uint8 and tuple(image.shape) == (3, 1, 6)
    # The colours 0, 13.5, 27 and 40.5 of the wheel belong to the directions right, down, left and up.
    assert image[:, 0, 0].tolist() == [255, 255, 255]
    assert image[:, 0, 1].tolist() == [255, 0, 0] and image[:, 0, 5].tolist() == [255, 127, 127]
    assert image[:, 0, 2].tolist() == [255, 229, 0]
    assert image[:, 0, 3].tolist() == [0, 209, 255]
    assert image[:, 0, 4].tolist() == [87, 0, 255]  # exactly 88, but float32 rounds down, as in torchvision
    both = utils.flow_to_image(fb.stack([flow, flow / 2]))
    assert tuple(both.shape) == (2, 3, 1, 6) and (both[0] == image).all()
    assert both[1, :, 0, 1].tolist() == [255, 127, 127]  # the largest distance of both is the scale


def test_flow_to_image_rejects_other_dtypes_and_shapes() -> None:
    with pytest.raises(ValueError, match=r"should be of dtype flambeau\.float32, got flambeau\.float64"):
        utils.flow_to_image(fb.zeros(2, 4, 5, dtype=fb.float64))
    for shape in ((3, 4, 5), (4, 5), (1, 1, 2, 4, 5)):
        with pytest.raises(ValueError, match=r"should have shape \(2, H, W\) or \(N, 2, H, W\), got"):
            utils.flow_to_image(fb.zeros(*shape))
