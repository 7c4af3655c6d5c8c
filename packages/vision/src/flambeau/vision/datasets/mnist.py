"""MNIST and the datasets published in its format."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import flambeau as fb

from ._idx import read_idx
from .vision import Transform, VisionDataset, as_image

_NOT_FOUND = (
    "Dataset not found. {dataset}: {name} is neither in {folder} nor in {root}, plain or compressed. "
    "You can use download=True to download it, or pass the folder that contains it as root."
)
_PACKED = ("", ".gz", ".xz")


class MNIST(VisionDataset):
    """Handwritten digits of 28x28 pixels: 60,000 for training, 10,000 for testing.

    The idx files are read from ``root/MNIST/raw`` or ``root``, with or without compression. They may contain any number
    of images. A sample is ``(image, label)``: a PIL image of mode L and an int. ``data`` (N, H, W) is uint8,
    ``targets`` (N,) is int64.

    Args:
        root: the folder of the files.
        train: True for the training images, False for the test images.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download missing files to ``root/MNIST/raw`` with a progress bar. An interrupted download is
            resumed; a file gets its final name when it is complete and its checksum is correct.
    Raises:
        RuntimeError: if a file is missing, or no mirror delivers it completely.
        ValueError: if a file is damaged or is not an MNIST file; the message names the file.

    Source: LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition.

    >>> dataset = MNIST("data", download=True)
    >>> image, label = dataset[0]
    >>> image.size, dataset.classes[label]
    ((28, 28), '5 - five')
    """

    classes: Sequence[str] = [
        *("0 - zero", "1 - one", "2 - two", "3 - three", "4 - four"),
        *("5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine"),
    ]
    mirrors: ClassVar[Sequence[str]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    # Training images and labels, test images and labels, with the MD5 checksums of the compressed files.
    resources: ClassVar[Sequence[tuple[str, str]]] = (
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    )

    root: str | Path

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        self.data, self.targets = self._load()

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(as_image(self.data[index]), int(self.targets[index]))

    @property
    def train_data(self) -> fb.Tensor:
        """Deprecated name of ``data``."""
        return self._renamed("train_data", "data")

    @property
    def test_data(self) -> fb.Tensor:
        """Deprecated name of ``data``."""
        return self._renamed("test_data", "data")

    @property
    def train_labels(self) -> fb.Tensor:
        """Deprecated name of ``targets``."""
        return self._renamed("train_labels", "targets")

    @property
    def test_labels(self) -> fb.Tensor:
        """Deprecated name of ``targets``."""
        return self._renamed("test_labels", "targets")

    def _renamed(self, former: str, name: str) -> fb.Tensor:
        warnings.warn(f"{former} has been renamed {name}", stacklevel=3)
        value: fb.Tensor = getattr(self, name)
        return value

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Dictionary that maps the name of each class to its index."""
        return {name: number for number, name in enumerate(self.classes)}

    @property
    def raw_folder(self) -> Path:
        """The folder to which files are downloaded."""
        return Path(self.root) / type(self).__name__ / "raw"

    def download(self) -> None:
        """Download the missing files of this split."""
        missing = [(name, md5) for name, md5 in self._files() if self._find(name) is None]
        if missing:
            from ._download import download  # the import of an HTTP client takes longer than reading MNIST

            for name, md5 in missing:
                download([mirror + name for mirror in self.mirrors], self.raw_folder / name, md5)

    def _files(self) -> Sequence[tuple[str, str]]:
        """Return the image file and the label file of this split."""
        return self.resources[:2] if self.train else self.resources[2:]

    def _find(self, name: str) -> Path | None:
        stem = Path(name).stem
        candidates = [folder / f"{stem}{end}" for folder in (self.raw_folder, Path(self.root)) for end in _PACKED]
        return next((path for path in candidates if path.is_file()), None)

    def _load(self) -> tuple[fb.Tensor, fb.Tensor]:
        paths = []
        for name, _ in self._files():
            path = self._find(name)
            if path is None:
                missing = {"dataset": type(self).__name__, "name": Path(name).stem}
                raise RuntimeError(_NOT_FOUND.format(**missing, root=self.root, folder=self.raw_folder))
            paths.append(path)
        images, labels = map(read_idx, paths)
        check_elements(paths[0], images, "images", 3, np.uint8)
        labels = self._labels(paths[1], labels)
        if len(images) != len(labels):
            raise ValueError(f"{paths[0]} has {len(images)} images, but {paths[1]} has {len(labels)} labels")
        return fb.from_numpy(images), fb.from_numpy(labels.astype(np.int64))

    def _labels(self, path: Path, labels: np.ndarray) -> np.ndarray:
        check_elements(path, labels, "labels", 1, np.uint8)
        if len(labels) and labels.max() >= len(self.classes):
            raise ValueError(f"{path} holds the label {labels.max()}, but there are {len(self.classes)} classes")
        return labels


def check_elements(path: Path, array: np.ndarray, kind: str, dimensions: int, dtype: type[np.generic]) -> None:
    """Raise ValueError if the array of a file does not have the given dtype and number of dimensions."""
    if array.ndim != dimensions or array.dtype != dtype:
        wanted = f"{kind} ({np.dtype(dtype)} in {dimensions} dimensions)"
        raise ValueError(f"{path} should hold {wanted}, got {array.dtype} in {array.ndim} dimensions")


class FashionMNIST(MNIST):
    """Images of clothing, 28x28 pixels, with the number of images, format and arguments of :class:`MNIST`.

    Source: Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747.

    >>> dataset = FashionMNIST("data", download=True)
    >>> image, label = dataset[0]
    >>> image.size, dataset.classes[label]
    ((28, 28), 'Ankle boot')
    """

    classes: Sequence[str] = [
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ]
    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    resources = (
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    )


class KMNIST(MNIST):
    """Cursive Japanese characters, 28x28 pixels, with the number of images, format and arguments of :class:`MNIST`.

    Source: Clanuwat et al. 2018, arXiv:1812.01718.

    >>> dataset = KMNIST("data", download=True)
    >>> image, label = dataset[0]
    >>> image.size, dataset.classes[label]
    ((28, 28), 're')
    """

    classes: Sequence[str] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]
    mirrors = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    resources = (
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    )
