"""SUN397: photographs of scenes in 397 classes."""

from __future__ import annotations

from pathlib import Path

from ._listed_images import ListedImages, Loader
from ._published_files import Published, lines_of, provide
from .folder import default_loader
from .vision import Transform

_ARCHIVE = Published("http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz", "8ca2778205c41d23104230ba66911c7a")


class SUN397(ListedImages):
    """108,754 photographs of scenes in 397 classes.

    Args:
        root: the folder that contains ``SUN397``.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download and unpack the archive if it is missing.
        loader: function that loads an image from its path.
    Raises: RuntimeError if a file is missing.

    Source: Xiao et al. 2010, SUN Database: Large-scale Scene Recognition from Abbey to Zoo.

    >>> dataset = SUN397("data", download=True)
    >>> image, label = dataset[0]
    >>> dataset.classes[label]
    'abbey'
    """

    def __init__(
        self,
        root: str | Path,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        folder = Path(self.root) / "SUN397"
        provide(self, [folder / "ClassName.txt"], self.root, [_ARCHIVE], download)
        self._name_classes(line[3:] for line in lines_of(folder / "ClassName.txt"))  # /a/abbey
        images = sorted(folder.rglob("sun_*.jpg"))
        self._list((path, self.class_to_idx["/".join(path.relative_to(folder).parts[1:-1])]) for path in images)
