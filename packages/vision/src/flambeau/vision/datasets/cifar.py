"""CIFAR-10 and CIFAR-100, from their published files."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ._cifar_pickles import read_pickle
from .vision import Transform, VisionDataset, as_image

_NOT_FOUND = (
    "Dataset not found. {dataset}: {name} is not in {folder}. "
    "You can use download=True to download it, or pass the folder that contains {base} as root."
)
_PIXELS = 3 * 32 * 32


class CIFAR10(VisionDataset):
    """Photographs of 32x32 pixels in ten classes: 50,000 for training, 10,000 for testing.

    The files are pickles in ``root/cifar-10-batches-py``. The reader does not run code from the files. The files may
    contain any number of images. A sample is ``(image, label)``: a PIL image of mode RGB and an int. ``data`` is a
    uint8 array (N, 32, 32, 3), ``targets`` is a list of ints.

    Args:
        root: the folder that contains ``cifar-10-batches-py``.
        train: True for the training images, False for the test images.
        transform, target_transform: functions applied to each image and to each label.
        download: if True and a file is missing, download the archive with a progress bar, check its checksum and unpack
            it. An interrupted download is resumed.
    Raises:
        RuntimeError: if a file is missing, or the archive cannot be downloaded completely.
        ValueError: if a file is damaged or is not a CIFAR file; the message names the file.

    Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.

    >>> dataset = CIFAR10("data", train=False, download=True)
    >>> image, label = dataset[0]
    >>> image.size, dataset.classes[label]
    ((32, 32), 'cat')
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list: ClassVar[Sequence[str]] = [f"data_batch_{number}" for number in range(1, 6)]
    test_list: ClassVar[Sequence[str]] = ["test_batch"]
    meta: ClassVar[dict[str, str]] = {"filename": "batches.meta", "key": "label_names", "labels": "labels"}

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
        self.classes = self._load_classes()
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}
        batches = [self._load_batch(name) for name in (self.train_list if train else self.test_list)]
        planes = np.concatenate([pixels for pixels, _ in batches]).reshape(-1, 3, 32, 32)
        self.data: Any = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        self.targets: list[int] = [label for _, labels in batches for label in labels]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(as_image(self.data[index]), self.targets[index])

    @property
    def _folder(self) -> Path:
        return Path(self.root) / self.base_folder

    def download(self) -> None:
        """Download and unpack the archive if a file is missing."""
        names = [*self.train_list, *self.test_list, self.meta["filename"]]
        if all((self._folder / name).is_file() for name in names):
            return
        from ._download import download

        archive = Path(self.root) / self.filename
        if not archive.exists():
            download([self.url], archive, self.tgz_md5)
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(archive) as packed:
                for name in names:
                    self._unpack(packed, name)
        except (tarfile.TarError, EOFError, KeyError) as error:
            raise RuntimeError(
                f"{archive} is damaged or is not the archive of {type(self).__name__}: {error}"
            ) from error

    def _unpack(self, packed: tarfile.TarFile, name: str) -> None:
        source = packed.extractfile(f"{self.base_folder}/{name}")
        if source is None:
            raise KeyError(f"{name} is not a file")
        part = self._folder / f"{name}.part"
        try:
            with source, part.open("wb") as target:
                shutil.copyfileobj(source, target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        part.replace(self._folder / name)

    def _read(self, name: str) -> dict[str, Any]:
        path = self._folder / name
        if not path.is_file():
            missing = {"dataset": type(self).__name__, "name": name, "base": self.base_folder}
            raise RuntimeError(_NOT_FOUND.format(**missing, folder=self._folder))
        return read_pickle(path)

    def _load_classes(self) -> list[str]:
        names = self._read(self.meta["filename"]).get(self.meta["key"])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(
                f"{self._folder / self.meta['filename']} does not hold a list of names {self.meta['key']!r}"
            )
        return names

    def _load_batch(self, name: str) -> tuple[np.ndarray, list[int]]:
        """Read and check the pixels (N, 3072) and the labels of one file."""
        path, found = self._folder / name, self._read(name)
        pixels, labels = found.get("data"), found.get(self.meta["labels"])
        if not (isinstance(pixels, np.ndarray) and pixels.ndim == 2 and pixels.shape[1] == _PIXELS):
            raise ValueError(f"{path} should hold an array of shape [N, {_PIXELS}] as 'data', got {_described(pixels)}")
        if not isinstance(labels, list) or not all(type(label) is int for label in labels):
            raise ValueError(f"{path} does not hold a list of integers {self.meta['labels']!r}")
        if len(pixels) != len(labels):
            raise ValueError(f"{path} holds {len(pixels)} images, but {len(labels)} labels")
        if labels and not (min(labels) >= 0 and max(labels) < len(self.classes)):
            raise ValueError(
                f"{path} holds labels from {min(labels)} to {max(labels)}, but there are {len(self.classes)} classes"
            )
        return pixels, labels


def _described(value: Any) -> str:
    return f"an array of shape {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__


class CIFAR100(CIFAR10):
    """Photographs of 32x32 pixels in 100 classes, read from ``cifar-100-python``. Otherwise like :class:`CIFAR10`.

    Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.

    >>> dataset = CIFAR100("data", train=False, download=True)
    >>> image, label = dataset[0]
    >>> image.size, dataset.classes[label]
    ((32, 32), 'mountain')
    """

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list: ClassVar[Sequence[str]] = ["train"]
    test_list: ClassVar[Sequence[str]] = ["test"]
    meta: ClassVar[dict[str, str]] = {"filename": "meta", "key": "fine_label_names", "labels": "fine_labels"}
