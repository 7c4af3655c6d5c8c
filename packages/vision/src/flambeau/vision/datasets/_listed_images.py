"""Base classes of datasets that consist of a list of labelled image files, or of an array of small images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .folder import default_loader
from .vision import Transform, VisionDataset, as_image

if TYPE_CHECKING:
    from PIL import Image

Loader: TypeAlias = Callable[[Any], Any]


class ListedImages(VisionDataset):
    """Base class of datasets whose constructor lists the image files and their labels.

    Args:
        root: the folder that contains the dataset's folder.
        transform, target_transform: functions applied to each image and to each label.
        loader: function that loads an image from its path.
    """

    root: str | Path
    classes: Sequence[Any]
    class_to_idx: dict[str, int]
    _split: str

    def __init__(
        self,
        root: str | Path,
        transform: Transform = None,
        target_transform: Transform = None,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader

    def _name_classes(self, names: Iterable[str]) -> None:
        self.classes = list(names)
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}

    def _list(self, samples: Iterable[tuple[str | Path, Any]]) -> None:
        listed = list(samples)
        self._image_files = [path for path, _ in listed]
        self._labels = [label for _, label in listed]

    @property
    def _samples(self) -> list[tuple[str | Path, Any]]:
        return list(zip(self._image_files, self._labels, strict=True))

    def __len__(self) -> int:
        return len(self._image_files)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(self.loader(self._image_files[index]), self._labels[index])

    def extra_repr(self) -> str:
        return f"split={self._split}" if hasattr(self, "_split") else super().extra_repr()


class ArrayImages(VisionDataset):
    """Base class of datasets that read all images into an array ``data``, and their labels into ``labels``."""

    root: str | Path
    data: Any
    labels: Any

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(self._image(self.data[index]), int(self.labels[index]))

    @staticmethod
    def _image(pixels: Any) -> Image.Image:
        return as_image(pixels)
