from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageOps

import flambeau as fb
from flambeau.vision import transforms, tv_tensors
from flambeau.vision.transforms import functional, v2
from flambeau.vision.transforms.functional import pil_to_tensor


def kinds(image: Image.Image) -> list[Image.Image | np.ndarray | fb.Tensor]:
    return [image, np.asarray(image), pil_to_tensor(image), pil_to_tensor(image)[None, None]]


def pixels(image: Image.Image | np.ndarray | fb.Tensor) -> np.ndarray:
    """Convert an image of any type to an array (H, W, C)."""
    if isinstance(image, fb.Tensor):
        return image.reshape(image.shape[-3:]).permute(1, 2, 0).numpy()
    return np.asarray(image)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("padding", [3, [2], (2, 5), (1, 2, 3, 4), (40, 0, 0, 32)])
def test_padding_modes_equal_numpy(noise: Image.Image, mode: str, padding) -> None:
    sides = tuple(padding) if isinstance(padding, tuple | list) else (padding,)
    left, top, right, bottom = sides * (4 // len(sides))
    options = {"constant_values": 9} if mode == "constant" else {}
    expected = np.pad(np.asarray(noise), ((top, bottom), (left, right), (0, 0)), mode=mode, **options)
    for image in kinds(noise):
        result = functional.pad(image, padding, 9 if mode == "constant" else 0, mode)
        np.testing.assert_array_equal(pixels(result), expected)


def test_padding_with_a_constant_colour_matches_pillow(noise: Image.Image) -> None:
    expected = np.asarray(ImageOps.expand(noise, 2, fill=(1, 2, 3)))
    for image in kinds(noise):
        np.testing.assert_array_equal(pixels(functional.pad(image, 2, (1, 2, 3))), expected)
        for transform in (transforms.Pad(2, fill=(1, 2, 3)), v2.Pad(2, fill=[1.0, 2.0, 3.0])):
            np.testing.assert_array_equal(pixels(transform(image)), expected)
    palette = noise.convert("P", palette=Image.Palette.ADAPTIVE)
    assert functional.pad(palette, 2, 7.0).getpixel((0, 0)) == 7
    for mode in ("constant", "edge"):
        padded = functional.pad(palette, 2, padding_mode=mode)
        assert padded.mode == "P" and padded.getpalette() == palette.getpalette()


def test_negative_padding_crops(noise: Image.Image) -> None:
    expected = np.pad(np.asarray(noise)[:-2, 3:], ((4, 0), (0, 5), (0, 0)))
    for image in kinds(noise):
        np.testing.assert_array_equal(pixels(functional.pad(image, (-3, 4, 5, -2))), expected)
    expected = np.pad(np.asarray(noise)[:-2, 3:], ((4, 0), (0, 5), (0, 0)), mode="edge")
    for image in kinds(noise):
        np.testing.assert_array_equal(pixels(functional.pad(image, (-3, 4, 5, -2), padding_mode="edge")), expected)


def test_invalid_padding_is_rejected(noise: Image.Image) -> None:
    with pytest.raises(ValueError, match="a 1, 2, or 4 element tuple, not a 3 element tuple"):
        transforms.Pad((1, 2, 3))
    with pytest.raises(ValueError, match=r"Padding mode should be either .* Got 'circular'"):
        transforms.Pad(1, padding_mode="circular")
    for fill in (None, "red", {tv_tensors.Image: "red"}):
        with pytest.raises(TypeError, match="inappropriate fill arg"):
            transforms.Pad(1, fill=fill)
    with pytest.raises(TypeError, match="inappropriate padding arg 'x'"):
        functional.pad(noise, "x")
    with pytest.raises(TypeError, match="inappropriate fill arg None"):
        functional.pad(noise, 1, None)
    with pytest.raises(ValueError, match=r"does not match the number of channels: \(1, 2\), 3"):
        functional.pad(pil_to_tensor(noise), 1, (1, 2))
    with pytest.raises(ValueError, match=r"does not match that of the image's bands: \(1, 2\), 3"):
        functional.pad(noise, 1, (1, 2))
    assert repr(transforms.Pad(2, 1)) == "Pad(padding=2, fill=1, padding_mode=constant)"


@pytest.mark.parametrize(
    "place", [(5, 6, 7, 8), (0, 0, 33, 47), (-3, -4, 20, 60), (30, 40, 20, 20), (100, 100, 4, 4), (-20, 0, 10, 10)]
)
def test_crop_equals_pillow(noise: Image.Image, place: tuple[int, int, int, int]) -> None:
    top, left, height, width = place
    expected = np.asarray(noise.crop((left, top, left + width, top + height)))
    for image in kinds(noise):
        np.testing.assert_array_equal(pixels(functional.crop(image, *place)), expected)


def test_center_crop_selects_the_centre_and_pads_small_images(noise: Image.Image) -> None:
    for image in kinds(noise):
        np.testing.assert_array_equal(pixels(functional.center_crop(image, 11)), np.asarray(noise)[11:22, 18:29])
        wide = pixels(transforms.CenterCrop((11, 51))(image))
        np.testing.assert_array_equal(wide, np.pad(np.asarray(noise)[11:22], ((0, 0), (2, 2), (0, 0))))
    assert repr(transforms.CenterCrop(4)) == "CenterCrop(size=(4, 4))"
    with pytest.raises(ValueError, match="only two dimensions"):
        transforms.CenterCrop((1, 2, 3))


def test_five_crop_and_ten_crop_return_corners_centre_and_mirror_images(noise: Image.Image) -> None:
    array = np.asarray(noise)
    corners = [array[:8, :9], array[:8, -9:], array[-8:, :9], array[-8:, -9:], array[12:20, 19:28]]
    mirrored = array[:, ::-1]
    ten = [
        *corners,
        mirrored[:8, :9],
        mirrored[:8, -9:],
        mirrored[-8:, :9],
        mirrored[-8:, -9:],
        mirrored[12:20, 19:28],
    ]
    for image in kinds(noise):
        assert all(
            (pixels(part) == part_).all()
            for part, part_ in zip(transforms.FiveCrop((8, 9))(image), corners, strict=True)
        )
        assert all(
            (pixels(part) == part_).all() for part, part_ in zip(transforms.TenCrop((8, 9))(image), ten, strict=True)
        )
    upside_down = transforms.TenCrop(8, vertical_flip=True)(noise)
    np.testing.assert_array_equal(np.asarray(upside_down[5]), array[::-1][:8, :8])
    with pytest.raises(ValueError, match=r"crop size \(34, 34\) is bigger than input size \(33, 47\)"):
        functional.five_crop(noise, 34)


def test_hflip_and_vflip_reverse_columns_and_rows(noise: Image.Image) -> None:
    for image in kinds(noise):
        np.testing.assert_array_equal(pixels(functional.hflip(image)), np.asarray(noise)[:, ::-1])
        np.testing.assert_array_equal(pixels(functional.vflip(image)), np.asarray(noise)[::-1])


@pytest.mark.parametrize("kind", [transforms.RandomHorizontalFlip, transforms.RandomVerticalFlip])
def test_random_flips_respect_their_probability(kind: type) -> None:
    fb.manual_seed(0)
    image = fb.tensor([[0, 1], [2, 3]])
    changed = sum((kind(p=0.3)(image) != image).any().item() for _ in range(1000))
    assert 250 < changed < 350
    assert (kind(p=0)(image) == image).all() and (kind(p=1)(image) != image).any()
    assert repr(kind()) == f"{kind.__name__}(p=0.5)"
    with pytest.raises(ValueError, match=r"p should be a number from 0 to 1, got 1.5"):
        kind(p=1.5)


@pytest.mark.parametrize(
    "options", [{}, {"padding": 2}, {"padding": 2, "fill": 7}, {"padding": 2, "padding_mode": "edge"}]
)
def test_random_crops_are_crops_of_the_padded_image(noise: Image.Image, options: dict) -> None:
    fb.manual_seed(0)
    bordered = pixels(
        functional.pad(
            noise, options.get("padding", 0), options.get("fill", 0), options.get("padding_mode", "constant")
        )
    )
    windows = np.lib.stride_tricks.sliding_window_view(bordered, (31, 45), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
    found = Counter()
    for image in kinds(noise):
        for _ in range(30):
            part = pixels(transforms.RandomCrop((31, 45), **options)(image))
            places = np.argwhere((windows == part).all((2, 3, 4)))
            assert len(places) == 1
            found[tuple(places[0].tolist())] += 1
    assert len(found) > 0.8 * min(windows.shape[0] * windows.shape[1], 9)


def test_random_crop_pads_small_images_if_needed(noise: Image.Image) -> None:
    with pytest.raises(ValueError, match=r"Required crop size \(40, 40\) is larger than input image size \(33, 47\)"):
        transforms.RandomCrop(40)(noise)
    assert transforms.RandomCrop(50, pad_if_needed=True)(noise).size == (50, 50)
    assert tuple(transforms.RandomCrop(50, pad_if_needed=True, padding_mode="reflect")(pil_to_tensor(noise)).shape) == (
        3,
        50,
        50,
    )
    np.testing.assert_array_equal(np.asarray(transforms.RandomCrop((33, 47))(noise)), np.asarray(noise))
    assert transforms.RandomCrop.get_params(noise, (33, 47)) == (0, 0, 33, 47)
    assert repr(transforms.RandomCrop(32, padding=4)) == "RandomCrop(size=(32, 32), padding=4)"


def test_random_resized_crop_respects_the_ranges_of_scale_and_ratio(noise: Image.Image) -> None:
    fb.manual_seed(0)
    places = [transforms.RandomResizedCrop.get_params(noise, (0.2, 0.5), (0.5, 2.0)) for _ in range(200)]
    for top, left, height, width in places:
        assert top >= 0 and left >= 0 and top + height <= 33 and left + width <= 47
        assert 0.17 < height * width / (33 * 47) < 0.53 and 0.45 < width / height < 2.2
    assert len(set(places)) > 150
    for image in kinds(noise):
        assert pixels(transforms.RandomResizedCrop((10, 12))(image)).shape == (10, 12, 3)
    # No crop with this area and ratio fits into the image, so a central crop is returned.
    assert transforms.RandomResizedCrop.get_params(noise, (1.0, 1.0), (0.1, 0.1)) == (0, 22, 33, 3)
    assert repr(transforms.RandomResizedCrop(224)) == (
        "RandomResizedCrop(size=(224, 224), scale=(0.08, 1.0), ratio=(0.75, 1.3333), interpolation=bilinear, "
        "antialias=True)"
    )
    with pytest.raises(ValueError, match=r"Scale should be of kind \(min, max\), both positive, got \(1, 0.5\)"):
        transforms.RandomResizedCrop(3, scale=(1, 0.5))
    with pytest.raises(TypeError, match="Ratio should be a sequence"):
        transforms.RandomResizedCrop(3, ratio=2.0)


def test_the_same_seed_gives_the_same_crop(noise: Image.Image) -> None:
    transform = transforms.Compose(
        [transforms.RandomCrop(30, padding=4), transforms.RandomHorizontalFlip(), transforms.RandomResizedCrop(16)]
    )
    runs = []
    for _ in range(2):
        fb.manual_seed(5)
        runs.append([transform(noise).tobytes() for _ in range(5)])
    assert runs[0] == runs[1] and len(set(runs[0])) == 5
