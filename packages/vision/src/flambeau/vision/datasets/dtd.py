"""DTD, the Describable Textures Dataset."""

from __future__ import annotations

from pathlib import Path

from ._listed_images import ListedImages, Loader
from ._published_files import Published, lines_of, provide
from .folder import default_loader
from .utils import verify_str_arg
from .vision import Transform

_ARCHIVE = Published(
    "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz", "fff73e5086ae6bdbea199a49dfb8a4c1"
)


class DTD(ListedImages):
    """Photographs of 47 textures: for each texture, 40 for training, 40 for validation and 40 for testing.

    Args:
        root: the folder that contains ``dtd``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        partition: number of the split, 1 to 10.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download and unpack the archive if it is missing.
        loader: function that loads an image from its path.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split or partition.

    Source: Cimpoi et al. 2013, arXiv:1311.3618.

    >>> dataset = DTD("data", split="val", partition=3, download=True)
    >>> image, label = dataset[0]
    >>> dataset.classes[label]
    'woven'
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        partition: int = 1,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        if partition not in range(1, 11):
            raise ValueError(
                f"Parameter 'partition' should be an integer with `1 <= partition <= 10`, but got {partition} instead"
            )
        self._partition = partition
        folder = Path(self.root) / "dtd"
        listing = folder / "dtd" / "labels" / f"{split}{partition}.txt"
        provide(self, [listing], folder, [_ARCHIVE], download)
        names = lines_of(listing)
        self._name_classes(sorted({name.partition("/")[0] for name in names}))
        images = folder / "dtd" / "images"
        self._list((images / name, self.class_to_idx[name.partition("/")[0]]) for name in names)

    def extra_repr(self) -> str:
        return f"split={self._split}, partition={self._partition}"
