"""Datasets of images with a class each, from small folders that are laid out as the published ones."""

from __future__ import annotations

import bz2
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from PIL import Image
from scipy import io

from flambeau.vision import datasets


def paint(path: Path, shade: int) -> None:
    """Write an 8x6 image of one shade as PNG, whatever the file's extension."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (shade, shade, shade)).save(path, "PNG")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def save_mat(path: Path, **content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    io.savemat(path, content)


def svhn(root: Path) -> None:
    images = np.full((32, 32, 3, 2), 7, np.uint8) + np.array([0, 1], np.uint8)
    save_mat(root / "test_32x32.mat", X=images, y=np.array([[10], [3]]))


def stl10(root: Path) -> None:
    folder = root / "stl10_binary"
    folder.mkdir()
    for part, shades in (("train", (1, 2, 3)), ("unlabeled", (8,))):
        np.concatenate([np.full(3 * 96 * 96, shade, np.uint8) for shade in shades]).tofile(folder / f"{part}_X.bin")
    np.array([4, 5, 6], np.uint8).tofile(folder / "train_y.bin")
    write(folder / "fold_indices.txt", "2 0\n1\n")
    write(folder / "class_names.txt", "airplane\nbird\n")


def usps(root: Path) -> None:
    lines = [
        f"{label} " + " ".join(f"{number}:{value}" for number in range(1, 257)) for label, value in ((1, -1), (10, 1))
    ]
    (root / "usps.t.bz2").write_bytes(bz2.compress("\n".join(lines).encode()))


def semeion(root: Path) -> None:
    rows = [np.concatenate([np.full(256, shade), np.eye(10)[label]]) for shade, label in ((0, 3), (1, 9))]
    np.savetxt(root / "semeion.data", rows, fmt="%g")


def flowers102(root: Path) -> None:
    folder = root / "flowers-102"
    for number in (1, 2, 3):
        paint(folder / "jpg" / f"image_{number:05d}.jpg", number)
    save_mat(folder / "imagelabels.mat", labels=np.array([[77, 1, 102]]))
    save_mat(folder / "setid.mat", trnid=np.array([[3, 1]]), valid=np.array([[2]]), tstid=np.array([[1]]))


def food101(root: Path) -> None:
    for number, name in enumerate(("waffles/1", "waffles/2", "pizza/3")):
        paint(root / "food-101" / "images" / f"{name}.jpg", number)
    listing = {"waffles": ["waffles/1", "waffles/2"], "pizza": ["pizza/3"]}
    write(root / "food-101" / "meta" / "train.json", json.dumps(listing))


def dtd(root: Path) -> None:
    paint(root / "dtd/dtd/images/woven/a.jpg", 1)
    paint(root / "dtd/dtd/images/dotted/b.jpg", 2)
    write(root / "dtd/dtd/labels/val3.txt", "woven/a.jpg\ndotted/b.jpg\n")


def fgvc_aircraft(root: Path) -> None:
    data = root / "fgvc-aircraft-2013b" / "data"
    paint(data / "images" / "001.jpg", 1)
    paint(data / "images" / "002.jpg", 2)
    write(data / "families.txt", "A300\nBoeing 707\n")
    write(data / "images_family_test.txt", "002 Boeing 707\n001 A300\n")


def stanford_cars(root: Path) -> None:
    folder = root / "stanford_cars"
    for number in (1, 2):
        paint(folder / "cars_train" / f"{number}.jpg", number)
    save_mat(folder / "devkit" / "cars_meta.mat", class_names=np.array([["AM General", "Acura RL"]], dtype=object))
    kind = [("class", "O"), ("fname", "O")]
    annotations = np.array([[(2, "1.jpg"), (1, "2.jpg")]], dtype=kind)
    save_mat(folder / "devkit" / "cars_train_annos.mat", annotations=annotations)


def gtsrb(root: Path) -> None:
    paint(root / "gtsrb/GTSRB/Training/00000/a.ppm", 1)
    paint(root / "gtsrb/GTSRB/Training/00001/b.ppm", 2)
    paint(root / "gtsrb/GTSRB/Final_Test/Images/00000.ppm", 3)
    write(root / "gtsrb/GT-final_test.csv", "Filename;Width;ClassId\n00000.ppm;53;16\n")


def eurosat(root: Path) -> None:
    paint(root / "eurosat/2750/Forest/a.jpg", 1)
    paint(root / "eurosat/2750/River/a.jpg", 2)


def country211(root: Path) -> None:
    paint(root / "country211/valid/AD/a.jpg", 1)
    paint(root / "country211/valid/ZW/a.jpg", 2)


def sun397(root: Path) -> None:
    write(root / "SUN397/ClassName.txt", "/a/abbey\n/b/bazaar/indoor\n")
    paint(root / "SUN397/a/abbey/sun_a.jpg", 1)
    paint(root / "SUN397/b/bazaar/indoor/sun_b.jpg", 2)


def rendered_sst2(root: Path) -> None:
    paint(root / "rendered-sst2/valid/negative/1.png", 1)
    paint(root / "rendered-sst2/valid/positive/2.png", 2)


def clevr(root: Path) -> None:
    folder = root / "clevr/CLEVR_v1.0"
    for part in ("train", "test"):
        paint(folder / "images" / part / "a.png", 1)
        paint(folder / "images" / part / "b.png", 2)
    scenes = [{"image_filename": "b.png", "objects": [0]}, {"image_filename": "a.png", "objects": [0, 0, 0]}]
    write(folder / "scenes/CLEVR_train_scenes.json", json.dumps({"scenes": scenes}))


def places365(root: Path) -> None:
    write(root / "categories_places365.txt", "/a/airfield 0\n/a/abbey 1\n")
    write(root / "places365_train_standard.txt", "/a/abbey/1.jpg 1\n/a/airfield/2.jpg 0\n")
    write(root / "places365_test.txt", "3.jpg\n")
    paint(root / "data_256_standard/a/abbey/1.jpg", 1)
    paint(root / "data_256_standard/a/airfield/2.jpg", 2)
    paint(root / "test_large/3.jpg", 3)


def omniglot(root: Path) -> None:
    for number, name in enumerate(("Greek/character01/1", "Greek/character02/1", "Latin/character01/1"), 1):
        paint(root / "omniglot-py/images_background" / f"{name}.png", number)
    write(root / "omniglot-py/images_background.zip", "")


def imagenette(root: Path) -> None:
    paint(root / "imagenette2-160/val/n01440764/a.jpeg", 1)
    paint(root / "imagenette2-160/val/n03888257/b.jpeg", 2)


def caltech101(root: Path) -> None:
    folder = root / "caltech101"
    for number, name in enumerate(("Faces/image_0001", "ant/image_0001", "ant/image_0002"), 1):
        paint(folder / "101_ObjectCategories" / f"{name}.jpg", number)
    paint(folder / "101_ObjectCategories/BACKGROUND_Google/image_0001.jpg", 9)
    outline = np.arange(6.0).reshape(2, 3)
    save_mat(folder / "Annotations/Faces_2/annotation_0001.mat", obj_contour=outline)
    for number in (1, 2):
        save_mat(folder / f"Annotations/ant/annotation_{number:04d}.mat", obj_contour=outline + number)


def caltech256(root: Path) -> None:
    for number, name in enumerate(("001.ak47/001_0001", "002.flag/002_0001", "002.flag/002_0002"), 1):
        paint(root / "caltech256/256_ObjectCategories" / f"{name}.jpg", number)
    write(root / "caltech256/256_ObjectCategories/002.flag/greg", "")


def fer2013(root: Path) -> None:
    pixels = [" ".join([str(shade)] * 48 * 48) for shade in (1, 2, 3)]
    usages = ("Training", "PublicTest", "PrivateTest")
    rows = [f"{label},{usage},{row}" for label, (usage, row) in enumerate(zip(usages, pixels, strict=True))]
    write(root / "fer2013/icml_face_data.csv", "\n".join(["emotion, Usage, pixels", *rows]))


def imagenet(root: Path) -> None:
    import flambeau as fb

    fb.save(({"n01": ("tench", "Tinca tinca"), "n02": ("goldfish",)}, ["n02", "n01"]), root / "meta.bin")
    paint(root / "val/n01/a.JPEG", 1)
    paint(root / "val/n02/b.JPEG", 2)


def lfw(root: Path) -> None:
    for number, name in enumerate(("Ann/Ann_0001", "Ann/Ann_0002", "Bob/Bob_0001"), 1):
        paint(root / "lfw-py/lfw_funneled" / f"{name}.jpg", number)
    write(root / "lfw-py/lfw-names.txt", "Ann\t2\nBob\t1\n")
    write(root / "lfw-py/people.txt", "2\n1\nBob\t1\n1\nAnn\t2\n")
    write(root / "lfw-py/peopleDevTest.txt", "1\nAnn\t2\n")
    write(root / "lfw-py/lfw-funneled.tgz", "")


Case = tuple[str, Callable[[Path], None], dict[str, Any], list[tuple[int, Any]]]

CASES: list[Case] = [
    ("SVHN", svhn, {"split": "test"}, [(7, 0), (8, 3)]),
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
def test_images_and_their_classes(
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
def test_what_is_not_there_is_named(name: str, options: dict, tmp_path: Path) -> None:
    kind = getattr(datasets, name)
    with pytest.raises(RuntimeError, match=r"^Dataset not found\. \w+: .* is not there|^The archive ILSVRC2012_devkit"):
        kind(tmp_path, **options)


@pytest.mark.parametrize("name", [name for name, _, options, _ in CASES if "split" in options])
def test_another_split_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Unknown value 'holdout' for argument split\. Valid values are \{'"):
        getattr(datasets, name)(tmp_path, split="holdout")


def test_names_of_classes(tmp_path: Path) -> None:
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
    assert datasets.STL10(tmp_path).classes == ["airplane", "bird"]
    small = datasets.Imagenette(tmp_path, split="val", size="160px")
    assert small.wnids == ["n01440764", "n03888257"] and small.class_to_idx["chute"] == 1
    large = datasets.ImageNet(tmp_path, split="val")
    assert large.wnids == ["n01", "n02"] and large.classes == [("tench", "Tinca tinca"), ("goldfish",)]
    assert large.class_to_idx == {"tench": 0, "Tinca tinca": 0, "goldfish": 1} and large.wnid_to_idx["n02"] == 1
    assert datasets.LFWPeople(tmp_path).class_to_idx == {"Ann": 0, "Bob": 1}


def test_pairs_of_faces(tmp_path: Path) -> None:
    lfw(tmp_path)
    write(tmp_path / "lfw-py/pairs.txt", "1\t1\nAnn\t1\t2\nAnn\t2\tBob\t1\n")
    pairs = datasets.LFWPairs(tmp_path, transform=shade)
    assert [pairs[i] for i in range(2)] == [(1, 2, 1), (2, 3, 0)]
    assert pairs.pair_names == [("Ann", "Ann"), ("Ann", "Bob")]
    with pytest.raises(ValueError, match="no longer available"):
        datasets.LFWPairs(tmp_path, download=True)


def test_outlines_of_objects(tmp_path: Path) -> None:
    caltech101(tmp_path)
    _, (label, outline) = datasets.Caltech101(tmp_path, target_type=["category", "annotation"])[0]
    assert label == 0 and outline.tolist() == [[0, 1, 2], [3, 4, 5]]
    _, outline = datasets.Caltech101(tmp_path, target_type="annotation")[2]
    assert outline[0, 0] == 2


def test_moving_digits(tmp_path: Path) -> None:
    frames = np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None, None, None], (20, 3, 64, 64))
    (tmp_path / "MovingMNIST").mkdir()
    np.save(tmp_path / "MovingMNIST/mnist_test_seq.npy", frames)
    for split, first, count in ((None, 0, 20), ("train", 0, 15), ("test", 15, 5)):
        dataset = datasets.MovingMNIST(tmp_path, split=split, split_ratio=15)
        assert len(dataset) == 3 and tuple(dataset[0].shape) == (count, 1, 64, 64) and dataset[1][0, 0, 0, 0] == first
    with pytest.raises(ValueError, match="`1 <= split_ratio <= 19`, but got 20"):
        datasets.MovingMNIST(tmp_path, split_ratio=20)


def test_files_of_hdf5_need_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    with pytest.raises(RuntimeError, match=r"PCAM: .*camelyonpatch_level_2_split_valid_x\.h5 is not there"):
        datasets.PCAM(tmp_path, split="val")
    for kind in parts:
        write(tmp_path / "pcam" / f"camelyonpatch_level_2_split_valid_{kind}.h5", "")
    dataset = datasets.PCAM(tmp_path, split="val", transform=shade)
    assert [dataset[i] for i in range(len(dataset))] == [(1, 1), (2, 0)]
