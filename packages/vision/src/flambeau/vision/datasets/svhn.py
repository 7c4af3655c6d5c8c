"""SVHN: digits of house numbers from Street View."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ._listed_images import ArrayImages
from ._published_files import Published, provide, read_mat
from .utils import verify_str_arg
from .vision import Transform

if TYPE_CHECKING:
    from PIL import Image

_SITE = "http://ufldl.stanford.edu/housenumbers/"


class SVHN(ArrayImages):
    """Digits of house numbers, 32x32 pixels: 73,257 for training, 26,032 for testing, 531,131 extra (easier) images.

    ``data`` is a uint8 array (N, 3, 32, 32), ``labels`` an int64 array of digits. Reading requires SciPy.

    Args:
        root: the folder of the files, such as ``train_32x32.mat``.
        split: ``"train"``, ``"test"`` or ``"extra"``.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download the file if it is missing.
    Raises: RuntimeError if the file or SciPy is missing; ValueError for an unknown split.

    Source: Netzer et al. 2011, Reading Digits in Natural Images with Unsupervised Feature Learning.

    >>> image, label = SVHN("data", split="test", download=True)[0]
    >>> image.size, label
    ((32, 32), 5)
    """

    split_list: ClassVar[dict[str, list[str]]] = {
        "train": [f"{_SITE}train_32x32.mat", "train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"],
        "test": [f"{_SITE}test_32x32.mat", "test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"],
        "extra": [f"{_SITE}extra_32x32.mat", "extra_32x32.mat", "a93ce644f1a588dc4d68dda5feec44a7"],
    }

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", self.split_list)
        self.url, self.filename, self.file_md5 = self.split_list[split]
        path = Path(self.root) / self.filename
        provide(self, [path], self.root, [Published(self.url, self.file_md5, unpack=False)], download)
        content = read_mat(path)
        self.data = np.transpose(content["X"], (3, 2, 0, 1))
        self.labels = content["y"].astype(np.int64).squeeze() % 10  # the file stores 0 as 10

    @staticmethod
    def _image(pixels: Any) -> Image.Image:
        return ArrayImages._image(pixels.transpose(1, 2, 0))

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
