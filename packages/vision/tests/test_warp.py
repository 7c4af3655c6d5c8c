from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import flambeau as fb
from flambeau.vision import transforms
from flambeau.vision.transforms import InterpolationMode, functional
from flambeau.vision.transforms.functional import pil_to_tensor

NEAREST, BILINEAR, BICUBIC = InterpolationMode.NEAREST, InterpolationMode.BILINEAR, InterpolationMode.BICUBIC
START = [[0, 0], [46, 0], [46, 32], [0, 32]]
END = [[3, 4], [40, 2], [45, 30], [2, 25]]


def pixels(tensor: fb.Tensor) -> np.ndarray:
    return tensor.permute(1, 2, 0).numpy()


def check(name: str, picture: Image.Image, noise: Image.Image, *args: object, **options: object) -> None:
    """Compare tensors and arrays with Pillow: equal for nearest-neighbour interpolation, close for the other modes."""
    function = getattr(functional, name)
    expected = np.asarray(function(noise, *args, interpolation=NEAREST, **options))
    result = pixels(function(pil_to_tensor(noise), *args, interpolation=NEAREST, **options))
    assert result.shape == expected.shape and (result != expected).mean() < 1e-3  # ties may be rounded differently
    array = function(np.asarray(noise), *args, interpolation=NEAREST, **options)
    assert (array == result).all()

    expected = np.asarray(function(picture, *args, interpolation=BILINEAR, **options)).astype(int)
    result = pixels(function(pil_to_tensor(picture), *args, interpolation=BILINEAR, **options)).astype(int)
    assert result.shape == expected.shape
    # At the border, Pillow repeats the last pixel, while the result for tensors fades to the fill value.
    inside = pixels(function(fb.ones(3, 33, 47), *args, interpolation=BILINEAR, **options)) > 0.999
    assert inside.mean() > 0.2 and np.abs(result - expected)[inside].max() <= 1


@pytest.mark.parametrize("angle", [0, 13.7, 90, -44, 180, 270, 359])
@pytest.mark.parametrize("expand", [False, True])
def test_rotate_equals_pillow(picture: Image.Image, noise: Image.Image, angle: float, expand: bool) -> None:
    check("rotate", picture, noise, angle, expand=expand)


def test_rotation_by_quarter_turns_equals_numpy(noise: Image.Image) -> None:
    rotated = functional.rotate(np.asarray(noise), 90, expand=True)
    np.testing.assert_array_equal(rotated, np.rot90(np.asarray(noise)))


def test_rotation_about_a_point_matches_pillow(picture: Image.Image, noise: Image.Image) -> None:
    check("rotate", picture, noise, 20, center=[3, 5])


@pytest.mark.parametrize(
    ("angle", "translate", "scale", "shear"),
    [
        (0, [0, 0], 1.0, 0.0),
        (31, [3, -4], 1.2, [10.0]),
        (10, (0, 5), 0.7, [10.0, 20.0]),
        (-77, [1, 1], 2.0, [0.0, -15.0]),
    ],
)
@pytest.mark.parametrize("center", [None, [0, 0]])
def test_affine_equals_pillow(picture, noise, angle, translate, scale, shear, center) -> None:
    if center is None:
        check("affine", picture, noise, angle, translate, scale, shear)
    expected = np.asarray(functional.affine(noise, angle, translate, scale, shear, center=center))
    result = pixels(functional.affine(pil_to_tensor(noise), angle, translate, scale, shear, center=center))
    assert (result != expected).mean() < 1e-3


def test_shear_equals_scipy(picture: Image.Image) -> None:
    """Shear about the middle: the pixel (y, x) comes from (y, x + tan(30 degrees) * (y - middle))."""
    plane = np.asarray(picture)[..., 0].astype(float)
    result = functional.affine(fb.from_numpy(plane)[None], 0, [0, 0], 1.0, [30.0, 0.0], interpolation=BILINEAR)[
        0
    ].numpy()
    tangent = math.tan(math.radians(30))
    offset = [0.0, tangent * (0.5 - 33 / 2)]
    expected = ndimage.affine_transform(plane, [[1, 0], [tangent, 1]], offset=offset, order=1, cval=np.nan)
    known = ~np.isnan(expected)
    assert known.mean() > 0.5
    np.testing.assert_allclose(result[known], expected[known], atol=1e-2)


def test_perspective_matches_pillow(picture: Image.Image, noise: Image.Image) -> None:
    check("perspective", picture, noise, START, END)


def test_perspective_maps_start_points_to_end_points() -> None:
    image = fb.zeros(1, 40, 40)
    image[0, 9:12, 19:22] = 1
    corners = [[0, 0], [40, 0], [40, 40], [0, 40]]
    result = functional.perspective(image, corners, [[2 * x, 2 * y] for x, y in corners], InterpolationMode.NEAREST)
    assert result[0, 20, 40 - 1] == 1 and result.sum() == 6 * 2  # enlarged twice; half lies outside


@pytest.mark.parametrize("name", ["rotate", "affine", "perspective"])
def test_pixels_outside_the_image_have_the_fill_colour(noise: Image.Image, name: str) -> None:
    arguments = {"rotate": (20,), "affine": (20, [3, 4], 0.7, 0.0), "perspective": (START, END)}[name]
    function = getattr(functional, name)
    for image in (noise, pil_to_tensor(noise)):
        results = [function(image, *arguments, interpolation=NEAREST, fill=fill) for fill in (None, 7, (1, 2, 3))]
        plain, gray, colour = (pixels(r) if isinstance(r, fb.Tensor) else np.asarray(r) for r in results)
        outside = (gray == 7).all(-1) & (plain == 0).all(-1)
        assert 0.05 < outside.mean() < 0.7
        assert (colour[outside] == [1, 2, 3]).all() and (colour[~outside] == plain[~outside]).all()


@pytest.mark.parametrize(("mode", "fill"), [("RGB", [124.7, 116.0, 104.0]), ("L", [7.9]), ("P", 7.9)])
def test_numbers_of_a_fill_for_pil_images_are_rounded_down(noise: Image.Image, mode: str, fill: list[float]) -> None:
    image = noise.convert(mode)
    for turned in (
        functional.rotate(image, 30, fill=fill),
        functional.affine(image, 0, [20, 20], 1.0, 0.0, fill=fill),
        functional.perspective(image, [[0, 0], [46, 0], [46, 32], [0, 32]], END, fill=fill),
    ):
        assert turned.getpixel((0, 0)) == ((124, 116, 104) if mode == "RGB" else 7)
    assert functional.rotate(noise.convert("F"), 30, fill=[7.5]).getpixel((0, 0)) == 7.5


def test_rotating_an_image_of_the_fill_colour_changes_nothing() -> None:
    for mode in (NEAREST, BILINEAR, BICUBIC):
        result = functional.rotate(fb.full((3, 20, 20), 100, dtype=fb.uint8), 30, mode, fill=100)
        assert (result == 100).all()


def test_warps_treat_all_images_of_a_batch_alike(noise: Image.Image) -> None:
    image = pil_to_tensor(noise)
    batch = fb.stack([image, image.flip(-2)])
    result = functional.affine(batch, 10, [1, 2], 1.1, 5.0, fill=(1, 2, 3))
    for index in range(2):
        assert (result[index] == functional.affine(batch[index], 10, [1, 2], 1.1, 5.0, fill=(1, 2, 3))).all()
    assert tuple(functional.rotate(image[0], 30).shape) == (33, 47)


def test_elastic_moves_pixels_by_the_displacement(noise: Image.Image) -> None:
    displacement = fb.zeros(1, 33, 47, 2)
    displacement[..., 0] = 2 * 3 / 47  # 2 is the width: three pixels
    expected = np.zeros_like(np.asarray(noise))
    expected[:, :-3] = np.asarray(noise)[:, 3:]
    for image in (noise, np.asarray(noise)):
        np.testing.assert_array_equal(np.asarray(functional.elastic_transform(image, displacement)), expected)
    np.testing.assert_array_equal(pixels(functional.elastic_transform(pil_to_tensor(noise), displacement)), expected)
    with pytest.raises(ValueError, match=r"displacement shape should be \[1, 33, 47, 2\], but given \[1, 2, 2, 2\]"):
        functional.elastic_transform(noise, fb.zeros(1, 2, 2, 2))


def test_elastic_transform_keeps_the_mode_of_pil_images(noise: Image.Image) -> None:
    for mode in ("YCbCr", "HSV", "LAB", "CMYK", "P"):
        image = noise.convert(mode)
        same = functional.elastic_transform(image, fb.zeros(1, 33, 47, 2))
        assert same.mode == mode and same.tobytes() == image.tobytes()


def test_random_warps_stay_within_their_bounds() -> None:
    fb.manual_seed(0)
    drawn = [
        transforms.RandomAffine.get_params([-10, 10], (0.1, 0.3), (0.5, 2.0), [-5, 5, 0, 3], [100, 50])
        for _ in range(300)
    ]
    angles, moves, scales, shears = zip(*drawn, strict=True)
    for values, low, high in (
        (angles, -10, 10),
        ([x for x, _ in moves], -10, 10),
        ([y for _, y in moves], -15, 15),
        (scales, 0.5, 2),
        ([x for x, _ in shears], -5, 5),
        ([y for _, y in shears], 0, 3),
    ):
        assert low <= min(values) < low + 0.1 * (high - low) and high - 0.1 * (high - low) < max(values) <= high
    assert transforms.RandomAffine.get_params([0, 0], None, None, None, [5, 5]) == (0.0, (0, 0), 1.0, (0.0, 0.0))
    corners, moved = transforms.RandomPerspective.get_params(47, 33, 0.5)
    assert corners == START and all(
        abs(x - u) <= 11 and abs(y - v) <= 8 for (x, y), (u, v) in zip(corners, moved, strict=True)
    )


@pytest.mark.parametrize(
    "transform",
    [
        transforms.RandomRotation(30),
        transforms.RandomAffine(30, (0.1, 0.1), (0.8, 1.2), 5),
        transforms.RandomPerspective(p=1),
        transforms.ElasticTransform(),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_random_warps_depend_only_on_the_seed(noise: Image.Image, transform) -> None:
    for image in (noise, np.asarray(noise), pil_to_tensor(noise)):
        runs = []
        for _ in range(2):
            fb.manual_seed(1)
            runs.append([np.asarray(transform(image)) for _ in range(2)])
        assert all((a == b).all() for a, b in zip(*runs, strict=True)) and (runs[0][0] != runs[0][1]).any()
        assert runs[0][0].shape == np.asarray(image).shape


def test_repr_of_random_warps_shows_their_options() -> None:
    assert repr(transforms.RandomRotation(30)) == (
        "RandomRotation(degrees=[-30.0, 30.0], interpolation=nearest, expand=False, fill=0)"
    )
    assert repr(transforms.RandomAffine((0, 10), (0.1, 0.2), (1, 2), 5)) == (
        "RandomAffine(degrees=[0.0, 10.0], translate=(0.1, 0.2), scale=(1, 2), shear=[-5.0, 5.0])"
    )
    assert repr(transforms.RandomPerspective()) == "RandomPerspective(p=0.5)"


def test_random_warps_reject_invalid_arguments(noise: Image.Image) -> None:
    with pytest.raises(TypeError, match="angle should be int or float, got '3'"):
        functional.rotate(noise, "3")
    with pytest.raises(ValueError, match="center should have 2 numbers"):
        functional.rotate(noise, 3, center=[1, 2, 3])
    with pytest.raises(ValueError, match=r"interpolation should be nearest, bilinear or bicubic .*, got lanczos"):
        functional.rotate(noise, 3, InterpolationMode.LANCZOS)
    with pytest.raises(ValueError, match="scale should be positive, got 0"):
        functional.affine(noise, 0, [0, 0], 0.0, 0.0)
    with pytest.raises(TypeError, match="translate should be a sequence, got 3"):
        functional.affine(noise, 0, 3, 1.0, 0.0)
    with pytest.raises(ValueError, match="1 or 2 numbers"):
        functional.affine(noise, 0, [0, 0], 1.0, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="exactly four corners"):
        functional.perspective(noise, START[:3], END)
    with pytest.raises(ValueError, match="three of the points lie on a line"):
        functional.perspective(noise, START, [[0, 0], [1, 1], [2, 2], [5, 0]])
    with pytest.raises(ValueError, match="one for each of the 3 channels, got 2"):
        functional.rotate(pil_to_tensor(noise), 3, fill=(1, 2))
    with pytest.raises(ValueError, match="single number, it must be non negative"):
        transforms.RandomRotation(-3)
    with pytest.raises(ValueError, match="translation values should be between 0 and 1"):
        transforms.RandomAffine(0, (2, 0))
    with pytest.raises(ValueError, match="scale values should be positive"):
        transforms.RandomAffine(0, scale=(0, 1))
    with pytest.raises(ValueError, match="distortion_scale should be between 0 and 1"):
        transforms.RandomPerspective(2)
