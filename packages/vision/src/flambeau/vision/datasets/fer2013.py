"""FER2013: faces labelled with their expressions."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from ._published_files import by_hand, require
from .utils import verify_str_arg
from .vision import Transform, VisionDataset, as_image

_HOME = "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"
_USAGES = {"train": ("Training",), "test": ("PublicTest", "PrivateTest")}


class FER2013(VisionDataset):
    """Greyscale images of 48x48 pixels of faces, with seven expressions: 28,709 for training, 7,178 for testing.

    The label is None if only ``test.csv`` exists, which contains no labels.

    Args:
        root: the folder that contains ``fer2013``. That folder contains ``fer2013.csv``, ``icml_face_data.csv`` or
            the file of the split.
        split: ``"train"`` or ``"test"``.
        transform, target_transform: functions applied to each image and to each label.
    Raises: RuntimeError if the file is missing; ValueError for an unknown split.

    Source: Goodfellow et al. 2013, arXiv:1307.0414.

    >>> image, label = FER2013("data")[0]
    >>> image.size, label
    ((48, 48), 0)
    """

    root: str | Path

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
    ) -> None:
        self._split = verify_str_arg(split, "split", _USAGES)
        super().__init__(root, transform=transform, target_transform=target_transform)
        folder = Path(self.root) / "fer2013"
        whole = [folder / name for name in ("fer2013.csv", "icml_face_data.csv") if (folder / name).exists()]
        path = whole[0] if whole else folder / f"{split}.csv"
        require(self, [path], by_hand(_HOME))
        with open(path, newline="", encoding="utf-8") as file:
            # Some files have blanks before the column names.
            rows = [{name.strip(): field for name, field in row.items()} for row in csv.DictReader(file)]
        chosen = [row for row in rows if row.get("Usage", _USAGES[split][0]) in _USAGES[split]]
        self._samples = [(_pixels(row["pixels"]), int(row["emotion"]) if "emotion" in row else None) for row in chosen]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        pixels, label = self._samples[index]
        return self._transformed(as_image(pixels), label)

    def extra_repr(self) -> str:
        return f"split={self._split}"


def _pixels(text: str) -> np.ndarray:
    return np.array(text.split(), dtype=np.uint8).reshape(48, 48)
