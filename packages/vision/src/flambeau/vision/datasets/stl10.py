"""STL-10: photographs in ten classes, most of them without a label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._listed_images import ArrayImages
from ._published_files import Published, lines_of, provide
from .utils import verify_str_arg
from .vision import Transform

if TYPE_CHECKING:
    from PIL import Image

_ARCHIVE = Published("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz", "91f7769df0f17e558f3565bffb0c7dfb")


class STL10(ArrayImages):
    """Photographs of 96x96 pixels in ten classes: 5,000 for training, 8,000 for testing, 100,000 without a label.

    ``data`` is a uint8 array (N, 3, 96, 96), ``labels`` an array of numbers, -1 for images without a label.

    Args:
        root: the folder that contains ``stl10_binary``.
        split: ``"train"``, ``"test"``, ``"unlabeled"`` or ``"train+unlabeled"``.
        folds: number (0 to 9) of one of the predefined subsets of 1,000 training images; None for all images.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download and unpack the archive if a file is missing.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split or fold.

    Source: Coates, Lee, Ng 2011, An Analysis of Single Layer Networks in Unsupervised Feature Learning.

    >>> dataset = STL10("data", download=True)
    >>> image, label = dataset[0]
    >>> image.size, dataset.classes[label]
    ((96, 96), 'cat')
    """

    base_folder = "stl10_binary"
    splits = ("train", "train+unlabeled", "unlabeled", "test")

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        folds: int | None = None,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", self.splits)
        if folds is not None and not isinstance(folds, int):
            raise ValueError(f"Expected type None or int for argument folds, but got type {type(folds)}.")
        if folds is not None and folds not in range(10):
            raise ValueError(f"Value for argument folds should be in the range [0, 10), but got {folds}.")
        self.folds = folds
        parts = split.split("+")
        self._folder = Path(self.root) / self.base_folder
        files = [f"{part}_{kind}.bin" for part in parts for kind in ("X", "y") if (part, kind) != ("unlabeled", "y")]
        provide(self, [self._folder / name for name in files], self.root, [_ARCHIVE], download)
        loaded = [self._load(part) for part in parts]
        self.data = np.concatenate([images for images, _ in loaded])
        self.labels = np.concatenate([labels for _, labels in loaded])
        names = self._folder / "class_names.txt"
        if names.is_file():
            self.classes = lines_of(names)

    def _load(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        stored = np.fromfile(self._folder / f"{part}_X.bin", dtype=np.uint8).reshape(-1, 3, 96, 96)
        images = stored.transpose(0, 1, 3, 2)  # the file stores images by columns
        if part == "unlabeled":
            return images, np.full(len(images), -1)
        labels = np.fromfile(self._folder / f"{part}_y.bin", dtype=np.uint8).astype(np.int64) - 1
        if part == "train" and self.folds is not None:
            chosen = [int(each) for each in lines_of(self._folder / "fold_indices.txt")[self.folds].split()]
            return images[chosen], labels[chosen]
        return images, labels

    @staticmethod
    def _image(pixels: Any) -> Image.Image:
        return ArrayImages._image(pixels.transpose(1, 2, 0))

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
