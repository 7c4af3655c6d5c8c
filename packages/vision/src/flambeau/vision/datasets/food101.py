"""Food101: photographs of meals in 101 classes."""

from __future__ import annotations

import json
from pathlib import Path

from ._listed_images import ListedImages, Loader
from ._published_files import Published, provide
from .folder import default_loader
from .utils import verify_str_arg
from .vision import Transform

_ARCHIVE = Published("http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz", "85eeb15f3717b99a5da872d97d918f87")


class Food101(ListedImages):
    """Photographs of meals: 75,750 for training, 25,250 for testing.

    Args:
        root: the folder that contains ``food-101``.
        split: ``"train"`` or ``"test"``.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download and unpack the archive if it is missing.
        loader: function that loads an image from its path.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split.

    Source: Bossard, Guillaumin, Van Gool 2014, Food-101 -- Mining Discriminative Components with Random Forests.

    >>> dataset = Food101("data", download=True)
    >>> image, label = dataset[0]
    >>> dataset.classes[label]
    'waffles'
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "test"))
        folder = Path(self.root) / "food-101"
        listing, images = folder / "meta" / f"{split}.json", folder / "images"
        provide(self, [listing, images], self.root, [_ARCHIVE], download)
        names_of = json.loads(listing.read_text(encoding="utf-8"))
        self._name_classes(sorted(names_of))
        self._list(
            (images / f"{name}.jpg", self.class_to_idx[kind]) for kind, names in names_of.items() for name in names
        )
