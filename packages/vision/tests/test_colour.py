from __future__ import annotations

import colorsys

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from scipy import ndimage

import flambeau as fb
from flambeau.vision import transforms
from flambeau.vision.transforms import functional
from flambeau.vision.transforms.functional import pil_to_tensor


def pixels(image: Image.Image | np.ndarray | fb.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy() if isinstance(image, fb.Tensor) else np.asarray(image)


def largest_difference(a: object, b: object) -> int:
    return int(np.abs(pixels(a).astype(int) - pixels(b).astype(int)).max())


ENHANCERS = {
    "brightness": (ImageEnhance.Brightness, 0),
    "contrast": (ImageEnhance.Contrast, 1),  # Pillow rounds the mean
    "saturation": (ImageEnhance.Color, 1),  # Pillow rounds the luma, which is truncated here; the factor is up to 3
    "sharpness": (ImageEnhance.Sharpness, 1),
}


@pytest.mark.parametrize("factor", [0, 0.3, 1, 1.7, 3])
@pytest.mark.parametrize("name", ENHANCERS)
def test_colour_adjustments_equal_pillow(noise: Image.Image, name: str, factor: float) -> None:
    enhancer, tolerance = ENHANCERS[name]
    function = getattr(functional, f"adjust_{name}")
    expected = enhancer(noise).enhance(factor)
    assert largest_difference(function(noise, factor), expected) == 0
    tolerance = tolerance * max(1, round(abs(1 - factor) + 0.49))
    for image in (np.asarray(noise), pil_to_tensor(noise)):
        result = function(image, factor)
        assert result.dtype == image.dtype and largest_difference(result, expected) <= tolerance
    floats = function(pil_to_tensor(noise) / 255, factor)
    assert floats.min() >= 0 and floats.max() <= 1
    np.testing.assert_allclose(pixels(floats) * 255, pixels(expected), atol=tolerance + 1)
    with pytest.raises(ValueError, match=r"\(-1\) is not non-negative"):
        function(noise, -1)


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0, 0.1, 0.37, 0.5])
def test_adjust_hue_equals_colorsys(noise: Image.Image, turn: float) -> None:
    floats = pil_to_tensor(noise).double() / 255
    result = pixels(functional.adjust_hue(floats, turn)).reshape(-1, 3)
    for before, after in zip(pixels(floats).reshape(-1, 3)[:300], result[:300], strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        np.testing.assert_allclose(after, colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value), atol=1e-12)


def test_adjust_hue_accepts_every_type_of_image(picture: Image.Image) -> None:
    expected = functional.adjust_hue(picture, 0.2)
    assert expected.mode == "RGB" and largest_difference(expected, picture) > 50
    result = functional.adjust_hue(pil_to_tensor(picture), 0.2)
    assert result.dtype is fb.uint8 and largest_difference(result, expected) <= 7  # Pillow stores the hue in one byte
    gray = picture.convert("L")
    assert functional.adjust_hue(gray, 0.25) is gray
    assert (functional.adjust_hue(pil_to_tensor(gray), 0.25) == pil_to_tensor(gray)).all()
    with pytest.raises(ValueError, match=r"hue_factor \(0.6\) is not in \[-0.5, 0.5\]"):
        functional.adjust_hue(picture, 0.6)


@pytest.mark.parametrize(("gamma", "gain"), [(0, 1), (0.5, 1), (2.2, 1), (1, 0.5), (1, 3)])
def test_adjust_gamma_matches_the_formula(noise: Image.Image, gamma: float, gain: float) -> None:
    expected = np.clip(gain * (np.asarray(noise) / 255) ** gamma, 0, 1) * 255
    for image in (noise, np.asarray(noise), pil_to_tensor(noise)):
        np.testing.assert_allclose(pixels(functional.adjust_gamma(image, gamma, gain)), expected, atol=1)


def test_grayscale_matches_pillow(noise: Image.Image) -> None:
    expected = np.asarray(noise.convert("L"))
    for image in (noise, np.asarray(noise), pil_to_tensor(noise)):
        one, three = functional.rgb_to_grayscale(image), functional.to_grayscale(image, 3)
        assert largest_difference(pixels(one).squeeze(), expected) <= 1
        assert pixels(three).shape == (33, 47, 3) and (pixels(three) == pixels(one).reshape(33, 47, 1)).all()
    assert transforms.Grayscale(3)(noise).mode == "RGB"
    fb.manual_seed(0)
    gray = [transforms.RandomGrayscale(0.3)(pil_to_tensor(noise)) for _ in range(200)]
    assert 35 < sum((image[0] == image[1]).all().item() for image in gray) < 90
    with pytest.raises(ValueError, match="num_output_channels should be either 1 or 3, got 2"):
        functional.rgb_to_grayscale(noise, 2)
    with pytest.raises(TypeError, match="permitted channel values are 1 or 3, but found 2"):
        functional.rgb_to_grayscale(fb.zeros(2, 3, 3))


def test_color_jitter_applies_its_adjustments_in_random_order(noise: Image.Image) -> None:
    fb.manual_seed(0)
    jitter = transforms.ColorJitter(0.4, (0.5, 1.5), 0.3, 0.1)
    assert repr(jitter) == (
        "ColorJitter(brightness=(0.6, 1.4), contrast=(0.5, 1.5), saturation=(0.7, 1.3), hue=(-0.1, 0.1))"
    )
    orders = set()
    for _ in range(200):
        order, *factors = jitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
        orders.add(tuple(order.tolist()))
        for factor, (low, high) in zip(factors, ((0.6, 1.4), (0.5, 1.5), (0.7, 1.3), (-0.1, 0.1)), strict=True):
            assert low <= factor <= high
    assert len(orders) == 24
    for image in (noise, np.asarray(noise), pil_to_tensor(noise), pil_to_tensor(noise) / 255):
        assert pixels(jitter(image)).shape == (33, 47, 3)
    assert transforms.ColorJitter()(noise) is noise
    assert repr(transforms.ColorJitter()) == "ColorJitter(brightness=None, contrast=None, saturation=None, hue=None)"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"brightness": -1}, ValueError, "If brightness is a single number, it must be non negative"),
        ({"contrast": (2, 1)}, ValueError, "contrast values should be in increasing order"),
        ({"hue": 0.7}, ValueError, "hue values should be within"),
        ({"hue": (-0.6, 0)}, ValueError, "hue values should be in increasing order within"),
        ({"saturation": "a"}, TypeError, "saturation should be a single number or a list/tuple with length 2"),
    ],
)
def test_color_jitter_rejects_invalid_ranges(options: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        transforms.ColorJitter(**options)


def test_invert_posterize_and_solarize_match_pillow(noise: Image.Image) -> None:
    for image in (noise, np.asarray(noise), pil_to_tensor(noise)):
        assert largest_difference(functional.invert(image), ImageOps.invert(noise)) == 0
        for bits in (1, 4, 8):
            assert largest_difference(functional.posterize(image, bits), ImageOps.posterize(noise, bits)) == 0
        for threshold in (0, 100, 255):
            assert largest_difference(functional.solarize(image, threshold), ImageOps.solarize(noise, threshold)) == 0
        assert pixels(functional.posterize(image, 0)).max() == 0
    np.testing.assert_allclose(functional.invert(fb.tensor([[0.25, 1.0]])).numpy(), [[0.75, 0.0]])
    with pytest.raises(TypeError, match=r"Threshold should be less than bound of img: 1. Got 128"):
        functional.solarize(fb.zeros(2, 2), 128)
    with pytest.raises(ValueError, match=r"between 0 and 8. Got 9"):
        functional.posterize(noise, 9)


def test_posterize_and_equalize_accept_other_dtypes() -> None:
    floats = fb.tensor([[0.0, 0.24, 0.25, 0.6, 0.99, 1.0]])
    assert functional.posterize(floats, 2).tolist() == [[0, 0, 0.25, 0.5, 0.75, 0.75]]
    assert functional.posterize(floats, 0).max() == 0
    wide = fb.tensor([[0x1FFF, 0x7FFF]], dtype=fb.int16)
    assert functional.posterize(wide, 2).tolist() == [[0, 0x6000]]
    dark = np.random.default_rng(0).integers(0, 60, (20, 30), dtype=np.uint8)
    expected = np.asarray(ImageOps.equalize(Image.fromarray(dark)))
    equalized = functional.equalize(fb.from_numpy(dark) / 255)
    np.testing.assert_allclose(equalized.numpy() * 255, expected, atol=1e-3)


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB", "CMYK", "P", "LA", "I;16"])
def test_gaussian_blur_keeps_the_mode_of_pil_images(noise: Image.Image, mode: str) -> None:
    image = Image.fromarray(np.arange(99, dtype=np.uint16).reshape(9, 11)) if mode == "I;16" else noise.convert(mode)
    blurred = functional.gaussian_blur(image, 3)
    assert blurred.mode == mode and blurred.getpalette() == image.getpalette()
    expected = functional.gaussian_blur(np.asarray(image), 3)
    assert (np.asarray(blurred) == expected).all()


def test_autocontrast_and_equalize_match_pillow(picture: Image.Image) -> None:
    dull = Image.fromarray((np.asarray(picture) // 3 + 40).astype(np.uint8))
    for image in (dull, np.asarray(dull), pil_to_tensor(dull)):
        assert largest_difference(functional.autocontrast(image), ImageOps.autocontrast(dull)) <= 1
        assert largest_difference(functional.equalize(image), ImageOps.equalize(dull)) == 0
    flat = fb.full((3, 4, 4), 7, dtype=fb.uint8)
    assert (functional.autocontrast(flat) == flat).all() and (functional.equalize(flat) == flat).all()
    assert functional.equalize(fb.zeros(0, 3, 4, 4, dtype=fb.uint8)).shape == (0, 3, 4, 4)
    stretched = functional.autocontrast(fb.tensor([[0.2, 0.3, 0.4]]))
    np.testing.assert_allclose(stretched.numpy(), [[0.0, 0.5, 1.0]], atol=1e-6)


@pytest.mark.parametrize(
    ("transform", "name", "arguments", "description"),
    [
        (transforms.RandomInvert(1.0), "invert", (), "RandomInvert(p=1.0)"),
        (transforms.RandomPosterize(3, 1.0), "posterize", (3,), "RandomPosterize(bits=3,p=1.0)"),
        (transforms.RandomSolarize(99, 1.0), "solarize", (99,), "RandomSolarize(threshold=99,p=1.0)"),
        (transforms.RandomAutocontrast(1.0), "autocontrast", (), "RandomAutocontrast(p=1.0)"),
        (transforms.RandomEqualize(1.0), "equalize", (), "RandomEqualize(p=1.0)"),
        (
            transforms.RandomAdjustSharpness(2, 1.0),
            "adjust_sharpness",
            (2,),
            "RandomAdjustSharpness(sharpness_factor=2,p=1.0)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_random_colour_transforms_respect_their_probability(
    picture: Image.Image, transform, name: str, arguments, description: str
) -> None:
    expected = getattr(functional, name)(picture, *arguments)
    assert largest_difference(transform(picture), expected) == 0 and repr(transform) == description
    transform.p = 0.5
    fb.manual_seed(0)
    assert 5 < sum(transform(picture) is picture for _ in range(30)) < 25


@pytest.mark.parametrize(("width", "sigma"), [(3, None), (5, 1.5), ((3, 7), (0.5, 2.0)), ((7, 5), None)])
def test_gaussian_blur_equals_scipy(noise: Image.Image, width, sigma) -> None:
    widths = width if isinstance(width, tuple) else (width, width)
    sigmas = (
        [0.15 * w + 0.35 for w in widths] if sigma is None else (sigma if isinstance(sigma, tuple) else (sigma, sigma))
    )
    expected = np.asarray(noise).astype(float)
    for axis, w, s in zip((1, 0), widths, sigmas, strict=True):
        expected = ndimage.gaussian_filter1d(expected, s, axis=axis, mode="mirror", radius=w // 2)
    for image in (noise, np.asarray(noise), pil_to_tensor(noise)):
        result = functional.gaussian_blur(image, width, sigma)
        assert type(result) is type(image)
        np.testing.assert_allclose(pixels(result), expected, atol=0.51)
    floats = functional.gaussian_blur(pil_to_tensor(noise).double(), width, sigma)
    np.testing.assert_allclose(pixels(floats), expected, atol=1e-4)


def test_gaussian_blur_draws_its_sigma(noise: Image.Image) -> None:
    blur = transforms.GaussianBlur(5, (0.5, 3.0))
    assert repr(blur) == "GaussianBlur(kernel_size=(5, 5), sigma=(0.5, 3.0))"
    assert all(0.5 <= blur.get_params(0.5, 3.0) <= 3.0 for _ in range(50))
    assert pixels(blur(noise)).std() < pixels(noise).std()
    assert tuple(blur(fb.zeros(2, 4, 3, 8, 9)).shape) == (2, 4, 3, 8, 9)
    with pytest.raises(ValueError, match="odd and positive number, got 4"):
        transforms.GaussianBlur(4)
    with pytest.raises(ValueError, match=r"of the form \(min, max\). Got \(2, 1\)"):
        transforms.GaussianBlur(3, (2, 1))
    with pytest.raises(ValueError, match=r"sigma should have positive values. Got \[0.0, 0.0\]"):
        functional.gaussian_blur(noise, 3, 0.0)
    with pytest.raises(TypeError, match="kernel_size should be a number"):
        functional.gaussian_blur(noise, "3")


def test_adjust_sharpness_smooths_like_pillow(noise: Image.Image) -> None:
    assert (
        largest_difference(functional.adjust_sharpness(pil_to_tensor(noise), 0), noise.filter(ImageFilter.SMOOTH)) <= 1
    )
    tiny = fb.zeros(3, 2, 5)
    assert (functional.adjust_sharpness(tiny, 2.0) == tiny).all()
