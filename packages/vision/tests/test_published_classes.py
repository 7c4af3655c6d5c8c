"""Test datasets in which each image has one class, with small folders in the published layout."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from PIL import Image
from published_files import (
    caltech101,
    caltech256,
    clevr,
    country211,
    dtd,
    eurosat,
    fer2013,
    fgvc_aircraft,
    flowers102,
    food101,
    gtsrb,
    imagenet,
    imagenette,
    lfw,
    moving_mnist,
    omniglot,
    places365,
    rendered_sst2,
    semeion,
    stanford_cars,
    stl10,
    sun397,
    svhn,
    usps,
    write,
)

from flambeau.vision import datasets

Case = tuple[str, Callable[[Path], None], dict[str, Any], list[tuple[int, Any]]]

CASES: list[Case] = [
    ("SVHN", svhn, {"split": "test"}, [(7, 5), (8, 0)]),
    ("STL10", stl10, {}, [(1, 3), (2, 4), (3, 5)]),
    ("STL10", stl10, {"split": "train+unlabeled", "folds": 0}, [(3, 5), (1, 3), (8, -1)]),
    ("STL10", stl10, {"split": "unlabeled"}, [(8, -1)]),
    ("USPS", usps, {"train": False}, [(0, 0), (255, 9)]),
    ("SEMEION", semeion, {"download": False}, [(0, 3), (255, 9)]),
    ("Flowers102", flowers102, {}, [(3, 101), (1, 76)]),
    ("Flowers102", flowers102, {"split": "val"}, [(2, 0)]),
    ("Food101", food101, {}, [(0, 1), (1, 1), (2, 0)]),
    ("DTD", dtd, {"split": "val", "partition": 3}, [(1, 1), (2, 0)]),
    ("FGVCAircraft", fgvc_aircraft, {"split": "test", "annotation_level": "family"}, [(2, 1), (1, 0)]),
    ("StanfordCars", stanford_cars, {}, [(1, 1), (2, 0)]),
    ("GTSRB", gtsrb, {}, [(1, 0), (2, 1)]),
    ("GTSRB", gtsrb, {"split": "test"}, [(3, 16)]),
    ("EuroSAT", eurosat, {}, [(1, 0), (2, 1)]),
    ("Country211", country211, {"split": "valid"}, [(1, 0), (2, 1)]),
    ("SUN397", sun397, {}, [(1, 0), (2, 1)]),
    ("RenderedSST2", rendered_sst2, {"split": "val"}, [(1, 0), (2, 1)]),
    ("CLEVRClassification", clevr, {}, [(1, 3), (2, 1)]),
    ("CLEVRClassification", clevr, {"split": "test"}, [(1, None), (2, None)]),
    ("Places365", places365, {"small": True}, [(1, 1), (2, 0)]),
    ("Places365", places365, {"split": "test"}, [(3, None)]),
    ("Omniglot", omniglot, {}, [(1, 0), (2, 1), (3, 2)]),
    ("Imagenette", imagenette, {"split": "val", "size": "160px"}, [(1, 0), (2, 1)]),
    ("Caltech101", caltech101, {}, [(1, 0), (2, 1), (3, 1)]),
    ("Caltech256", caltech256, {}, [(1, 0), (2, 1), (3, 1)]),
    ("FER2013", fer2013, {}, [(1, 0)]),
    ("FER2013", fer2013, {"split": "test"}, [(2, 1), (3, 2)]),
    ("ImageNet", imagenet, {"split": "val"}, [(1, 0), (2, 1)]),
    ("LFWPeople", lfw, {}, [(3, 1), (1, 0), (2, 0)]),
    ("LFWPeople", lfw, {"split": "test"}, [(1, 0), (2, 0)]),
]  # fmt: skip


def shade(image: Image.Image) -> int:
    pixels = np.asarray(image)
    assert pixels.min() == pixels.max()
    return int(pixels.max())


@pytest.mark.parametrize(("name", "build", "options", "expected"), CASES)
def test_classification_datasets_return_images_and_classes(
    name: str, build: Callable, options: dict, expected: list[tuple[int, Any]], tmp_path: Path
) -> None:
    build(tmp_path)
    dataset = getattr(datasets, name)(tmp_path, **options)
    assert [(shade(image), label) for image, label in (dataset[i] for i in range(len(dataset)))] == expected
    assert f"Number of datapoints: {len(expected)}" in repr(dataset)

    dataset = getattr(datasets, name)(
        str(tmp_path), **options, transform=shade, target_transform=lambda label: (label, "seen")
    )
    assert [dataset[i] for i in range(len(dataset))] == [(pixel, (label, "seen")) for pixel, label in expected]


@pytest.mark.parametrize(("name", "options"), sorted({name: options for name, _, options, _ in CASES}.items()))
def test_errors_name_missing_dataset_files(name: str, options: dict, tmp_path: Path) -> None:
    kind = getattr(datasets, name)
    with pytest.raises(
        RuntimeError, match=r"^Dataset not found\. \w+: .* does not exist|^The archive ILSVRC2012_devkit"
    ):
        kind(tmp_path, **options)


@pytest.mark.parametrize("name", [name for name, _, options, _ in CASES if "split" in options])
def test_errors_name_an_unknown_split(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Unknown value 'holdout' for argument split\. Valid values are \{'"):
        getattr(datasets, name)(tmp_path, split="holdout")


def test_classification_datasets_have_class_names(tmp_path: Path) -> None:
    for build in (
        flowers102,
        food101,
        fgvc_aircraft,
        stanford_cars,
        sun397,
        imagenette,
        imagenet,
        stl10,
        omniglot,
        lfw,
    ):
        build(tmp_path)
    assert len(datasets.Flowers102.classes) == 102 and datasets.Flowers102.classes[76] == "passion flower"
    food = datasets.Food101(tmp_path)
    assert food.classes == ["pizza", "waffles"] and food.class_to_idx == {"pizza": 0, "waffles": 1}
    assert datasets.StanfordCars(tmp_path).classes == ["AM General", "Acura RL"]
    assert datasets.SUN397(tmp_path).class_to_idx == {"abbey": 0, "bazaar/indoor": 1}
    assert datasets.STL10(tmp_path).classes[:2] == ["airplane", "bird"]
    small = datasets.Imagenette(tmp_path, split="val", size="160px")
    assert small.wnids == ["n01440764", "n03888257"] and small.class_to_idx["chute"] == 1
    large = datasets.ImageNet(tmp_path, split="val")
    assert large.wnids == ["n01", "n02"] and large.classes == [("tench", "Tinca tinca"), ("goldfish",)]
    assert large.class_to_idx == {"tench": 0, "Tinca tinca": 0, "goldfish": 1} and large.wnid_to_idx["n02"] == 1
    assert datasets.LFWPeople(tmp_path).class_to_idx == {"Ann": 0, "Bob": 1}


def test_lfw_pairs_returns_two_images_and_whether_they_match(tmp_path: Path) -> None:
    lfw(tmp_path)
    pairs = datasets.LFWPairs(tmp_path, transform=shade)
    assert [pairs[i] for i in range(2)] == [(1, 2, 1), (2, 3, 0)]
    assert pairs.pair_names == [("Ann", "Ann"), ("Ann", "Bob")]
    with pytest.raises(ValueError, match="no longer available"):
        datasets.LFWPairs(tmp_path, download=True)


def test_caltech101_returns_outlines_of_objects(tmp_path: Path) -> None:
    caltech101(tmp_path)
    _, (label, outline) = datasets.Caltech101(tmp_path, target_type=["category", "annotation"])[0]
    assert label == 0 and outline.tolist() == [[0, 1, 2], [3, 4, 5]]
    _, outline = datasets.Caltech101(tmp_path, target_type="annotation")[2]
    assert outline[0, 0] == 2


def test_moving_mnist_splits_the_frames_of_each_video(tmp_path: Path) -> None:
    moving_mnist(tmp_path)
    for split, first, count in ((None, 0, 20), ("train", 0, 15), ("test", 15, 5)):
        dataset = datasets.MovingMNIST(tmp_path, split=split, split_ratio=15)
        assert len(dataset) == 3 and tuple(dataset[0].shape) == (count, 1, 64, 64) and dataset[1][0, 0, 0, 0] == first
    with pytest.raises(ValueError, match="`1 <= split_ratio <= 19`, but got 20"):
        datasets.MovingMNIST(tmp_path, split_ratio=20)


def test_hdf5_datasets_name_the_missing_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(RuntimeError, match="h5py is not found"):
        datasets.PCAM(tmp_path)
    parts = {"x": np.stack([np.full((96, 96, 3), each, np.uint8) for each in (1, 2)]), "y": np.array([1, 0])}
    parts["y"] = parts["y"].reshape(2, 1, 1, 1)

    class File:
        def __init__(self, path: Path) -> None:
            self.kind = path.stem[-1]

        def __getitem__(self, name: str) -> np.ndarray:
            assert name == self.kind
            return parts[name]

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setitem(sys.modules, "h5py", types.SimpleNamespace(File=File))
    with pytest.raises(RuntimeError, match=r"PCAM: .*camelyonpatch_level_2_split_valid_x\.h5 does not exist"):
        datasets.PCAM(tmp_path, split="val")
    for kind in parts:
        write(tmp_path / "pcam" / f"camelyonpatch_level_2_split_valid_{kind}.h5", "")
    dataset = datasets.PCAM(tmp_path, split="val", transform=shade)
    assert [dataset[i] for i in range(len(dataset))] == [(1, 1), (2, 0)]
