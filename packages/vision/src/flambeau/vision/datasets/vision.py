"""Base class of image datasets: root folder, transforms and ``repr``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from flambeau.data import Dataset

Transform: TypeAlias = Callable[[Any], Any] | None
Transforms: TypeAlias = Callable[[Any, Any], tuple[Any, Any]] | None


class VisionDataset(Dataset[tuple[Any, Any]]):
    """Base class of image datasets. A subclass defines ``__getitem__`` and ``__len__``.

    Args:
        root: the folder of the files; None for a dataset without files.
        transforms: function of an image and its target, in place of ``transform`` and ``target_transform``.
        transform, target_transform: functions applied to the image and to the target.
    Raises: ValueError if ``transforms`` is given together with ``transform`` or ``target_transform``.

    >>> class Squares(VisionDataset):
    ...     def __getitem__(self, index):
    ...         return self.transforms(index**2, index)
    ...     def __len__(self):
    ...         return 10
    >>> Squares(transform=float)[3]
    (9.0, 3)
    """

    train: bool

    def __init__(
        self,
        root: str | Path | None = None,
        transforms: Transforms = None,
        transform: Transform = None,
        target_transform: Transform = None,
    ) -> None:
        separate = transform is not None or target_transform is not None
        if transforms is not None and separate:
            raise ValueError("Only transforms or transform/target_transform can be passed as argument")
        self.root = os.path.expanduser(root) if isinstance(root, str) else root
        self.transform = transform
        self.target_transform = target_transform
        self.transforms = StandardTransform(transform, target_transform) if separate else transforms

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(self, index)")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__(self)")

    def _transformed(self, image: Any, target: Any) -> tuple[Any, Any]:
        if self.transforms is not None and not isinstance(self.transforms, StandardTransform):
            return self.transforms(image, target)
        # Call `transform` and `target_transform` themselves, because programs replace these attributes.
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"Root location: {self.root}")
        lines += self.extra_repr().splitlines()
        if self.transforms is not None:
            lines.append(repr(self.transforms))
        return "\n    ".join(lines)

    def extra_repr(self) -> str:
        """Return additional lines for ``repr``, by default the split if the dataset has one."""
        return f"Split: {'Train' if self.train else 'Test'}" if hasattr(self, "train") else ""


def as_image(pixels: Any) -> Image.Image:
    """Convert an array to a PIL image like ``Image.fromarray``. For common uint8 shapes, this takes half the time."""
    array = np.ascontiguousarray(pixels)
    if array.dtype != np.uint8 or (array.ndim != 2 and array.shape[2:] != (3,)):
        return Image.fromarray(array)
    mode = "L" if array.ndim == 2 else "RGB"
    return Image.frombuffer(mode, (array.shape[1], array.shape[0]), array, "raw", mode, 0, 1)


class StandardTransform:
    """Combination of a transform of the image and a transform of the target."""

    def __init__(self, transform: Transform = None, target_transform: Transform = None) -> None:
        self.transform = transform
        self.target_transform = target_transform

    def __call__(self, input: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            input = self.transform(input)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return input, target

    def __repr__(self) -> str:
        lines = [type(self).__name__]
        for head, transform in (("Transform: ", self.transform), ("Target transform: ", self.target_transform)):
            if transform is not None:
                lines.append(head + repr(transform).replace("\n", "\n" + " " * len(head)))
        return "\n".join(lines)
