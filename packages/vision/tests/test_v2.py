from __future__ import annotations

import io
import pickle
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import flambeau as fb
from flambeau.vision import transforms, tv_tensors
from flambeau.vision.transforms import v2
from flambeau.vision.transforms.functional import pil_to_tensor
from flambeau.vision.transforms.v2 import functional as F


class Pair(NamedTuple):
    image: object
    name: str


def test_a_v2_transform_treats_all_images_of_a_sample_alike(noise: Image.Image) -> None:
    fb.manual_seed(0)
    crop = v2.RandomCrop(8)
    tensor, array = pil_to_tensor(noise), np.asarray(noise)
    result = crop({"image": noise, "more": [array, (tensor, 3, "cat")], "pair": Pair(tensor[:1], "mask")}, 5)
    sample, label = result
    assert label == 5 and sample["more"][1][1:] == (3, "cat") and sample["pair"].name == "mask"
    expected = np.asarray(sample["image"])
    np.testing.assert_array_equal(sample["more"][0], expected)
    np.testing.assert_array_equal(sample["more"][1][0].permute(1, 2, 0).numpy(), expected)
    np.testing.assert_array_equal(sample["pair"].image[0].numpy(), expected[..., 0])
    assert (np.asarray(crop(noise)) != expected).any()  # the next call draws new parameters


def test_v2_transforms_of_one_image_equal_v1(noise: Image.Image) -> None:
    for seed in range(3):
        fb.manual_seed(seed)
        mine = v2.RandomResizedCrop(10)(noise)
        fb.manual_seed(seed)
        assert mine.tobytes() == transforms.RandomResizedCrop(10)(noise).tobytes()


def test_v2_compositions_pass_samples_through() -> None:
    image = fb.tensor([[[0, 255]]], dtype=fb.uint8)
    steps = [v2.ToImage(), v2.RandomHorizontalFlip(p=1), v2.ToDtype(fb.float32, scale=True), v2.Normalize([0.5], [0.5])]
    for compose in (v2.Compose(steps), v2.RandomApply(steps, p=1), v2.Compose([v2.RandomChoice([v2.Compose(steps)])])):
        result, label = compose(image, 7)
        assert result.tolist() == [[[1, -1]]] and label == 7
        assert compose(image).tolist() == [[[1, -1]]]
    assert v2.RandomApply(steps, p=0)(image, 7) == (image, 7)
    assert v2.RandomOrder([v2.Identity(), v2.ToPureTensor()])(image, 7) == (image, 7)


def test_every_transform_exists_in_v2() -> None:
    missing = set(transforms.__all__) - set(v2.__all__) - {"RandomTransforms", "v2"}
    assert missing == set()
    assert repr(v2.Resize(3)) == repr(transforms.Resize(3)) and isinstance(v2.Resize(3), transforms.Resize)
    for transform in (v2.RandomCrop(3), v2.ToTensor(), v2.MixUp(num_classes=3)):
        assert repr(pickle.loads(pickle.dumps(transform))) == repr(transform)


def test_to_image_converts_arrays_and_images(noise: Image.Image) -> None:
    expected = pil_to_tensor(noise)
    for image in (noise, np.asarray(noise), expected):
        assert (v2.functional.to_image(image) == expected).all()
    assert tuple(v2.functional.to_image(np.zeros((4, 5))).shape) == (1, 4, 5)
    assert tuple(v2.functional.to_image(fb.zeros(4, 5)).shape) == (1, 4, 5)
    with pytest.raises(TypeError, match="but got <class 'str'>"):
        v2.functional.to_image("cat.png")
    scaled, plain = v2.ToDtype(fb.float32, scale=True)(expected), v2.ToDtype(fb.float32)(expected)
    assert scaled.max() <= 1 and plain.max() > 200 and v2.ToDtype(fb.float32)((expected, 3))[1] == 3
    assert repr(v2.ToDtype(fb.float32)) == "ToDtype(dtype=flambeau.float32, scale=False)"
    assert v2.functional.horizontal_flip is transforms.functional.hflip
    for gray in (noise.convert("L"), pil_to_tensor(noise)[:1]):
        assert transforms.functional.get_image_num_channels(v2.RGB()(gray)) == 3


def test_mixup_and_cutmix_blend_a_batch() -> None:
    fb.manual_seed(0)
    images = fb.arange(4.0)[:, None, None, None].expand(4, 3, 20, 30)
    labels = fb.arange(4)
    blended, shares = v2.MixUp(num_classes=5)(images, labels)
    assert tuple(shares.shape) == (4, 5) and shares.sum(1).tolist() == pytest.approx([1] * 4)
    share = shares[1, 1].item()
    assert 0 < share < 1 and shares[1, 0].item() == pytest.approx(1 - share)
    np.testing.assert_allclose(blended[1].numpy(), share, rtol=1e-5)  # a mixture of an image of ones and one of zeros

    seen = set()
    for _ in range(20):
        cut, shares = v2.CutMix(num_classes=5)(images, labels)
        of_itself = (cut[1] == 1).float().mean().item()
        assert shares[1, 1].item() == pytest.approx(of_itself, abs=1e-6)
        assert ((cut[1] == 1) | (cut[1] == 0)).all()
        seen.add(round(of_itself, 3))
    assert len(seen) > 10
    soft = v2.MixUp()(images, shares)[1]
    assert tuple(soft.shape) == (4, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((fb.zeros(3, 4, 4), fb.zeros(3)), r"a batch of images \[N, C, H, W\], got \[3, 4, 4\]"),
        ((fb.zeros(2, 3, 4, 4), fb.zeros(3)), r"labels should have shape \[2\] or \[2, classes\], got \[3\]"),
        ((fb.zeros(2, 3, 4, 4), fb.zeros(2, dtype=fb.int64)), "num_classes must be passed"),
    ],
)
def test_mixup_and_cutmix_reject_unsuitable_batches(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        v2.CutMix()(*arguments)
    with pytest.raises(ValueError, match="alpha should be positive, got 0"):
        v2.MixUp(alpha=0)


def test_gaussian_noise_has_the_given_mean_and_deviation() -> None:
    fb.manual_seed(0)
    gray = fb.full((1, 100, 100), 0.5)
    noisy = v2.GaussianNoise(0.1, 0.05)(gray)
    assert noisy.mean().item() == pytest.approx(0.6, abs=0.01) and noisy.std().item() == pytest.approx(0.05, abs=0.005)
    assert v2.GaussianNoise(2.0)(gray).max() == 1 and v2.GaussianNoise(2.0, clip=False)(gray).min() > 1
    of_bytes = v2.GaussianNoise(sigma=0.05)(fb.full((1, 100, 100), 128, dtype=fb.uint8))
    assert of_bytes.dtype is fb.uint8 and of_bytes.float().std().item() == pytest.approx(12.75, abs=1.5)
    with pytest.raises(TypeError, match=r"put ToImage\(\) before it"):
        v2.GaussianNoise()(Image.new("L", (2, 2)))
    with pytest.raises(ValueError, match=r"sigma shouldn't be negative\. Got -1"):
        v2.functional.gaussian_noise(gray, sigma=-1)


def test_random_channel_permutation_and_photometric_distort_change_the_image(noise: Image.Image) -> None:
    fb.manual_seed(0)
    image = pil_to_tensor(noise)
    for kind in (noise, np.asarray(noise), image):
        orders = set()
        for _ in range(40):
            permuted = v2.functional.to_image(v2.RandomChannelPermutation()(kind))
            orders.add(tuple(next(n for n in range(3) if (channel == image[n]).all()) for channel in permuted))
        assert len(orders) == 6
        distorted = [v2.functional.to_image(v2.RandomPhotometricDistort()(kind)) for _ in range(20)]
        assert sum((result != image).any().item() for result in distorted) > 10
        assert v2.RandomPhotometricDistort(p=0)(kind) is kind


def test_permute_channels_applies_the_given_order(noise: Image.Image) -> None:
    expected = np.asarray(noise)[..., [2, 0, 1]]
    for kind in (noise, np.asarray(noise), pil_to_tensor(noise)):
        permuted = v2.functional.to_image(v2.functional.permute_channels(kind, [2, 0, 1]))
        np.testing.assert_array_equal(permuted.permute(1, 2, 0).numpy(), expected)
        with pytest.raises(ValueError, match="number of channels, but got 2 != 3"):
            v2.functional.permute_channels(kind, [0, 1])


def test_gaussian_noise_of_bytes_is_truncated() -> None:
    gray = fb.full((1, 2), 100, dtype=fb.uint8)
    assert v2.functional.gaussian_noise(gray, 0.1, 0.0).tolist() == [[125, 125]]  # 0.1 * 255 = 25.5
    assert v2.functional.gaussian_noise(gray, -0.1, 0.0).tolist() == [[75, 75]]
    assert v2.functional.gaussian_noise(gray, 0.7, 0.0, clip=False).tolist() == [[22, 22]]  # 278 modulo 256


def test_jpeg_transform_equals_saving_a_file(noise: Image.Image) -> None:
    losses = []
    for quality in (1, 40, 100):
        with io.BytesIO() as file:
            noise.save(file, "JPEG", quality=quality)
            expected = np.asarray(Image.open(file)).astype(int)
        for kind in (noise, np.asarray(noise), pil_to_tensor(noise), pil_to_tensor(noise).expand(2, 3, 33, 47)):
            result = v2.JPEG(quality)(kind)
            assert type(result) is type(kind)
            images = v2.functional.to_image(result).reshape(-1, 3, 33, 47).permute(0, 2, 3, 1)
            assert (images.numpy() == expected).all()
        losses.append(abs(expected - np.asarray(noise)).mean())
    assert losses[0] > losses[1] > losses[2] > 0
    gray = pil_to_tensor(noise)[:1]
    assert v2.functional.jpeg(gray, 90).shape == gray.shape and v2.functional.jpeg(gray[:, :0], 90).numel() == 0


def test_jpeg_transform_draws_its_quality(noise: Image.Image) -> None:
    transform = v2.JPEG((10, 12))
    assert repr(transform) == "JPEG(quality=[10, 12])"
    possible = {v2.functional.jpeg(noise, quality).tobytes(): quality for quality in range(1, 101)}
    assert {possible[transform(noise).tobytes()] for _ in range(40)} == {10, 11, 12}
    for quality in (0, 101, (12, 10)):
        with pytest.raises(ValueError, match="quality must be an integer from 1 to 100, got"):
            v2.JPEG(quality)
    for quality in (True, (1, 2, 3), 0.5, "ab"):
        with pytest.raises(TypeError, match="quality must be an integer or a pair of integers"):
            v2.JPEG(quality)
    with pytest.raises(TypeError, match="Only uint8 image tensors are supported"):
        transform(fb.zeros(3, 4, 4))


def test_random_resize_transforms_draw_sizes_in_range(noise: Image.Image) -> None:
    fb.manual_seed(0)
    heights = {v2.RandomResize(5, 9)(noise).height for _ in range(60)}
    assert heights == {5, 6, 7, 8}
    sizes = {v2.RandomShortestSize([10, 20], max_size=25)(noise).size for _ in range(30)}
    assert sizes == {(14, 10), (25, 17)}
    for _ in range(20):
        wide = v2.RandomZoomOut(fill=9, p=1)(pil_to_tensor(noise))
        assert 33 <= wide.shape[1] <= 132 and 47 <= wide.shape[2] <= 188
        outside = (wide == 9).all(0)
        assert (~outside).sum() <= 33 * 47
    assert v2.RandomZoomOut(p=0)(noise) is noise
    with pytest.raises(ValueError, match="Invalid side range"):
        v2.RandomZoomOut(side_range=(0.5, 2))


def test_scale_jitter_fits_the_image_into_a_target_of_width_and_height() -> None:
    wide = v2.ScaleJitter((60, 20), scale_range=(1.0, 1.0))
    assert wide(fb.zeros(3, 10, 40)).shape == (3, 15, 60)
    assert wide(fb.zeros(3, 40, 10)).shape == (3, 20, 5)


def test_custom_v2_transforms_define_transform() -> None:
    class Darker(v2.Transform):
        def transform(self, image: fb.Tensor) -> fb.Tensor:
            return image // 2

    image, label = Darker()(fb.full((1, 2), 8), 3)
    assert image.tolist() == [[4, 4]] and label == 3
    with pytest.raises(NotImplementedError, match="Transform must define transform"):
        v2.Transform()(fb.zeros(2, 2))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("BILINEAR", [[57, 143, 119], [118, 154, 71], [168, 104, 103], [148, 89, 165], [79, 138, 182]]),
        ("BICUBIC", [[46, 152, 119], [114, 166, 60], [181, 96, 98], [153, 76, 177], [71, 141, 186]]),
    ],
)
def test_v2_resizes_uint8_images_with_integer_weights_like_torchvision(mode, expected):
    """Compare with PyTorch 2.13's ``interpolate`` of the uint8 image, which torchvision's v2 calls."""
    image = (fb.arange(64) * 37 % 256).to(fb.uint8).reshape(1, 8, 8)
    interpolation = getattr(v2.InterpolationMode, mode)
    assert v2.functional.resize(image, [5, 3], interpolation)[0].tolist() == expected
    assert v2.Resize([5, 3], interpolation)(image)[0].tolist() == expected
    assert v2.functional.resized_crop(image, 0, 0, 8, 8, [5, 3], interpolation)[0].tolist() == expected
    assert v2.RandomResizedCrop((5, 3), (1, 1), (1, 1), interpolation)(image)[0].tolist() == expected
    in_floats = transforms.functional.resize(image, [5, 3], interpolation)[0].tolist()
    assert in_floats != expected and np.abs(np.subtract(in_floats, expected)).max() == 1


def test_v2_erases_rectangles_of_pil_images():
    image = Image.new("RGB", (4, 4), (9, 9, 9))
    erased = v2.functional.erase(image, 1, 0, 2, 3, fb.zeros(3, 1, 1))
    expected = np.full((4, 4, 3), 9)
    expected[1:3, 0:3] = 0
    assert erased.mode == "RGB" and np.array_equal(np.asarray(erased), expected)
    assert image.getpixel((0, 1)) == (9, 9, 9)
    assert isinstance(v2.RandomErasing(p=1.0)(image), Image.Image)


def test_v2_convert_image_dtype_passes_pil_images_through(noise: Image.Image) -> None:
    convert = v2.ConvertImageDtype()
    assert convert(noise) is noise and repr(convert) == "ConvertImageDtype(dtype=flambeau.float32)"
    image, mask = v2.ConvertImageDtype(fb.float64)(tv_tensors.Image(noise), tv_tensors.Mask(fb.ones(2, 2)))
    assert type(image) is tv_tensors.Image and image.dtype is fb.float64 and image.max() <= 1
    assert mask.dtype is fb.float32


def test_grayscale_to_rgb_makes_three_channels(noise: Image.Image) -> None:
    gray = noise.convert("L")
    assert F.grayscale_to_rgb(gray).mode == "RGB" and F.grayscale_to_rgb(noise.convert("CMYK")).mode == "RGB"
    planes = pil_to_tensor(gray)
    assert (F.grayscale_to_rgb(planes) == planes.expand(3, -1, -1)).all()
    assert type(F.grayscale_to_rgb(tv_tensors.Image(gray))) is tv_tensors.Image
    coloured = pil_to_tensor(noise)
    assert F.grayscale_to_rgb(coloured) is coloured and v2.RGB()(planes).shape == coloured.shape
