"""Test that augmentations are the same for any number of workers of a DataLoader, in processes and in threads."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau.data import DataLoader
from flambeau.vision import datasets, transforms

AUGMENT = transforms.Compose(
    [
        transforms.RandomCrop(12, padding=2),
        transforms.RandomHorizontalFlip(),
        transforms.ColorJitter(0.3, 0.3, 0.3, 0.1),
        transforms.RandomApply([transforms.RandomRotation(20)]),
        transforms.RandomChoice([transforms.GaussianBlur(3), transforms.RandAugment()]),
        transforms.ToTensor(),
        transforms.RandomErasing(),
        transforms.Normalize([0.5] * 3, [0.5] * 3),
    ]
)


def epochs(**options: object) -> list[np.ndarray]:
    fb.manual_seed(7)
    dataset = datasets.FakeData(12, (3, 12, 12), transform=AUGMENT)
    loader = DataLoader(dataset, batch_size=5, shuffle=True, **options)
    return [np.concatenate([images.numpy() for images, _ in loader]) for _ in range(2)]


@pytest.mark.parametrize("options", [{"num_workers": 2}, {"num_workers": 3, "workers": "thread"}], ids=str)
def test_augmented_images_do_not_depend_on_the_number_of_workers(options: dict) -> None:
    alone, together = epochs(), epochs(**options)
    assert alone[0].shape == (12, 3, 12, 12)
    for mine, theirs in zip(alone, together, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert (alone[0] != alone[1]).any()
