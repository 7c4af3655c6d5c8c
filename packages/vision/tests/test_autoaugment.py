from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import flambeau as fb
from flambeau.vision import transforms
from flambeau.vision.transforms import functional, v2
from flambeau.vision.transforms._augmentation_policies import POLICIES
from flambeau.vision.transforms.autoaugment import OPERATIONS, _Augmentation
from flambeau.vision.transforms.functional import pil_to_tensor

AUGMENTATIONS = [
    *(transforms.AutoAugment(policy) for policy in transforms.AutoAugmentPolicy),
    transforms.RandAugment(),
    transforms.TrivialAugmentWide(),
    transforms.AugMix(),
]


@pytest.mark.parametrize("augment", AUGMENTATIONS, ids=repr)
def test_autoaugment_keeps_the_image_type_and_depends_on_the_seed(picture: Image.Image, augment) -> None:
    for image in (
        picture,
        picture.convert("L"),
        np.asarray(picture),
        pil_to_tensor(picture),
        fb.stack([pil_to_tensor(picture)] * 2),
    ):
        runs = []
        for _ in range(2):
            fb.manual_seed(2)
            results = [augment(image) for _ in range(15)]
            assert all(type(result) is type(image) for result in results)
            runs.append([np.asarray(result) for result in results])
        assert all((a == b).all() for a, b in zip(*runs, strict=True))
        before = np.asarray(image)
        assert {result.shape for result in runs[0]} == {before.shape} and {r.dtype for r in runs[0]} == {before.dtype}
        assert sum((result != before).any() for result in runs[0]) >= 8


def test_v2_policies_accept_floating_images(picture: Image.Image) -> None:
    image = pil_to_tensor(picture) / 255
    for augment in (v2.RandAugment(magnitude=20), v2.AutoAugment(), v2.TrivialAugmentWide(), v2.AugMix()):
        for _ in range(20):
            result = augment(image)
            assert result.dtype is fb.float32 and result.min() >= 0 and result.max() <= 1


def test_aug_mix_draws_weights_for_each_image_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Augmentation, "_applied", lambda self, img, name, strength: fb.zeros_like(img))
    mixed = transforms.AugMix()(fb.ones(5, 3, 4, 4))
    assert len(mixed[:, 0, 0, 0].unique()) == 5 and (mixed == mixed[:, :1, :1, :1]).all()
    assert (v2.AugMix()(fb.ones(3, 4, 4)).unique().numel()) == 1


def test_autoaugment_policies_equal_those_of_the_paper() -> None:
    assert {policy.value: len(pairs) for policy, pairs in POLICIES.items()} == {
        "imagenet": 25,
        "cifar10": 25,
        "svhn": 25,
    }
    assert POLICIES[transforms.AutoAugmentPolicy.IMAGENET][0] == [("Posterize", 0.4, 8), ("Rotate", 0.6, 9)]
    assert POLICIES[transforms.AutoAugmentPolicy.CIFAR10][-1] == [("TranslateY", 0.7, 9), ("AutoContrast", 0.9, None)]
    assert {name for pairs in POLICIES.values() for pair in pairs for name, *_ in pair} <= set(OPERATIONS)
    with pytest.raises(ValueError, match="The provided policy imagenet is not recognized"):
        transforms.AutoAugment("imagenet")


def test_autoaugment_operations_change_the_image_as_expected(picture: Image.Image) -> None:
    mode = transforms.InterpolationMode.NEAREST

    def applied(name: str, strength: float) -> np.ndarray:
        return np.asarray(OPERATIONS[name](picture, strength, mode, None))

    before = np.asarray(picture)
    assert (applied("Identity", 0) == before).all()
    assert (applied("TranslateX", 3.9)[:, 3:] == before[:, :-3]).all()
    assert (applied("TranslateY", -3.9)[:-3] == before[3:]).all()
    sheared = applied("ShearX", -2.0)  # relative to the corner: each row is shifted by two more pixels to the right
    assert all((sheared[y, 2 * y + 1 :] == before[y, : 46 - 2 * y]).all() for y in range(23))
    assert (applied("Rotate", 90) == np.asarray(functional.rotate(picture, 90))).all()
    assert (applied("Brightness", -1.0) == 0).all() and (applied("Brightness", 0.0) == before).all()
    assert (applied("Solarize", 256) == before).all() and (applied("Invert", 0) == 255 - before).all()
    assert (applied("Posterize", 1) == before // 128 * 128).all()


def test_magnitude_determines_the_strength_of_rand_augment(picture: Image.Image) -> None:
    fb.manual_seed(0)
    before = np.asarray(picture).astype(int)

    def change(magnitude: int) -> float:
        augment = transforms.RandAugment(num_ops=1, magnitude=magnitude)
        return float(np.mean([np.abs(np.asarray(augment(picture)) - before).mean() for _ in range(60)]))

    assert change(0) < 0.5 * change(30)


def test_invalid_severities_and_magnitudes_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"between \[1, 10\]. Got 11"):
        transforms.AugMix(severity=11)
    with pytest.raises(ValueError, match="from 0 to below 31, got 31"):
        transforms.RandAugment(magnitude=31)
