"""Random parameters of transforms with PyTorch's random numbers.

The expected values are those of torchvision 0.29.1 with PyTorch 2.13 for the same seed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import transforms
from flambeau.vision.transforms import v2
from flambeau.vision.transforms.autoaugment import _Augmentation


@pytest.fixture(autouse=True)
def pytorch_streams(seeded: None) -> Iterator[None]:
    fb.random.use_pytorch_streams()
    fb.manual_seed(0)
    yield
    fb.random.use_pytorch_streams(False)


# Transforms, their operations and strengths in several calls with seed 0, and the next random number, for an image of
# 20 by 30 pixels.
DRAWS = [
    (
        transforms.AutoAugment(),
        [("Equalize", 0), ("Solarize", 113.3333), ("AutoContrast", 0), ("AutoContrast", 0)],
        0.5529,
    ),
    (
        v2.AutoAugment(),
        [("Equalize", 0), ("Rotate", 26.6667), ("Posterize", 5), ("Solarize", 113.3333), ("AutoContrast", 0)]
        + [("Equalize", 0), ("Equalize", 0)],
        0.6977,
    ),
    (
        transforms.RandAugment(),
        [("TranslateY", -2.719), ("Color", 0.27), ("ShearX", -0.09), ("Equalize", 0), ("TranslateX", -4.0785)]
        + [("Rotate", -9)],
        0.4017,
    ),
    (
        v2.RandAugment(),
        [("TranslateY", 2.719), ("Color", -0.27), ("ShearX", 0.09), ("Equalize", 0), ("TranslateX", -4.0785)]
        + [("Rotate", -9)],
        0.4017,
    ),
    (
        transforms.TrivialAugmentWide(),
        [("TranslateY", -32), ("ShearY", -0.891), ("Equalize", 0), ("TranslateX", -27.7333), ("Sharpness", 0.198)]
        + [("Rotate", 36)],
        0.6977,
    ),
    (
        v2.TrivialAugmentWide(),
        [("TranslateY", -32), ("ShearY", 0.891), ("Equalize", 0), ("TranslateX", 27.7333), ("Sharpness", -0.198)]
        + [("Rotate", 36)],
        0.6977,
    ),
    (
        transforms.AugMix(),
        [("Brightness", -0.2), ("TranslateX", -2.2222), ("Rotate", 3.3333), ("Rotate", -3.3333)]
        + [("TranslateY", -1.4815), ("Sharpness", -0.2), ("ShearY", -0.0333), ("Sharpness", 0.1)],
        0.4820,
    ),
    (
        v2.AugMix(),
        [("Brightness", 0.2), ("TranslateX", -2.2222), ("Rotate", 3.3333), ("Rotate", -3.3333)]
        + [("TranslateY", 1.4815), ("Sharpness", -0.2), ("ShearY", -0.0333), ("Sharpness", -0.1)],
        0.4820,
    ),
]


@pytest.mark.parametrize(("augment", "expected", "following"), DRAWS)
def test_policies_draw_the_operations_of_torchvision(augment, expected, following, monkeypatch) -> None:
    applied: list[tuple[str, float]] = []

    def record(self: object, img: object, name: str, strength: float) -> object:
        applied.append((name, pytest.approx(strength, abs=1e-4)))
        return img

    monkeypatch.setattr(_Augmentation, "_applied", record)
    fb.manual_seed(0)
    while len(applied) < len(expected):
        augment(fb.zeros(3, 20, 30, dtype=fb.uint8))
    assert applied == expected and fb.rand(1).item() == pytest.approx(following, abs=1e-4)


def test_random_perspective_draws_the_corners_of_torchvision() -> None:
    fb.manual_seed(0)
    assert transforms.RandomPerspective.get_params(47, 33, 0.5)[1] == [[8, 0], [40, 6], [42, 30], [7, 25]]


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, [0.2839, 0.4223, 0.6663]),
        (1, [0.2226, 0.4123, 0.6741]),
        (2, [0.8014, 0.1114, 0.5254]),
        (3, [0.3284, 0.4082, 0.4614]),
        (4, [0.2676, 0.5788, 0.6226]),
    ],
)
def test_photometric_distortions_draw_the_factors_of_torchvision(seed: int, expected: list[float]) -> None:
    fb.manual_seed(seed)
    distorted = v2.RandomPhotometricDistort()(fb.tensor([0.2, 0.5, 0.7]).view(3, 1, 1))
    np.testing.assert_allclose(distorted.flatten().numpy(), expected, atol=1e-4)
