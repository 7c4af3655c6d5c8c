"""Handwritten digits of the UCI repository, which this package contains."""

from __future__ import annotations

import gzip
import importlib.resources
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import flambeau as fb

from .vision import Transform, VisionDataset, as_image

_TRAIN_SIZE = 1437
_SPLIT_SEED = 0
_LARGEST_COUNT = 16


class Digits(VisionDataset):
    """1,797 handwritten digits of 8x8 pixels. They are included in this package, so no download is needed.

    In the order of ``numpy.random.RandomState(0).permutation(1797)``, which NumPy guarantees never to change, the first
    1,437 images are for training and the other 360 images are for testing. The published pixels are counts from 0 to
    16. They are scaled to 0..255 (``count * 255 / 16``, rounded), like the pixels of other images. ``data`` (N, 8, 8)
    is uint8, ``targets`` (N,) is int64.

    Args:
        root: ignored. It exists so that Digits has the same arguments as MNIST.
        train: True for the training images, False for the test images.
        transform, target_transform: functions applied to each image and to each label.

    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
    doi:10.24432/C50P49, CC BY 4.0.

    >>> dataset = Digits(train=False)
    >>> image, label = dataset[0]
    >>> len(dataset), image.mode, image.size, label
    (360, 'L', (8, 8), 7)
    """

    classes: Sequence[str] = list("0123456789")

    def __init__(
        self,
        root: str | Path | None = None,
        train: bool = True,
        transform: Transform = None,
        target_transform: Transform = None,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        rows = _read()
        order = np.random.RandomState(_SPLIT_SEED).permutation(len(rows))
        rows = rows[order[:_TRAIN_SIZE] if train else order[_TRAIN_SIZE:]]
        counts = rows[:, :-1].reshape(-1, 8, 8)
        self.data = fb.from_numpy(np.rint(counts * (255 / _LARGEST_COUNT)).astype(np.uint8))
        self.targets = fb.from_numpy(rows[:, -1].astype(np.int64))

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(as_image(self.data[index]), int(self.targets[index]))

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Dictionary that maps the name of each class to its index."""
        return {name: number for number, name in enumerate(self.classes)}


def _read() -> np.ndarray:
    """Read the published table: 64 counts and the digit in each row."""
    packed = importlib.resources.files(__package__).joinpath("data", "digits.csv.gz").read_bytes()
    return np.loadtxt(gzip.decompress(packed).decode("ascii").splitlines(), delimiter=",", dtype=np.uint8)
