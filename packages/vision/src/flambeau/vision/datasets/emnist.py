"""EMNIST: handwritten letters and digits."""

from __future__ import annotations

import shutil
import string
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .mnist import MNIST


class EMNIST(MNIST):
    """Handwritten letters and digits in the format of :class:`MNIST`. As published, the images are transposed.

    Args:
        split: ``"byclass"`` (62 classes), ``"bymerge"`` or ``"balanced"`` (47), ``"letters"`` (26, numbered from 1),
            ``"digits"`` or ``"mnist"`` (10).
        train, transform, target_transform, download: as for :class:`MNIST`. One archive contains all splits.
    Raises: ValueError for an unknown split, and the errors of :class:`MNIST`.

    Source: Cohen, Afshar, Tapson, van Schaik 2017, arXiv:1702.05373.

    >>> dataset = EMNIST("data", split="letters", download=True)
    >>> image, label = dataset[0]
    >>> image.size, dataset.classes[label]
    ((28, 28), 'w')
    """

    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5 = "58c8d27c78d21e728a6bc7b3cc06412e"
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")

    def __init__(self, root: str | Path, split: str, **kwargs: Any) -> None:
        if split not in self.splits:
            raise ValueError(f"Unknown value '{split}' for argument split. Valid values are {set(self.splits)}.")
        self.split = split
        self.classes = _emnist_classes(split)
        super().__init__(root, **kwargs)

    def _files(self) -> Sequence[tuple[str, str]]:
        prefix = f"emnist-{self.split}-{'train' if self.train else 'test'}"
        return [(f"{prefix}-images-idx3-ubyte.gz", ""), (f"{prefix}-labels-idx1-ubyte.gz", "")]

    def download(self) -> None:
        """Download and unpack the archive if files of this split are missing."""
        if all(self._find(name) for name, _ in self._files()):
            return
        from ._download import download

        archive = self.raw_folder / "gzip.zip"
        download([self.url], archive, self.md5)
        with zipfile.ZipFile(archive) as packed:
            for member in packed.namelist():
                if member.endswith(".gz"):
                    part = self.raw_folder / (Path(member).name + ".part")
                    with packed.open(member) as source, part.open("wb") as target:
                        shutil.copyfileobj(source, target)
                    part.replace(part.with_suffix(""))
        archive.unlink()


def _emnist_classes(split: str) -> list[str]:
    if split in ("digits", "mnist"):
        return list(string.digits)
    if split == "letters":
        return ["N/A", *string.ascii_lowercase]
    alike = "" if split == "byclass" else "cijklmopsuvwxyz"  # upper and lower case look alike
    return sorted(set(string.digits + string.ascii_letters) - set(alike))
