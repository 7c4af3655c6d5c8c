from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import pickletools
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flambeau.vision.datasets import CIFAR10, CIFAR100
from flambeau.vision.datasets._cifar_pickles import read_pickle

RNG = np.random.default_rng(0)
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
COUNT = 3


def batch(number: int) -> dict[str, Any]:
    return {
        "batch_label": f"batch {number}",
        "labels": [number, 9, 0],
        "data": np.random.default_rng(number).integers(0, 256, (COUNT, 3072), dtype=np.uint8),
        "filenames": ["a.png", "b.png", "c.png"],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write CIFAR-10 with three images per file, pickled by Python 3."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for number in range(1, 6):
        (folder / f"data_batch_{number}").write_bytes(pickle.dumps(batch(number), protocol=2))
    (folder / "test_batch").write_bytes(pickle.dumps(batch(6), protocol=4))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": NAMES}, protocol=2))
    return folder


def test_cifar10_concatenates_its_batch_files(folder: Path) -> None:
    dataset = CIFAR10(folder.parent)
    assert len(dataset) == 5 * COUNT and dataset.data.shape == (15, 32, 32, 3)
    assert dataset.targets == [1, 9, 0, 2, 9, 0, 3, 9, 0, 4, 9, 0, 5, 9, 0]
    image, label = dataset[3]
    assert (image.mode, image.size, label) == ("RGB", (32, 32), 2)
    expected = batch(2)["data"][0].reshape(3, 32, 32).transpose(1, 2, 0)
    np.testing.assert_array_equal(np.asarray(image), expected)
    assert dataset.classes == NAMES and dataset.class_to_idx["bird"] == 2
    assert len(CIFAR10(str(folder.parent), train=False)) == COUNT


def test_cifar10_applies_transforms_and_shows_them_in_its_repr(folder: Path) -> None:
    dataset = CIFAR10(folder.parent, train=False, transform=np.asarray, target_transform=str)
    image, label = dataset[0]
    assert isinstance(image, np.ndarray) and label == "6"
    assert repr(dataset).splitlines() == [
        "Dataset CIFAR10",
        "    Number of datapoints: 3",
        f"    Root location: {folder.parent}",
        "    Split: Test",
        "    StandardTransform",
        f"Transform: {np.asarray!r}",
        f"Target transform: {str!r}",
    ]


def test_cifar100_reads_fine_labels(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    content = {"data": batch(0)["data"], "fine_labels": [99, 0, 50], "coarse_labels": [0, 1, 2]}
    (folder / "train").write_bytes(pickle.dumps(content))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"class {n}" for n in range(100)]}))
    dataset = CIFAR100(tmp_path)
    assert dataset.targets == [99, 0, 50] and dataset.classes[99] == "class 99"


def test_the_published_files_are_read(shared_data: Path) -> None:
    train, test = CIFAR10(shared_data), CIFAR10(shared_data, train=False)
    assert train.classes == NAMES and len(train) % 5 == 0 and train.data.shape[1:] == (32, 32, 3)
    assert train.targets[:5] == [6, 9, 9, 4, 1] and test.targets[:5] == [3, 8, 8, 0, 6]  # frog, truck, truck, ...
    assert train.data[0, 0, 0].tolist() == [59, 62, 63]


def test_the_error_names_a_missing_cifar_file(folder: Path) -> None:
    (folder / "data_batch_3").unlink()
    with pytest.raises(RuntimeError, match=r"data_batch_3 is not in .* You can use download=True"):
        CIFAR10(folder.parent)


class Hostile:
    """Object that creates a folder when Python's pickle module loads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_would_run_code_is_rejected(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    content = batch(1) | {"labels": Hostile(made)}
    (folder / "data_batch_1").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=r"data_batch_1 .*: it asks for posix.mkdir, which is not allowed"):
        CIFAR10(folder.parent)
    assert not made.exists()


@pytest.mark.parametrize("name", ["builtins\neval", "numpy\nload", "numpy._core.multiarray\nscalar", "_codecs\ndecode"])
def test_read_pickle_allows_only_the_names_of_numpy_arrays(tmp_path: Path, name: str) -> None:
    path = tmp_path / "batch"
    path.write_bytes(f"c{name}\n(X\x01\x00\x00\x00xtR.".encode())
    with pytest.raises(ValueError, match=re.escape(name.replace("\n", "."))):
        read_pickle(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": None}, r"an array of shape \[N, 3072\] as 'data', got NoneType"),
        ({"data": np.zeros((3, 3071), np.uint8)}, r"as 'data', got an array of shape \[3, 3071\]"),
        ({"data": np.zeros((3, 3072), np.float32)}, "its array does not hold uint8 in C order"),
        ({"labels": [1, 2]}, "holds 3 images, but 2 labels"),
        ({"labels": [1, 2, "3"]}, "does not hold a list of integers 'labels'"),
        ({"labels": [1, 2, 10]}, "holds labels from 1 to 10, but there are 10 classes"),
        ({"labels": [-1, 2, 1]}, "holds labels from -1 to 2"),
    ],
)
def test_errors_name_files_with_inconsistent_content(folder: Path, change: dict[str, Any], message: str) -> None:
    (folder / "test_batch").write_bytes(pickle.dumps(batch(1) | change))
    with pytest.raises(ValueError, match=r"test_batch .*" + message):
        CIFAR10(folder.parent, train=False)


def test_any_damage_raises_an_error_that_names_the_file(tmp_path: Path) -> None:
    """Check truncated files, and files in which bytes are replaced by pickle opcodes."""
    content = pickle.dumps({"labels": [1], "data": np.zeros((1, 4), np.uint8)}, protocol=2)
    path = tmp_path / "batch"
    damaged = [content[:length] for length in range(len(content))]
    codes = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]
    places = range(0, len(content), 3)
    damaged += [content[:at] + code + content[at + 1 :] for at in places for code in codes[at % 7 :: 7]]
    rejected = 0
    for candidate in damaged:
        path.write_bytes(candidate)
        with contextlib.suppress(ValueError):
            read_pickle(path)
            continue
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read_pickle(path)
        rejected += 1
    assert rejected > 0.7 * len(damaged)


def archive(folder: Path, leave_out: str = "") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for path in sorted(folder.iterdir()):
            if path.name != leave_out:
                packed.add(path, f"{folder.name}/{path.name}")
    return content.getvalue()


def publish(server: Any, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["cifar.tar.gz"] = content
    monkeypatch.setattr(CIFAR10, "url", f"{server.url}/cifar.tar.gz")
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(content).hexdigest())


def test_download_fetches_the_archive_once(
    server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, archive(folder), monkeypatch)
    root = tmp_path / "root"
    assert len(CIFAR10(root, download=True)) == 15
    assert {path.name for path in root.iterdir()} == {"cifar-10-batches-py", "cifar-10-python.tar.gz"}
    assert sorted(path.name for path in (root / folder.name).iterdir()) == sorted(p.name for p in folder.iterdir())
    assert len(CIFAR10(root, train=False, download=True)) == 3 and len(server.requests) == 1


def test_the_error_names_a_file_that_the_archive_lacks(server, folder: Path, tmp_path: Path, monkeypatch) -> None:
    publish(server, archive(folder, leave_out="test_batch"), monkeypatch)
    with pytest.raises(
        RuntimeError, match=r"cifar-10-python.tar.gz is damaged or is not the archive of CIFAR10.*test_batch"
    ):
        CIFAR10(tmp_path / "root", download=True)


def test_the_error_names_a_download_that_is_not_an_archive(server, folder: Path, tmp_path: Path, monkeypatch) -> None:
    publish(server, b"not an archive", monkeypatch)
    with pytest.raises(RuntimeError, match=r"cifar-10-python.tar.gz is damaged or is not the archive of CIFAR10"):
        CIFAR10(tmp_path / "root", download=True)


def test_an_archive_with_a_wrong_checksum_is_removed(server, folder: Path, tmp_path: Path, monkeypatch) -> None:
    publish(server, archive(folder), monkeypatch)
    monkeypatch.setattr(CIFAR10, "tgz_md5", "0" * 32)
    with pytest.raises(RuntimeError, match=f"expected MD5 {'0' * 32}"):
        CIFAR10(tmp_path / "root", download=True)
    assert list((tmp_path / "root").iterdir()) == []
