from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import flambeau as fb
from flambeau.vision.transforms import LinearTransformation, Normalize, functional, v2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalize_matches_numpy(dtype: type) -> None:
    image = np.random.default_rng(0).random((3, 2, 4)).astype(dtype)
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([0.5, 1.0, 2.0])
    result = Normalize(mean.tolist(), std.tolist())(fb.from_numpy(image))
    assert result.numpy().dtype == dtype
    np.testing.assert_allclose(result.numpy(), (image - mean[:, None, None]) / std[:, None, None], rtol=1e-5, atol=1e-6)


def test_normalize_accepts_a_single_value_and_batches() -> None:
    image = np.random.default_rng(0).random((2, 3, 2, 4))
    result = Normalize([0.5], [2.0])(fb.from_numpy(image))
    np.testing.assert_allclose(result.numpy(), (image - 0.5) / 2)


@pytest.mark.parametrize("normalization", [Normalize, v2.Normalize])
def test_normalize_accepts_numbers_for_all_channels(normalization: type[Normalize]) -> None:
    image = np.random.default_rng(0).random((3, 2, 4))
    for mean, std in ((0.5, 2.0), ((0.5,), 2.0), (0.5, (2.0, 2.0, 2.0))):
        result = normalization(mean, std)(fb.from_numpy(image))
        np.testing.assert_allclose(result.numpy(), (image - 0.5) / 2)
    with pytest.raises(ValueError, match="std must hold no zeros, got 0"):
        normalization(0.5, 0)


def test_normalize_changes_the_image_only_with_inplace() -> None:
    image = fb.ones(1, 2, 2)
    assert (Normalize([0.5], [0.5])(image) == 1).all() and (image == 1).all()
    result = Normalize([0.5], [0.25], inplace=True)(image)
    assert result.data_ptr() == image.data_ptr() and (image == 2).all()


def test_normalize_does_not_cache_other_statistics() -> None:
    image = fb.ones(1, 1, 1)
    assert [functional.normalize(image, [m], [1.0]).item() for m in (0.0, 0.5, 0.0)] == [1.0, 0.5, 1.0]
    assert functional.normalize(image.double(), [0.5], [1.0]).dtype is fb.float64


def test_normalize_rejects_invalid_statistics() -> None:
    with pytest.raises(ValueError, match=r"std must hold no zeros, got \[1.0, 0.0\]"):
        Normalize([0.0, 0.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="std evaluated to zero after conversion"):
        functional.normalize(fb.zeros(1, 2, 2), [0.0], [1e-60])
    with pytest.raises(ValueError, match=r"2 means and 1 standard deviations for an image of shape \[3, 4, 4\]"):
        Normalize([0.0, 0.0], [1.0])(fb.zeros(3, 4, 4))
    with pytest.raises(ValueError, match=r"\[4, 4\]"):
        Normalize([0.0], [1.0])(fb.zeros(4, 4))
    with pytest.raises(TypeError, match=r"int64. Put ToTensor\(\) before it"):
        Normalize([0.0], [1.0])(fb.zeros(1, 4, 4, dtype=fb.int64))
    with pytest.raises(TypeError, match=r"Got <class 'numpy.ndarray'>"):
        Normalize([0.0], [1.0])(np.zeros((2, 2)))


def test_linear_transformation_whitens_images() -> None:
    rng = np.random.default_rng(0)
    matrix, mean, images = rng.random((12, 12)), rng.random(12), rng.random((5, 3, 2, 2))
    whiten = LinearTransformation(fb.from_numpy(matrix), fb.from_numpy(mean))
    expected = ((images.reshape(5, 12) - mean) @ matrix).reshape(images.shape)
    np.testing.assert_allclose(whiten(fb.from_numpy(images)).numpy(), expected)
    np.testing.assert_allclose(whiten(fb.from_numpy(images[0])).numpy(), expected[0])
    with pytest.raises(ValueError, match=r"\[12 x 4\] rectangular"):
        LinearTransformation(fb.zeros(12, 4), fb.zeros(12))
    with pytest.raises(ValueError, match=r"length 12, like the transformation_matrix. Got 3"):
        LinearTransformation(fb.zeros(12, 12), fb.zeros(3))
    for kind in (LinearTransformation, v2.LinearTransformation):
        with pytest.raises(TypeError, match="does not work on PIL Images; apply ToTensor first"):
            kind(fb.eye(12), fb.zeros(12))(Image.new("RGB", (2, 2)))
    with pytest.raises(ValueError, match=r"incompatible shape: \[3, 2, 3\] and \[12, 12\]"):
        whiten(fb.zeros(3, 2, 3))
