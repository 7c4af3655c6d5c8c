"""KITTI: photographs of roads, taken from a car."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._published_files import Published, lines_of, provide
from .folder import loaded_as_stored
from .utils import list_files
from .vision import Transform, Transforms, VisionDataset

_SITE = "https://s3.eu-central-1.amazonaws.com/avg-kitti/"
_FILES = (Published(f"{_SITE}data_object_image_2.zip"), Published(f"{_SITE}data_object_label_2.zip"))


class Kitti(VisionDataset):
    """Photographs of roads: 7,481 for training, with annotated objects, and 7,518 for testing.

    A target is a list with one dictionary for each object. The keys are ``type``, ``truncated``, ``occluded``,
    ``alpha``, ``bbox`` (x1, y1, x2, y2), ``dimensions``, ``location`` and ``rotation_y``. The target of a test image is
    None.

    Args:
        root: the folder that contains ``Kitti/raw``.
        train: True for the training images, False for the test images.
        transform, target_transform: functions applied to each image and to each target.
        transforms: function of an image and its target, in place of ``transform`` and ``target_transform``.
        download: if True, download and unpack the archives if one is missing.
    Raises: RuntimeError if a file is missing.

    Source: Geiger, Lenz, Urtasun 2012, Are we ready for Autonomous Driving?

    >>> image, objects = Kitti("data", download=True)[0]
    >>> objects[0]["type"], objects[0]["bbox"]
    ('Car', [1.0, 2.0, 3.0, 4.0])
    """

    root: str | Path

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        transform: Transform = None,
        target_transform: Transform = None,
        transforms: Transforms = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        self.train = train
        raw = Path(self.root) / type(self).__name__ / "raw"
        images, labels = (raw / ("training" if train else "testing") / name for name in ("image_2", "label_2"))
        provide(self, [images, labels] if train else [images], raw, _FILES, download)
        self.images = list_files(images, "", prefix=True)
        self.targets = [str(labels / f"{Path(path).stem}.txt") for path in self.images] if train else []

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(loaded_as_stored(self.images[index]), self._target(index) if self.train else None)

    def _target(self, index: int) -> list[dict[str, Any]]:
        return [_described(line.split()) for line in lines_of(self.targets[index])]

    def __len__(self) -> int:
        return len(self.images)


def _described(fields: list[str]) -> dict[str, Any]:
    numbers = [float(field) for field in fields[3:]]
    return {
        "type": fields[0],
        "truncated": float(fields[1]),
        "occluded": int(fields[2]),
        "alpha": numbers[0],
        "bbox": numbers[1:5],
        "dimensions": numbers[5:8],
        "location": numbers[8:11],
        "rotation_y": numbers[11],
    }
