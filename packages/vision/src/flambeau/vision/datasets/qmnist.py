"""QMNIST: a reconstruction of MNIST, with the metadata of each digit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .mnist import MNIST, check_elements
from .vision import as_image


class QMNIST(MNIST):
    """A reconstruction of MNIST from its sources, with 60,000 test images and the writer of each digit.

    Args:
        what: ``"train"``, ``"test"``, ``"test10k"`` (the test images of MNIST), ``"test50k"`` (the other test images)
            or ``"nist"`` (all 402,953 images). None selects ``"train"`` or ``"test"``, depending on ``train``.
        compat: if True, the target is the digit; if False, an int64 tensor (8,) of its metadata.
        train, transform, target_transform, download: as for :class:`MNIST`.
    Raises: ValueError for an unsupported ``what``, and the errors of :class:`MNIST`.

    Source: Yadav and Bottou 2019, arXiv:1905.10498.

    >>> image, metadata = QMNIST("data", compat=False, download=True)[0]
    >>> metadata.shape, metadata[0].item()
    (flambeau.Size([8]), 5)
    """

    subsets: ClassVar[dict[str, str]] = {
        "train": "train", "test": "test", "test10k": "test", "test50k": "test", "nist": "nist",
    }  # fmt: skip
    mirrors = ("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",)
    archives: ClassVar[dict[str, Sequence[tuple[str, str]]]] = {
        "train": (
            ("qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
            ("qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4"),
        ),
        "test": (
            ("qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
            ("qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa"),
        ),
        "nist": (
            ("xnist-images-idx3-ubyte.xz", "7f124b3b8ab81486c9d8c2749c17f834"),
            ("xnist-labels-idx2-int.xz", "5ed0e788978e45d4a8bd4b7caec3d79d"),
        ),
    }

    def __init__(
        self, root: str | Path, what: str | None = None, compat: bool = True, train: bool = True, **kwargs: Any
    ) -> None:
        self.what = what or ("train" if train else "test")
        if self.what not in self.subsets:
            raise ValueError(f"Unknown value '{what}' for argument what. Valid values are {set(self.subsets)}.")
        self.compat = compat
        super().__init__(root, train, **kwargs)
        part = {"test10k": slice(10_000), "test50k": slice(10_000, None)}.get(self.what, slice(None))
        self.data, self.targets = self.data[part], self.targets[part]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        target = self.targets[index]
        image = as_image(self.data[index])
        return self._transformed(image, int(target[0]) if self.compat else target)

    def _files(self) -> Sequence[tuple[str, str]]:
        return self.archives[self.subsets[self.what]]

    def _labels(self, path: Path, labels: np.ndarray) -> np.ndarray:
        check_elements(path, labels, "labels", 2, np.int32)
        return labels

    def extra_repr(self) -> str:
        return f"Split: {self.what}"
