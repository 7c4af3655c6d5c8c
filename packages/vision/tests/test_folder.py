from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import flambeau as fb
from flambeau.vision.datasets import DatasetFolder, FakeData, ImageFolder
from flambeau.vision.datasets.vision import VisionDataset

COLOURS = {"cat": (255, 0, 0), "dog": (0, 255, 0)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, colour in COLOURS.items():
        (tmp_path / name / "deeper").mkdir(parents=True)
        for file in ("1.png", "deeper/2.JPG", "deeper/3.bmp"):
            Image.new("RGB", (3, 2), colour).save(tmp_path / name / file)
        (tmp_path / name / "notes.txt").write_text("no image")
    return tmp_path


def test_image_folder_finds_classes_by_folder(root: Path) -> None:
    dataset = ImageFolder(root)
    assert dataset.classes == ["cat", "dog"] and dataset.class_to_idx == {"cat": 0, "dog": 1}
    assert len(dataset) == 6 and dataset.targets == [0, 0, 0, 1, 1, 1] and dataset.imgs is dataset.samples
    assert [Path(path).relative_to(root).as_posix() for path, _ in dataset.samples[:3]] == [
        "cat/1.png",
        "cat/deeper/2.JPG",
        "cat/deeper/3.bmp",
    ]
    image, label = dataset[3]
    assert (image.mode, image.size, image.getpixel((0, 0)), label) == ("RGB", (3, 2), (0, 255, 0), 1)


def test_image_folder_applies_transforms(root: Path) -> None:
    dataset = ImageFolder(str(root), transform=lambda image: image.size, target_transform=lambda label: -label)
    assert dataset[5] == ((3, 2), -1)


def test_image_folder_converts_grey_and_palette_images_to_rgb(root: Path) -> None:
    Image.new("L", (3, 2), 7).save(root / "cat" / "1.png")
    assert ImageFolder(root)[0][0].getpixel((0, 0)) == (7, 7, 7)


def test_is_valid_file_selects_files(root: Path) -> None:
    dataset = ImageFolder(root, is_valid_file=lambda path: path.endswith(".png"))
    assert len(dataset) == 2
    texts = DatasetFolder(root, loader=lambda path: Path(path).read_text(), extensions=(".txt",))
    assert texts[1] == ("no image", 1)


def test_folders_without_files_are_an_error_unless_allowed(root: Path) -> None:
    (root / "bird").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no valid file for the classes bird. Supported extensions are: .jpg"):
        ImageFolder(root)
    dataset = ImageFolder(root, allow_empty=True)
    assert dataset.classes == ["bird", "cat", "dog"] and len(dataset) == 6


def test_errors_name_missing_folders_and_arguments(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"Couldn't find any class folder in .*cat/deeper"):
        ImageFolder(root / "cat" / "deeper")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ImageFolder(root / "nowhere")
    with pytest.raises(ValueError, match="Both extensions and is_valid_file cannot be None"):
        DatasetFolder(root, loader=str)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n", None])
def test_the_error_names_a_damaged_image(root: Path, content: bytes | None) -> None:
    path = root / "cat" / "1.png"
    path.write_bytes(path.read_bytes()[:45] if content is None else content)
    with pytest.raises(OSError, match=r"cat/1.png"):
        ImageFolder(root)[0]


def test_the_error_names_an_image_that_was_deleted(root: Path) -> None:
    dataset = ImageFolder(root)
    (root / "cat" / "1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"cat/1.png"):
        dataset[0]


def test_fake_data_is_deterministic_per_index() -> None:
    dataset = FakeData(size=5, image_size=(3, 8, 6), num_classes=4)
    state = fb.get_rng_state()
    first = [(image.tobytes(), label) for image, label in dataset]
    assert len(first) == 5 and len(set(first)) == 5 and {label for _, label in first} <= set(range(4))
    assert (fb.get_rng_state() == state).all()
    assert [(image.tobytes(), label) for image, label in FakeData(5, (3, 8, 6), 4)] == first
    assert dataset[-1][0].tobytes() == first[4][0]
    assert FakeData(5, (3, 8, 6), 4, random_offset=1)[0][0].tobytes() == first[1][0]
    assert FakeData(1, (1, 8, 6))[0][0].mode == "L"
    with pytest.raises(IndexError, match="index 5 is out of range: there are 5 images"):
        dataset[5]
    with pytest.raises(ValueError, match=r"1 or 3 channels, got \(2, 8, 6\)"):
        FakeData(1, (2, 8, 6))


def test_vision_dataset_requires_a_subclass_and_one_kind_of_transform(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Only transforms or transform/target_transform"):
        VisionDataset(tmp_path, transforms=lambda x, y: (x, y), transform=str)
    with pytest.raises(NotImplementedError, match="VisionDataset must define __getitem__"):
        VisionDataset(tmp_path)[0]
    with pytest.raises(NotImplementedError, match="VisionDataset must define __len__"):
        len(VisionDataset(tmp_path))
