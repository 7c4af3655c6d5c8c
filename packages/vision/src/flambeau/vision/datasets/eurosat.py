"""EuroSAT: satellite images with the class of land use."""

from __future__ import annotations

import os
from pathlib import Path

from ._listed_images import Loader
from ._published_files import Published, provide
from .folder import ImageFolder, default_loader
from .vision import Transform

_ARCHIVE = Published(
    "https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
    "c8fa014336c82ac7804f0398fcb19387",
)


class EuroSAT(ImageFolder):
    """27,000 satellite images of 64x64 pixels in ten classes of land use.

    Args:
        root: the folder that contains ``eurosat``.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download and unpack the archive if it is missing.
        loader: function that loads an image from its path.
    Raises: RuntimeError if the files are missing.

    Source: Helber et al. 2017, arXiv:1709.00029.

    >>> dataset = EuroSAT("data", download=True)
    >>> image, label = dataset[0]
    >>> dataset.classes[label]
    'Forest'
    """

    def __init__(
        self,
        root: str | Path,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        above = os.path.expanduser(root)
        folder = Path(above) / "eurosat"
        provide(self, [folder / "2750"], folder, [_ARCHIVE], download)
        super().__init__(str(folder / "2750"), transform, target_transform, loader)
        self.root = above
