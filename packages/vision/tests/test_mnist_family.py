from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision.datasets import EMNIST, KMNIST, MNIST, QMNIST, FashionMNIST

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], dtype=np.uint8)


@pytest.mark.parametrize("kind", [FashionMNIST, KMNIST])
def test_each_dataset_has_a_separate_folder(write_mnist, kind: type[MNIST]) -> None:
    root = write_mnist(IMAGES, LABELS, folder=f"{kind.__name__}/raw")
    write_mnist(IMAGES[:1], LABELS[:1], folder="MNIST/raw")
    dataset = kind(root)
    assert len(dataset) == 5 and dataset[0][1] == 3 and len(dataset.classes) == len(dataset.class_to_idx) == 10
    assert repr(dataset).startswith(f"Dataset {kind.__name__}\n")
    assert dataset.classes != MNIST.classes


def test_the_published_files_are_read(shared_data: Path) -> None:
    train, test = MNIST(shared_data / "mnist"), MNIST(shared_data / "mnist", train=False)
    assert train.targets[:6].tolist() == [5, 0, 4, 1, 9, 2] and test.targets[:6].tolist() == [7, 2, 1, 0, 4, 1]
    assert len(test) == 10_000 and round(float(test.data.double().mean()), 3) == 33.791
    assert train.classes[train[0][1]] == "5 - five"


@pytest.mark.parametrize(
    ("split", "count"), [("byclass", 62), ("bymerge", 47), ("balanced", 47), ("letters", 27), ("digits", 10)]
)
def test_emnist_reads_each_split(write_idx, tmp_path: Path, split: str, count: int) -> None:
    write_idx(tmp_path / f"EMNIST/raw/emnist-{split}-test-images-idx3-ubyte", IMAGES)
    write_idx(tmp_path / f"EMNIST/raw/emnist-{split}-test-labels-idx1-ubyte", LABELS)
    dataset = EMNIST(tmp_path, split, train=False)
    assert len(dataset) == 5 and len(dataset.classes) == count
    with pytest.raises(RuntimeError, match=f"Dataset not found. EMNIST: emnist-{split}-train-images"):
        EMNIST(tmp_path, split)


def test_emnist_has_six_splits(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Unknown value 'all' for argument split"):
        EMNIST(tmp_path, "all")


def test_emnist_comes_in_one_archive(server, write_idx, tmp_path: Path, monkeypatch) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, array in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
            path = write_idx(tmp_path / name, array)
            packed.writestr(f"gzip/emnist-digits-train-{name}-ubyte.gz", gzip.compress(path.read_bytes()))
    server.files["gzip.zip"] = content.getvalue()
    monkeypatch.setattr(EMNIST, "url", f"{server.url}/gzip.zip")
    monkeypatch.setattr(EMNIST, "md5", hashlib.md5(content.getvalue()).hexdigest())
    root = tmp_path / "root"
    assert EMNIST(root, "digits", download=True).targets.tolist() == LABELS.tolist()
    assert sorted(path.name for path in (root / "EMNIST" / "raw").iterdir()) == [
        "emnist-digits-train-images-idx3-ubyte.gz",
        "emnist-digits-train-labels-idx1-ubyte.gz",
    ]
    EMNIST(root, "digits", download=True)
    assert len(server.requests) == 1


def test_qmnist_returns_the_digit_or_the_complete_label(write_idx, tmp_path: Path) -> None:
    known = np.stack([LABELS, *RNG.integers(0, 9, (7, 5))], axis=1).astype(np.int32)
    write_idx(tmp_path / "qmnist-train-images-idx3-ubyte", IMAGES)
    labels = write_idx(tmp_path / "qmnist-train-labels-idx2-int", known, code=0x0C)
    assert [QMNIST(tmp_path)[n][1] for n in range(5)] == LABELS.tolist()
    full = QMNIST(tmp_path, compat=False)[2][1]
    assert full.dtype is fb.int64 and full.tolist() == known[2].tolist()
    assert "Split: train" in repr(QMNIST(tmp_path))

    write_idx(tmp_path / "xnist-images-idx3-ubyte", IMAGES)
    (tmp_path / "xnist-labels-idx2-int.xz").write_bytes(lzma.compress(labels.read_bytes()))
    assert len(QMNIST(tmp_path, what="nist")) == 5
    (tmp_path / "xnist-labels-idx2-int.xz").write_bytes(lzma.compress(labels.read_bytes())[:-20])
    with pytest.raises(ValueError, match=r"xnist-labels-idx2-int.xz is a damaged or truncated xz file"):
        QMNIST(tmp_path, what="nist")
    with pytest.raises(ValueError, match=re.escape("Unknown value 'more' for argument what")):
        QMNIST(tmp_path, what="more")
