"""MNIST, from its published files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from ._idx import read_idx
from ._images import ImageDataset, Transform

_NOT_FOUND = (
    "MNIST: {name} is neither in {root} nor in {folder}, plain or gzipped. "
    "Pass download=True to fetch it, or root= the folder where it lies."
)


class MNIST(ImageDataset):
    """Handwritten digits of 28x28 pixels: 60,000 for training, 10,000 for testing.

    The idx files are found in ``root`` or, as PyTorch leaves them, in ``root/MNIST/raw``, plain or gzipped. They may
    hold any number of images, as long as their headers are right.

    Args:
        root: the folder of the files.
        train: the training images, or the test images.
        transform, target_transform: applied to each image, to each label.
        download: fetch what is missing into ``root/MNIST/raw``, with a progress bar. An interrupted download goes on
            where it stopped; a file appears under its name only once it is whole and its checksum is right.
    Raises:
        RuntimeError: if a file is missing, or no mirror delivers it whole.
        ValueError: naming the file, if it is damaged or is not MNIST.

    Source: LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition.
    """

    classes = tuple("0123456789")
    mirrors: ClassVar[Sequence[str]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    # The files of each split, images and labels, with the MD5 of what the mirrors hold (name + ".gz").
    resources: ClassVar[dict[bool, dict[str, str]]] = {
        True: {
            "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        },
        False: {
            "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    }

    root: Path

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, train, transform, target_transform)
        if download:
            self.download()
        self.data, self.targets = self._load()

    @property
    def raw_folder(self) -> Path:
        """Where downloads go."""
        return self.root / "MNIST" / "raw"

    def download(self) -> None:
        """Fetch the files of this split that are not there."""
        missing = [name for name in self.resources[self.train] if self._find(name) is None]
        if missing:
            from ._download import download  # here, because importing an HTTP client takes longer than reading MNIST

            for name in missing:
                urls = [f"{mirror}{name}.gz" for mirror in self.mirrors]
                download(urls, self.raw_folder / f"{name}.gz", self.resources[self.train][name])

    def _find(self, name: str) -> Path | None:
        candidates = [folder / f"{name}{end}" for folder in (self.root, self.raw_folder) for end in ("", ".gz")]
        return next((path for path in candidates if path.is_file()), None)

    def _load(self) -> tuple[np.ndarray, np.ndarray]:
        paths = []
        for name in self.resources[self.train]:
            path = self._find(name)
            if path is None:
                raise RuntimeError(_NOT_FOUND.format(name=name, root=self.root, folder=self.raw_folder))
            paths.append(path)
        images, labels = map(read_idx, paths)
        for path, array, kind, dimensions in zip(paths, (images, labels), ("images", "labels"), (3, 1), strict=True):
            if array.ndim != dimensions or array.dtype != np.uint8:
                found = f"{array.dtype} elements in {array.ndim} dimensions"
                raise ValueError(f"{path} does not hold {kind} (uint8 in {dimensions} dimensions) but {found}")
        if len(images) != len(labels):
            raise ValueError(f"{paths[0]} holds {len(images)} images, but {paths[1]} {len(labels)} labels")
        if len(labels) and labels.max() >= len(self.classes):
            raise ValueError(f"{paths[1]} holds the label {labels.max()}; there are {len(self.classes)} classes")
        return images, labels.astype(np.int64)
