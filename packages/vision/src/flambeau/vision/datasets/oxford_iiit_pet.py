"""Oxford-IIIT Pet: photographs of cats and dogs of 37 breeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._published_files import Published, lines_of, provide
from .folder import default_loader, loaded_as_stored
from .utils import verify_str_arg
from .vision import Transform, Transforms, VisionDataset

if TYPE_CHECKING:
    from PIL import Image

_SITE = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
_FILES = (
    Published(f"{_SITE}images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
    Published(f"{_SITE}annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
)
_TARGETS = ("category", "binary-category", "segmentation")


class OxfordIIITPet(VisionDataset):
    """Photographs of cats and dogs: 3,680 for training and validation, 3,669 for testing.

    Args:
        root: the folder that contains ``oxford-iiit-pet``.
        split: ``"trainval"`` or ``"test"``.
        target_types: type of target, or a list of types for a tuple of targets: ``"category"`` for the breed,
            ``"binary-category"`` for 0 (cat) or 1 (dog), ``"segmentation"`` for a PIL image with the values 1
            (animal), 2 (background) and 3 (border).
        transforms: function of an image and its target, in place of ``transform`` and ``target_transform``.
        transform, target_transform: functions applied to each image and to each target.
        download: if True, download and unpack the archives if one is missing.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split or target.

    Source: Parkhi et al. 2012, Cats and Dogs.

    >>> dataset = OxfordIIITPet("data", target_types=["category", "segmentation"], download=True)
    >>> image, (breed, mask) = dataset[0]
    >>> dataset.classes[breed], mask.size == image.size
    ('American Bulldog', True)
    """

    root: str | Path

    def __init__(
        self,
        root: str | Path,
        split: str = "trainval",
        target_types: Sequence[str] | str = "category",
        transforms: Transforms = None,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("trainval", "test"))
        kinds = [target_types] if isinstance(target_types, str) else target_types
        self._target_types = [verify_str_arg(each, "target_types", _TARGETS) for each in kinds]
        super().__init__(root, transforms, transform, target_transform)
        folder = Path(self.root) / "oxford-iiit-pet"
        images, annotations = folder / "images", folder / "annotations"
        provide(self, [images, annotations], folder, _FILES, download)
        rows = [line.split() for line in lines_of(annotations / f"{split}.txt")]
        self._labels = [int(row[1]) - 1 for row in rows]
        self._bin_labels = [int(row[2]) - 1 for row in rows]
        breeds = {label: row[0].rpartition("_")[0] for row, label in zip(rows, self._labels, strict=True)}
        self.classes = [" ".join(part.title() for part in breeds[label].split("_")) for label in sorted(breeds)]
        self.bin_classes = ["Cat", "Dog"]
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}
        self.bin_class_to_idx = {"Cat": 0, "Dog": 1}
        self._images = [images / f"{row[0]}.jpg" for row in rows]
        self._segs = [annotations / "trimaps" / f"{row[0]}.png" for row in rows]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        targets = tuple(self._target(kind, index) for kind in self._target_types)
        target = targets if len(targets) > 1 else targets[0] if targets else None
        return self._transformed(default_loader(self._images[index]), target)

    def _target(self, kind: str, index: int) -> Image.Image | int:
        if kind == "segmentation":
            return loaded_as_stored(self._segs[index])
        return (self._labels if kind == "category" else self._bin_labels)[index]
