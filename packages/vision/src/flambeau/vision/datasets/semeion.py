"""SEMEION: handwritten digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ._listed_images import ArrayImages
from ._published_files import Published, provide
from .vision import Transform

_PIXELS = 256


class SEMEION(ArrayImages):
    """1,593 handwritten digits of 16x16 pixels, black or white. ``data`` is a uint8 array (N, 16, 16).

    Args:
        root: the folder of ``semeion.data``.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download the file if it is missing.
    Raises: RuntimeError if the file is missing.

    Source: Semeion Handwritten Digit, UCI Machine Learning Repository.

    >>> image, label = SEMEION("data", download=True)[0]
    >>> image.size, label
    ((16, 16), 3)
    """

    url = "http://archive.ics.uci.edu/ml/machine-learning-databases/semeion/semeion.data"
    filename = "semeion.data"
    md5_checksum = "cb545d371d2ce14ec121470795a77432"

    def __init__(
        self,
        root: str | Path,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = True,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        path = Path(self.root) / self.filename
        provide(self, [path], self.root, [Published(self.url, self.md5_checksum, unpack=False)], download)
        rows = np.loadtxt(path, ndmin=2)
        self.data = (rows[:, :_PIXELS] * 255).astype(np.uint8).reshape(-1, 16, 16)
        self.labels = rows[:, _PIXELS:].argmax(1)  # the ten columns are a one-hot vector
