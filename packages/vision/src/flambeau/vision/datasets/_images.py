"""What the image datasets share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from flambeau.data import Dataset

Transform: TypeAlias = Callable[[Any], Any] | None


class ImageDataset(Dataset[tuple[Any, Any]]):
    """Images and labels in memory, ``data`` (N, H, W) uint8 and ``targets`` (N,) int64."""

    data: np.ndarray
    targets: np.ndarray

    def __init__(
        self, root: str | Path | None, train: bool, transform: Transform = None, target_transform: Transform = None
    ) -> None:
        self.root = None if root is None else Path(root).expanduser()
        self.train = train
        self.transform = transform
        self.target_transform = target_transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        # A copy, so that a transform that writes into its image leaves the dataset alone.
        image, target = self.data[index].copy(), int(self.targets[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"Root location: {self.root}")
        lines.append(f"Split: {'Train' if self.train else 'Test'}")
        for name, transform in (("Transform", self.transform), ("Target transform", self.target_transform)):
            if transform is not None:
                lines.append(f"{name}: " + repr(transform).replace("\n", "\n    "))
        return "\n    ".join(lines)
