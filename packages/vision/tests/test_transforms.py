from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision.transforms import Compose, Lambda, Normalize, ToTensor

GRAY = np.arange(6, dtype=np.uint8).reshape(2, 3) * 51
COLOUR = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def test_bytes_become_floats_in_0_to_1_channels_first() -> None:
    gray, colour = ToTensor()(GRAY), ToTensor()(COLOUR)
    assert gray.dtype == colour.dtype == fb.float32
    np.testing.assert_array_equal(gray.numpy(), (GRAY / np.float32(255))[None])
    np.testing.assert_array_equal(colour.numpy(), np.moveaxis(COLOUR, 2, 0) / np.float32(255))
    assert colour.is_contiguous()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_other_dtypes_keep_their_values(dtype: type) -> None:
    image = COLOUR.astype(dtype)
    tensor = ToTensor()(image)
    assert tensor.numpy().dtype == dtype and (tensor.numpy() == np.moveaxis(image, 2, 0)).all()
    image[:] = 0
    assert tensor.numpy().any()  # a copy


def test_a_mirrored_image_is_taken() -> None:
    np.testing.assert_array_equal(ToTensor()(GRAY[:, ::-1]).numpy()[0], GRAY[:, ::-1] / np.float32(255))


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3, 4)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"got shape \("):
        ToTensor()(np.zeros(shape, dtype=np.uint8))
    with pytest.raises(TypeError, match="got list"):
        ToTensor()([[1]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalize(dtype: type) -> None:
    image = np.random.default_rng(0).random((3, 2, 4)).astype(dtype)
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([0.5, 1.0, 2.0])
    result = Normalize(mean.tolist(), std.tolist())(fb.from_numpy(image))
    assert result.numpy().dtype == dtype
    np.testing.assert_allclose(result.numpy(), (image - mean[:, None, None]) / std[:, None, None], rtol=1e-5, atol=1e-6)


def test_normalize_takes_one_value_for_all_and_whole_batches() -> None:
    image = np.random.default_rng(0).random((2, 3, 2, 4))
    result = Normalize([0.5], [2.0])(fb.from_numpy(image))
    np.testing.assert_allclose(result.numpy(), (image - 0.5) / 2)


def test_normalize_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"std must hold no zeros; got \[1.0, 0.0\]"):
        Normalize([0.0, 0.0], [1.0, 0.0])
    with pytest.raises(ValueError, match=r"2 means and 1 standard deviations, .* shape \(3, 4, 4\)"):
        Normalize([0.0, 0.0], [1.0])(fb.zeros(3, 4, 4))
    with pytest.raises(ValueError, match=r"shape \(4, 4\)"):
        Normalize([0.0], [1.0])(fb.zeros(4, 4))
    with pytest.raises(TypeError, match=r"int64. Put ToTensor\(\) before it"):
        Normalize([0.0], [1.0])(fb.zeros(1, 4, 4, dtype=fb.int64))
    with pytest.raises(TypeError, match="got ndarray"):
        Normalize([0.0], [1.0])(GRAY)


def test_compose_goes_from_left_to_right() -> None:
    def double(image: np.ndarray) -> np.ndarray:
        return image * 2

    compose = Compose([Lambda(double), Lambda(lambda image: image + 1)])
    assert compose(3) == 7
    assert repr(Compose([ToTensor(), Lambda(double)])) == "Compose(\n    ToTensor()\n    Lambda()\n)"


def test_lambda_wants_a_function() -> None:
    with pytest.raises(TypeError, match="Lambda wants a function; got int"):
        Lambda(3)
