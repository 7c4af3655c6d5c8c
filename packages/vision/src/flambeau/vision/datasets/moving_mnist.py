"""Moving MNIST: videos of moving digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import flambeau as fb

from ._published_files import Published, provide
from .utils import verify_str_arg
from .vision import Transform, VisionDataset

_FILE = Published(
    "http://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy",
    "be083ec986bfe91a449d63653c411eb2",
    unpack=False,
)
_FRAMES = 20


class MovingMNIST(VisionDataset):
    """10,000 videos of 20 frames in which two digits move. A sample is a uint8 tensor (frames, 1, 64, 64).

    Args:
        root: the folder that contains ``MovingMNIST``.
        split: ``"train"`` for the first ``split_ratio`` frames of each video, ``"test"`` for the other frames, or None
            for all frames.
        split_ratio: number of training frames, 1 to 19.
        download: if True, download the file if it is missing.
        transform: function applied to each video.
    Raises: RuntimeError if the file is missing; ValueError for an unknown split or ratio.

    Source: Srivastava et al. 2015, arXiv:1502.04681.

    >>> MovingMNIST("data", split="train", split_ratio=10, download=True)[0].shape
    flambeau.Size([10, 1, 64, 64])
    """

    root: str | Path

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        split_ratio: int = 10,
        download: bool = False,
        transform: Transform = None,
    ) -> None:
        super().__init__(root, transform=transform)
        self.split = None if split is None else verify_str_arg(split, "split", ("train", "test"))
        if not isinstance(split_ratio, int):
            raise TypeError(f"`split_ratio` should be an integer, but got {type(split_ratio)}")
        if not 1 <= split_ratio < _FRAMES:
            raise ValueError(f"`split_ratio` should be `1 <= split_ratio <= 19`, but got {split_ratio} instead.")
        self.split_ratio = split_ratio
        folder = Path(self.root) / type(self).__name__
        provide(self, [folder / _FILE.file], folder, [_FILE], download)
        frames = np.load(folder / _FILE.file)  # (frames, sequences, 64, 64)
        first, last = {None: (0, None), "train": (0, split_ratio), "test": (split_ratio, None)}[self.split]
        self.data = fb.from_numpy(np.ascontiguousarray(frames[first:last].swapaxes(0, 1)[:, :, None]))

    def __getitem__(self, index: int) -> Any:
        sequence = self.data[index]
        return sequence if self.transform is None else self.transform(sequence)

    def __len__(self) -> int:
        return len(self.data)
