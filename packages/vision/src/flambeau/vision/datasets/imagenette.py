"""Ten classes of ImageNet that are easy to classify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._listed_images import ListedImages, Loader
from ._published_files import Published, provide
from .folder import default_loader, find_classes, make_dataset
from .utils import verify_str_arg
from .vision import Transform

_SITE = "https://s3.amazonaws.com/fast-ai-imageclas/"
_ARCHIVES = {
    "full": Published(f"{_SITE}imagenette2.tgz", "fe2fc210e6bb7c5664d602c3cd71e612"),
    "320px": Published(f"{_SITE}imagenette2-320.tgz", "3df6f0d01a2c9592104656642f5e78a3"),
    "160px": Published(f"{_SITE}imagenette2-160.tgz", "e793b78cc4c9e9a4ccc0c1155377a412"),
}
_NAMES = {
    "n01440764": ("tench", "Tinca tinca"),
    "n02102040": ("English springer", "English springer spaniel"),
    "n02979186": ("cassette player",),
    "n03000684": ("chain saw", "chainsaw"),
    "n03028079": ("church", "church building"),
    "n03394916": ("French horn", "horn"),
    "n03417042": ("garbage truck", "dustcart"),
    "n03425413": ("gas pump", "gasoline pump", "petrol pump", "island dispenser"),
    "n03445777": ("golf ball",),
    "n03888257": ("parachute", "chute"),
}


class Imagenette(ListedImages):
    """Photographs in ten classes: 9,469 for training, 3,925 for validation.

    ``classes`` contains a tuple of names for each class, and ``wnids`` contains the folder names.

    Args:
        root: the folder that contains ``imagenette2``, ``imagenette2-320`` or ``imagenette2-160``.
        split: ``"train"`` or ``"val"``.
        size: ``"full"``, or the length of the shorter side: ``"320px"`` or ``"160px"``.
        download: if True, download and unpack the archive if it is missing.
        transform, target_transform: functions applied to each image and to each label.
        loader: function that loads an image from its path.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split or size.

    Source: https://github.com/fastai/imagenette.

    >>> dataset = Imagenette("data", split="val", size="160px", download=True)
    >>> image, label = dataset[0]
    >>> dataset.classes[label]
    ('tench', 'Tinca tinca')
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        size: str = "full",
        download: bool = False,
        transform: Transform = None,
        target_transform: Transform = None,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "val"))
        self._size = verify_str_arg(size, "size", _ARCHIVES)
        archive = _ARCHIVES[size]
        folder = Path(self.root) / archive.file.removesuffix(".tgz") / split
        provide(self, [folder], self.root, [archive], download)
        self.wnids, self.wnid_to_idx = find_classes(str(folder))
        self.classes: list[Any] = [_NAMES[wnid] for wnid in self.wnids]
        self.class_to_idx = {name: number for number, names in enumerate(self.classes) for name in names}
        self._list(make_dataset(str(folder), self.wnid_to_idx, extensions=".jpeg"))
