"""Caltech-101 and Caltech-256: photographs of objects."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._published_files import Published, fetch, provide, read_mat
from .folder import loaded_as_stored
from .utils import extract_archive, list_dir, list_files, verify_str_arg
from .vision import Transform, VisionDataset

_CALTECH_101 = Published(
    "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip", "3138e1922a9193bfa496528edbbc45d0"
)
_CALTECH_256 = Published(
    "https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar", "67b4f42ca05d46448c6bb8ecd2220f6d"
)
# Annotation folders whose names differ from the names of the image folders.
_ANNOTATIONS = {
    "Faces": "Faces_2",
    "Faces_easy": "Faces_3",
    "Motorbikes": "Motorbikes_16",
    "airplanes": "Airplanes_Side_2",
}


class _Caltech(VisionDataset):
    root: str
    _images: str

    def _list(self, without: str | None = None) -> None:
        folder = Path(self.root) / self._images
        self.categories = [name for name in list_dir(folder) if name != without]
        counts = [len(list_files(folder / name, ".jpg")) for name in self.categories]
        self.index = [
            number for count in counts for number in range(1, count + 1)
        ]  # number of the image in its category
        self.y = [category for category, count in enumerate(counts) for _ in range(count)]

    def __len__(self) -> int:
        return len(self.index)


class Caltech101(_Caltech):
    """About 9,000 photographs of objects in 101 classes.

    Args:
        root: the folder that contains ``caltech101``.
        target_type: ``"category"`` for the class index, ``"annotation"`` for the outline of the object as an array
            (2, points), which requires SciPy, or a list of both for a tuple of targets.
        transform, target_transform: functions applied to each image and to each target.
        download: if True, download and unpack the archive if it is missing.
    Raises: RuntimeError if a file is missing; ValueError for an unknown target.

    Source: Fei-Fei, Fergus, Perona 2004.

    >>> dataset = Caltech101("data", target_type=["category", "annotation"], download=True)
    >>> image, (label, outline) = dataset[0]
    >>> dataset.categories[label], len(outline)
    ('Faces', 2)
    """

    _images = "101_ObjectCategories"

    def __init__(
        self,
        root: str | Path,
        target_type: Sequence[str] | str = "category",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(str(Path(root) / "caltech101"), transform=transform, target_transform=target_transform)
        kinds = [target_type] if isinstance(target_type, str) else target_type
        self.target_type = [verify_str_arg(each, "target_type", ("category", "annotation")) for each in kinds]
        images = Path(self.root) / self._images
        if download and not images.exists():
            self._fetch()
        provide(self, [images], self.root, [], download=False)
        self._list(without="BACKGROUND_Google")
        self.annotation_categories = [_ANNOTATIONS.get(name, name) for name in self.categories]

    def _fetch(self) -> None:
        """Download the archive, and unpack the archives in it."""
        fetch(self.root, [_CALTECH_101])
        inner = Path(self.root) / "caltech-101"
        for archive in sorted(inner.glob("*.gz")):
            extract_archive(archive, self.root)
        shutil.rmtree(inner)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        folder = Path(self.root) / self._images / self.categories[self.y[index]]
        image = loaded_as_stored(folder / f"image_{self.index[index]:04d}.jpg")
        targets = tuple(self.y[index] if each == "category" else self._outline(index) for each in self.target_type)
        return self._transformed(image, targets if len(targets) > 1 else targets[0])

    def _outline(self, index: int) -> Any:
        folder = Path(self.root) / "Annotations" / self.annotation_categories[self.y[index]]
        return read_mat(folder / f"annotation_{self.index[index]:04d}.mat")["obj_contour"]

    def extra_repr(self) -> str:
        return f"Target type: {self.target_type}"


class Caltech256(_Caltech):
    """30,607 photographs of objects in 256 classes and a last class of other objects.

    Args:
        root: the folder that contains ``caltech256``.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download and unpack the archive if it is missing.
    Raises: RuntimeError if a file is missing.

    Source: Griffin, Holub, Perona 2007.

    >>> dataset = Caltech256("data", download=True)
    >>> image, label = dataset[0]
    >>> dataset.categories[label]
    '001.ak47'
    """

    _images = "256_ObjectCategories"

    def __init__(
        self,
        root: str | Path,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(str(Path(root) / "caltech256"), transform=transform, target_transform=target_transform)
        provide(self, [Path(self.root) / self._images], self.root, [_CALTECH_256], download)
        self._list()

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        folder = Path(self.root) / self._images / self.categories[self.y[index]]
        image = loaded_as_stored(folder / f"{self.y[index] + 1:03d}_{self.index[index]:04d}.jpg")
        return self._transformed(image, self.y[index])
