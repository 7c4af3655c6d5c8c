from __future__ import annotations

import gzip
import importlib.resources

import numpy as np
from PIL import Image

import flambeau as fb
from flambeau.vision.datasets import Digits


def published() -> list[list[int]]:
    """Parse the published file."""
    packed = importlib.resources.files("flambeau.vision.datasets").joinpath("data/digits.csv.gz").read_bytes()
    return [[int(value) for value in line.split(",")] for line in gzip.decompress(packed).decode().split()]


def test_the_splits_of_digits_partition_the_published_images() -> None:
    train, test = Digits(train=True), Digits(train=False)
    assert (len(train), len(test)) == (1437, 360)
    found = [(*np.asarray(image).ravel().tolist(), label) for dataset in (train, test) for image, label in dataset]
    expected = [(*(round(value * 255 / 16) for value in pixels), digit) for *pixels, digit in published()]
    assert found != expected  # the order is shuffled
    assert sorted(found) == sorted(expected)


def test_the_splits_of_digits_never_change() -> None:
    assert Digits(train=True).targets[:12].tolist() == [2, 8, 2, 6, 6, 7, 1, 9, 8, 5, 2, 8]
    assert Digits(train=False).targets[:12].tolist() == [7, 9, 4, 7, 0, 2, 6, 1, 3, 1, 3, 7]


def test_a_sample_of_digits_is_an_image_and_a_label() -> None:
    image, label = Digits()[0]
    assert image.mode == "L" and image.size == (8, 8) and type(label) is int
    data, targets = Digits().data, Digits().targets
    assert (data.dtype, targets.dtype) == (fb.uint8, fb.int64) and data.min() == 0 and data.max() == 255
    assert Digits().class_to_idx["7"] == 7 and Digits().classes[7] == "7"


def test_a_transform_that_writes_does_not_change_the_dataset() -> None:
    def erase(image: Image.Image) -> Image.Image:
        image.paste(0, (0, 0, 8, 8))
        return image

    dataset = Digits(transform=erase, target_transform=str)
    assert dataset[0][0].getextrema() == (0, 0) and dataset[0][1] == str(Digits()[0][1])
    assert dataset.data[0].sum() > 0


def test_repr_of_digits_shows_the_size_and_the_split() -> None:
    assert repr(Digits(train=False)) == "Dataset Digits\n    Number of datapoints: 360\n    Split: Test"
