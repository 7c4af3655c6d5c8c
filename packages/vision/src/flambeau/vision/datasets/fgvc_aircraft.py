"""FGVC-Aircraft: photographs of aircraft."""

from __future__ import annotations

from pathlib import Path

from ._listed_images import ListedImages, Loader
from ._published_files import Published, lines_of, provide
from .folder import default_loader
from .utils import verify_str_arg
from .vision import Transform

_ARCHIVE = Published("https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz")
_LEVELS = {"variant": "variants.txt", "family": "families.txt", "manufacturer": "manufacturers.txt"}


class FGVCAircraft(ListedImages):
    """10,000 photographs of aircraft, a third each for training, validation and testing.

    Args:
        root: the folder that contains ``fgvc-aircraft-2013b``.
        split: ``"train"``, ``"val"``, ``"trainval"`` or ``"test"``.
        annotation_level: ``"variant"`` (100 classes), ``"family"`` (70) or ``"manufacturer"`` (41).
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download and unpack the archive if it is missing.
        loader: function that loads an image from its path.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split or level.

    Source: Maji et al. 2013, arXiv:1306.5151.

    >>> dataset = FGVCAircraft("data", split="test", annotation_level="family", download=True)
    >>> image, label = dataset[0]
    >>> dataset.classes[label]
    'Boeing 707'
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "trainval",
        annotation_level: str = "variant",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "val", "trainval", "test"))
        self._annotation_level = verify_str_arg(annotation_level, "annotation_level", _LEVELS)
        data = Path(self.root) / "fgvc-aircraft-2013b" / "data"
        provide(self, [data], self.root, [_ARCHIVE], download)
        self._name_classes(lines_of(data / _LEVELS[annotation_level]))
        lines = lines_of(data / f"images_{annotation_level}_{split}.txt")
        pairs = (line.split(" ", 1) for line in lines)
        self._list((data / "images" / f"{image}.jpg", self.class_to_idx[name]) for image, name in pairs)
