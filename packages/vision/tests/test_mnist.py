from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision.datasets import MNIST
from flambeau.vision.datasets._idx import read_idx

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], dtype=np.uint8)


@pytest.mark.parametrize("folder", [".", "MNIST/raw"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_are_found_in_both_layouts_plain_and_gzipped(write_mnist, folder: str, packed: bool) -> None:
    root = write_mnist(IMAGES, LABELS, folder=folder, packed=packed)
    dataset = MNIST(root)
    assert (
        len(dataset) == 5 and dataset.data.tolist() == IMAGES.tolist() and dataset.targets.tolist() == LABELS.tolist()
    )
    assert (dataset.data.dtype, dataset.targets.dtype) == (fb.uint8, fb.int64)
    image, label = dataset[2]
    assert image.mode == "L" and (np.asarray(image) == IMAGES[2]).all() and label == 4 and type(label) is int


def test_training_and_test_split_are_separate(write_mnist) -> None:
    write_mnist(IMAGES, LABELS)
    root = write_mnist(IMAGES[:2], LABELS[:2], train=False)
    assert (len(MNIST(str(root))), len(MNIST(root, train=False))) == (5, 2)
    assert repr(MNIST(root, train=False)).splitlines()[1:] == [
        "    Number of datapoints: 2",
        f"    Root location: {root}",
        "    Split: Test",
    ]


def test_an_empty_mnist_split_can_be_read(write_mnist) -> None:
    assert len(MNIST(write_mnist(IMAGES[:0], LABELS[:0]))) == 0


def test_mnist_applies_transforms(write_mnist) -> None:
    root = write_mnist(IMAGES, LABELS)
    dataset = MNIST(root, transform=lambda image: image.getextrema(), target_transform=lambda label: label + 1)
    assert dataset[0] == ((IMAGES[0].min(), IMAGES[0].max()), 4)


def test_data_and_targets_can_be_replaced(write_mnist) -> None:
    dataset = MNIST(write_mnist(IMAGES, LABELS))
    dataset.data, dataset.targets = dataset.data[1:4].transpose(1, 2), dataset.targets[1:4]
    assert len(dataset) == 3 and (np.asarray(dataset[2][0]) == IMAGES[3].T).all() and dataset[2][1] == 1
    dataset.data = dataset.data.float() / 2
    assert dataset[0][0].mode == "F" and (np.asarray(dataset[0][0]) == IMAGES[1].T / 2).all()


@pytest.mark.parametrize(("former", "values"), [("data", IMAGES), ("labels", LABELS)])
def test_deprecated_attributes_of_mnist_warn_and_still_work(write_mnist, former: str, values: np.ndarray) -> None:
    dataset = MNIST(write_mnist(IMAGES, LABELS))
    for split in ("train", "test"):
        with pytest.warns(UserWarning, match=f"{split}_{former} has been renamed"):
            assert getattr(dataset, f"{split}_{former}").tolist() == values.tolist()


def test_the_error_names_a_missing_mnist_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"train-images-idx3-ubyte is neither in .* You can use download=True"):
        MNIST(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-1], "is truncated: 3935 bytes, where its header of shape [5, 28, 28] says 3936"),
        (lambda content: content + b"\0", "is too long: 3937 bytes"),
        (lambda content: content[:10], "is truncated: 10 bytes, fewer than its header of 16"),
        (lambda content: b"", "is not an idx file: it begins with the bytes (none)"),
        (lambda content: b"PK\3\4" + content[4:], "is not an idx file: it begins with the bytes 50 4b 03 04"),
        (lambda content: content[:4] + b"\xff" * 12 + content[16:], "is truncated"),
    ],
)
def test_the_error_names_a_damaged_mnist_file(write_mnist, packed: bool, change, message: str) -> None:
    root = write_mnist(IMAGES, LABELS)
    path = root / "train-images-idx3-ubyte"
    content = change(path.read_bytes())
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match=re.escape(f"{path} {message}")):
        MNIST(root)


@pytest.mark.parametrize(
    "change", [lambda packed: packed[:-20], lambda packed: packed[:30] + b"\xff" * 50 + packed[80:]]
)
def test_the_error_names_a_damaged_gzip_file(write_mnist, change) -> None:
    root = write_mnist(IMAGES, LABELS, packed=True)
    path = root / "train-images-idx3-ubyte.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=re.escape(f"{path} is a damaged or truncated gzip file")):
        MNIST(root)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:4], LABELS, "images-idx3-ubyte has 4 images, but .* has 5 labels"),
        (LABELS, LABELS, "images-idx3-ubyte should hold images .*, got uint8 in 1 dimensions"),
        (IMAGES, IMAGES, "labels-idx1-ubyte should hold labels"),
        (IMAGES, LABELS + 6, "labels-idx1-ubyte holds the label 11, but there are 10 classes"),
    ],
)
def test_errors_name_files_with_inconsistent_sizes(
    write_mnist, images: np.ndarray, labels: np.ndarray, message: str
) -> None:
    root = write_mnist(images, labels)
    with pytest.raises(ValueError, match=message):
        MNIST(root)


@pytest.mark.parametrize(("code", "dtype"), [(0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")])
def test_every_element_type_of_the_idx_format_is_read(tmp_path: Path, code: int, dtype: str) -> None:
    values = np.array([[1, -2, 3]], dtype=dtype)
    path = tmp_path / "file"
    path.write_bytes(bytes([0, 0, code, 2, 0, 0, 0, 1, 0, 0, 0, 3]) + values.tobytes())
    read = read_idx(path)
    assert read.dtype == np.dtype(dtype).newbyteorder("=") and read.tolist() == [[1, -2, 3]]


@pytest.fixture
def published(server, write_mnist, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Publish MNIST files on the local server, with two mirrors of which only the second has the files."""
    folder = write_mnist(IMAGES, LABELS, folder="published", packed=True) / "published"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    checksums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    server.files = {f"second/{name}": content for name, content in files.items()}
    monkeypatch.setattr(MNIST, "mirrors", (server.mirror("first"), server.mirror("second")))
    monkeypatch.setattr(MNIST, "resources", sorted(checksums.items()))
    return files


def test_download_fetches_each_file_once(published, server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    assert MNIST(root, download=True).data.tolist() == IMAGES.tolist()
    assert {path.name: path.read_bytes() for path in (root / "MNIST" / "raw").iterdir()} == published
    assert "train-images-idx3-ubyte.gz: 100%" in capsys.readouterr().err
    assert len(server.requests) == 4

    server.requests.clear()
    assert len(MNIST(root, download=True)) == 5
    assert server.requests == []  # existing files are not downloaded again


def test_download_fetches_only_missing_files(published, server, write_mnist) -> None:
    root = write_mnist(IMAGES, LABELS)
    (root / "train-labels-idx1-ubyte").unlink()
    assert len(MNIST(root, download=True)) == 5
    assert {name for name, _ in server.requests} == {
        "first/train-labels-idx1-ubyte.gz",
        "second/train-labels-idx1-ubyte.gz",
    }


def test_a_failed_download_names_every_mirror(published, server, tmp_path: Path) -> None:
    server.files = {}
    pattern = r"could not download train-images-idx3-ubyte.gz:\n.*first/.*404.*\n.*second/.*404"
    with pytest.raises(RuntimeError, match=pattern):
        MNIST(tmp_path / "root", download=True)
