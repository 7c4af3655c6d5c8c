"""GTSRB: photographs of German traffic signs."""

from __future__ import annotations

import csv
from pathlib import Path

from ._listed_images import ListedImages
from ._published_files import Published, provide
from .folder import make_dataset
from .utils import verify_str_arg
from .vision import Transform

_SITE = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
_FILES = {
    "train": [Published(f"{_SITE}GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478")],
    "test": [
        Published(f"{_SITE}GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185"),
        Published(f"{_SITE}GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5"),
    ],
}


class GTSRB(ListedImages):
    """Photographs of traffic signs in 43 classes: 26,640 for training, 12,630 for testing.

    Args:
        root: the folder that contains ``gtsrb``.
        split: ``"train"`` or ``"test"``.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download and unpack the archive if it is missing.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split.

    Source: Stallkamp et al. 2012, Man vs. computer: Benchmarking machine learning algorithms.

    >>> image, label = GTSRB("data", split="test", download=True)[0]
    >>> label
    16
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform)
        self._split = verify_str_arg(split, "split", _FILES)
        folder = Path(self.root) / "gtsrb"
        images = folder / "GTSRB" / ("Training" if split == "train" else "Final_Test/Images")
        labels = folder / "GT-final_test.csv"
        provide(self, [images] if split == "train" else [images, labels], folder, _FILES[split], download)
        if split == "train":
            self._list(make_dataset(str(images), extensions=(".ppm",)))
            return
        with open(labels, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, delimiter=";", skipinitialspace=True)
            self._list([(str(images / row["Filename"]), int(row["ClassId"])) for row in rows])
