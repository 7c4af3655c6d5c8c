"""Rendered SST-2: images of sentences, labelled with their sentiment."""

from __future__ import annotations

from pathlib import Path

from ._listed_images import ListedImages, Loader
from ._published_files import Published, provide
from .folder import default_loader, make_dataset
from .utils import verify_str_arg
from .vision import Transform

_ARCHIVE = Published(
    "https://openaipublic.azureedge.net/clip/data/rendered-sst2.tgz", "2384d08e9dcfa4bd55b324e610496ee5"
)
_FOLDERS = {"train": "train", "val": "valid", "test": "test"}


class RenderedSST2(ListedImages):
    """Images of negative and positive sentences: 6,920 for training, 872 for validation, 1,821 for testing.

    Args:
        root: the folder that contains ``rendered-sst2``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download and unpack the archive if it is missing.
        loader: function that loads an image from its path.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split.

    Source: Radford et al. 2021, arXiv:2103.00020; Socher et al. 2013.

    >>> dataset = RenderedSST2("data", split="val", download=True)
    >>> image, label = dataset[0]
    >>> dataset.classes[label]
    'negative'
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
        self._split = verify_str_arg(split, "split", _FOLDERS)
        self._name_classes(["negative", "positive"])
        folder = Path(self.root) / "rendered-sst2" / _FOLDERS[split]
        provide(self, [folder / name for name in self.classes], self.root, [_ARCHIVE], download)
        self._list(make_dataset(str(folder), extensions=("png",)))
