from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import flambeau as fb
from flambeau.vision.transforms import InterpolationMode, Resize
from flambeau.vision.transforms.functional import pil_to_tensor, resize, to_pil_image

SIZES = [(20, 30), (60, 70), (33, 20), (5, 90)]


def as_array(image: Image.Image | fb.Tensor) -> np.ndarray:
    return np.asarray(to_pil_image(image) if isinstance(image, fb.Tensor) else image).astype(int)


@pytest.mark.parametrize("mode", [mode for mode in InterpolationMode if "NEAREST" not in mode.name])
@pytest.mark.parametrize("size", SIZES)
def test_resize_of_tensors_and_arrays_equals_pillow(request, mode: InterpolationMode, size) -> None:
    # Pillow rounds and clamps between its two passes, so filters that overshoot need an image without extremes.
    overshoots = mode in (InterpolationMode.BICUBIC, InterpolationMode.LANCZOS)
    picture = request.getfixturevalue("picture" if overshoots else "noise")
    expected = as_array(picture.resize(size[::-1], getattr(Image.Resampling, mode.name)))
    assert (as_array(resize(picture, size, mode)) == expected).all()
    for image in (pil_to_tensor(picture), np.asarray(picture)):
        result = resize(image, size, mode)
        assert type(result) is type(image) and result.dtype == image.dtype
        assert np.abs(as_array(result) - expected).max() <= 1


@pytest.mark.parametrize("size", SIZES)
def test_nearest_interpolation_equals_pillow(noise: Image.Image, size) -> None:
    expected = as_array(noise.resize(size[::-1], Image.Resampling.NEAREST))
    exact = resize(pil_to_tensor(noise), size, InterpolationMode.NEAREST_EXACT)
    assert (as_array(exact) == expected).all()
    rows, columns = (np.arange(n) * m // n for n, m in zip(size, (33, 47), strict=True))
    old = resize(pil_to_tensor(noise), size, InterpolationMode.NEAREST)
    assert (as_array(old) == as_array(noise)[rows][:, columns]).all()


def test_resize_keeps_dtypes_and_batch_dimensions(noise: Image.Image) -> None:
    image = pil_to_tensor(noise).double() / 255
    batch = fb.stack([image, image.flip(-1)])[None]
    result = resize(batch, (10, 12))
    assert tuple(result.shape) == (1, 2, 3, 10, 12) and result.dtype is fb.float64
    np.testing.assert_allclose(result[0, 0].numpy(), resize(image, (10, 12)).numpy())
    assert tuple(resize(image[0], (10, 12)).shape) == (10, 12)


def test_resize_without_antialias_interpolates_between_neighbours() -> None:
    image = fb.tensor([[0.0, 0.0, 10.0, 10.0, 0.0, 0.0]])
    assert resize(image, (1, 2), antialias=False).tolist() == [[0.0, 0.0]]
    assert resize(image, (1, 2), antialias=True)[0, 0] > 2


@pytest.mark.parametrize(
    ("size", "max_size", "expected"),
    [
        (20, None, (20, 28)),
        ([20], None, (20, 28)),
        (20, 25, (17, 25)),
        (None, 94, (66, 94)),
        ((5, 6), None, (5, 6)),
        (33, None, (33, 47)),
    ],
)
def test_resize_with_one_number_sets_the_shorter_side(noise: Image.Image, size, max_size, expected) -> None:
    assert resize(noise, size, max_size=max_size).size == expected[::-1]
    assert resize(noise.transpose(Image.Transpose.ROTATE_90), size, max_size=max_size).size == (
        expected if size != (5, 6) else (6, 5)
    )
    assert tuple(Resize(size, max_size=max_size)(pil_to_tensor(noise)).shape) == (3, *expected)


def test_interpolation_modes_accept_pillow_constants() -> None:
    assert Resize(3, interpolation=Image.Resampling.BICUBIC).interpolation is InterpolationMode.BICUBIC
    assert repr(Resize(3)) == "Resize(size=3, interpolation=bilinear, max_size=None, antialias=True)"


def test_invalid_arguments_are_rejected(noise: Image.Image) -> None:
    with pytest.raises(TypeError, match=r"interpolation should be a InterpolationMode .* got 'bilinear'"):
        resize(noise, 3, "bilinear")
    with pytest.raises(TypeError, match=r"Size should be an int or a sequence of 1 or 2 ints. Got 3.5"):
        resize(noise, 3.5)
    with pytest.raises(ValueError, match=r"Got \(1, 2, 3\)"):
        resize(noise, (1, 2, 3))
    with pytest.raises(ValueError, match="max_size should only be passed if size specifies the length of the smaller"):
        resize(noise, (3, 4), max_size=5)
    with pytest.raises(ValueError, match=r"max_size = 3 must be strictly greater .* size = 3"):
        resize(noise, 3, max_size=3)
    with pytest.raises(ValueError, match="max_size must be an integer when size is None"):
        resize(noise, None)
    with pytest.raises(TypeError, match="Size should be int or sequence"):
        Resize(2.5)
    with pytest.raises(ValueError, match="1 or 2 values"):
        Resize((1, 2, 3))
    with pytest.raises(TypeError, match="Got <class 'str'>"):
        resize("cat.png", 3)


@pytest.mark.parametrize("dtype", [fb.int16, fb.int32, fb.int64, fb.bool])
@pytest.mark.parametrize("mode", [InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT])
def test_nearest_resize_keeps_integers_and_booleans(dtype, mode):
    image = fb.tensor([[[0, 1], [300, 0]]]).to(dtype)
    resized = resize(image, (4, 4), mode)
    assert resized.dtype is dtype
    assert fb.equal(resized, image.repeat_interleave(2, 1).repeat_interleave(2, 2))
