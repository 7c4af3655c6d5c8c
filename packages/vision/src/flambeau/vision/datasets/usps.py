"""USPS: handwritten digits from envelopes."""

from __future__ import annotations

import bz2
from pathlib import Path
from typing import ClassVar

import numpy as np

from ._listed_images import ArrayImages
from ._published_files import Published, provide
from .vision import Transform

_SITE = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"


class USPS(ArrayImages):
    """Handwritten digits from envelopes, 16x16 pixels: 7,291 for training, 2,007 for testing.

    ``data`` is a uint8 array (N, 16, 16), ``targets`` a list of ints.

    Args:
        root: the folder of ``usps.bz2`` and ``usps.t.bz2``.
        train: True for the training images, False for the test images.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download the file if it is missing.
    Raises: RuntimeError if the file is missing.

    Source: Hull 1994, A database for handwritten text recognition research.

    >>> image, label = USPS("data", train=False, download=True)[0]
    >>> image.size, label
    ((16, 16), 0)
    """

    split_list: ClassVar[dict[str, list[str]]] = {
        "train": [f"{_SITE}usps.bz2", "usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197"],
        "test": [f"{_SITE}usps.t.bz2", "usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118"],
    }

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        url, name, md5 = self.split_list["train" if train else "test"]
        path = Path(self.root) / name
        provide(self, [path], self.root, [Published(url, md5, unpack=False)], download)
        with bz2.open(path, "rt", encoding="ascii") as file:
            rows = [line.split() for line in file]
        # A line contains the label, counted from 1, and `number:value` for each pixel, with values from -1 to 1.
        pixels = [[value.rpartition(":")[2] for value in values] for _, *values in rows]
        self.data = ((np.asarray(pixels, dtype=np.float32).reshape(-1, 16, 16) + 1) / 2 * 255).astype(np.uint8)
        self.targets = self.labels = [int(label) - 1 for label, *_ in rows]
