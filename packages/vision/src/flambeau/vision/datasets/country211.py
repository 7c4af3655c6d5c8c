"""Country211: photographs labelled with the country where they were taken."""

from __future__ import annotations

import os
from pathlib import Path

from ._listed_images import Loader
from ._published_files import Published, provide
from .folder import ImageFolder, default_loader
from .utils import verify_str_arg
from .vision import Transform

_ARCHIVE = Published("https://openaipublic.azureedge.net/clip/data/country211.tgz", "84988d7644798601126c29e9877aab6a")


class Country211(ImageFolder):
    """Photographs of 211 countries: for each country, 150 for training, 50 for validation and 100 for testing.

    Args:
        root: the folder that contains ``country211``.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download and unpack the archive if it is missing.
        loader: function that loads an image from its path.
    Raises: RuntimeError if the files are missing; ValueError for an unknown split.

    Source: Radford et al. 2021, arXiv:2103.00020.

    >>> dataset = Country211("data", split="valid", download=True)
    >>> image, label = dataset[0]
    >>> dataset.classes[label]
    'AD'
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
        self._split = verify_str_arg(split, "split", ("train", "valid", "test"))
        above = os.path.expanduser(root)
        folder = Path(above) / "country211" / split
        provide(self, [folder], above, [_ARCHIVE], download)
        super().__init__(str(folder), transform, target_transform, loader)
        self.root = above
