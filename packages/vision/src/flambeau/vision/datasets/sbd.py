"""SBD, the Semantic Boundaries Dataset."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ._published_files import Published, fetch, lines_of, missing_paths, provide, read_mat
from .folder import default_loader
from .utils import verify_str_arg
from .vision import Transforms, VisionDataset

_ARCHIVE = Published(
    "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
    "82b4d87ceb2ed10f6038a1cba92111cb",
)
_WITHOUT_VOC = Published(
    "https://www.cs.cornell.edu/~bharathh/train_noval.txt", "79bff800c5f0b1ec6b21080a3c066722", unpack=False
)


class SBDataset(VisionDataset):
    """11,355 photographs of Pascal VOC with the class of each pixel or the class boundaries. Reading requires SciPy.

    Args:
        root: the folder that contains ``img``, ``cls`` and the lists.
        image_set: ``"train"``, ``"val"`` or ``"train_noval"`` (without the validation images of VOC 2012).
        mode: ``"segmentation"`` for targets that are PIL images of class indices, ``"boundaries"`` for targets that are
            arrays (20, H, W), with the boundaries of each class.
        download: if True, download and unpack missing files.
        transforms: function of an image and its target.
    Raises: RuntimeError if a file or SciPy is missing; ValueError for an unknown set or mode.

    Source: Hariharan et al. 2011, Semantic Contours from Inverse Detectors.

    >>> image, mask = SBDataset("data/sbd", mode="segmentation", download=True)[0]
    >>> mask.size == image.size, mask.getpixel((0, 0))
    (True, 5)
    """

    num_classes = 20
    root: str | Path

    def __init__(
        self,
        root: str | Path,
        image_set: str = "train",
        mode: str = "boundaries",
        download: bool = False,
        transforms: Transforms = None,
    ) -> None:
        super().__init__(root, transforms)
        self.image_set = verify_str_arg(image_set, "image_set", ("train", "val", "train_noval"))
        self.mode = verify_str_arg(mode, "mode", ("segmentation", "boundaries"))
        folder = Path(self.root)
        images, masks, listing = folder / "img", folder / "cls", folder / f"{image_set}.txt"
        if download and missing_paths([images, masks]):
            self._fetch(folder)
        provide(self, [images, masks, listing], folder, [_WITHOUT_VOC], download and image_set == "train_noval")
        names = lines_of(listing)
        self.images = [str(images / f"{name}.jpg") for name in names]
        self.masks = [str(masks / f"{name}.mat") for name in names]

    def _fetch(self, folder: Path) -> None:
        fetch(folder, [_ARCHIVE])
        for name in ("cls", "img", "inst", "train.txt", "val.txt"):
            shutil.move(folder / "benchmark_RELEASE" / "dataset" / name, folder)

    def _target(self, path: str) -> Image.Image | np.ndarray:
        record = read_mat(path)["GTcls"][0]
        if self.mode == "segmentation":
            return Image.fromarray(record["Segmentation"][0])
        edges = record["Boundaries"][0]
        return np.stack([edges[number][0].toarray() for number in range(self.num_classes)])

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(default_loader(self.images[index]), self._target(self.masks[index]))

    def __len__(self) -> int:
        return len(self.images)

    def extra_repr(self) -> str:
        return f"Image set: {self.image_set}\nMode: {self.mode}"
