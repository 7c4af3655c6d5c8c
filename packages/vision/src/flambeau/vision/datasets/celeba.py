"""CelebA: photographs of celebrities' faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flambeau as fb

from ._published_files import Published, drive, lines_of, provide
from .folder import loaded_as_stored
from .utils import verify_str_arg
from .vision import Transform, VisionDataset

_FILES = (
    Published(drive("0B7EVK8r0v71pZjFTYXZWM3FlRnM"), "00d2c5bc6d35e252742224ab0c1e8fcb", "img_align_celeba.zip"),
    Published(drive("0B7EVK8r0v71pblRyaVFSWGxPY0U"), "75e246fa4810816ffd6ee81facbd244c", "list_attr_celeba.txt", False),
    Published(
        drive("1_ee_0u7vcNLOfNLegJRHmolfH5ICW-XS"), "32bd1bd63d3c78cd57e08160ec5ed1e2", "identity_CelebA.txt", False
    ),
    Published(drive("0B7EVK8r0v71pbThiMVRxWXZ4dU0"), "00566efa6fedff7a56946cd1c10f1c16", "list_bbox_celeba.txt", False),
    Published(
        drive("0B7EVK8r0v71pd0FJY3Blby1HUTQ"),
        "cc24ecafdb5b50baae59b03474781f8c",
        "list_landmarks_align_celeba.txt",
        False,
    ),
    Published(
        drive("0B7EVK8r0v71pY0NSMzRuSXJEVkk"), "d32c9cbf5e040fd4025c592c306e6668", "list_eval_partition.txt", False
    ),
)
_SPLITS = {"train": 0, "valid": 1, "test": 2, "all": None}
_TARGETS = ("attr", "identity", "bbox", "landmarks")


class CelebA(VisionDataset):
    """202,599 photographs of faces, with 40 attributes, the person, a box and five landmarks of each face.

    ``attr_names`` contains the names of the attributes, and ``filename`` the names of the image files.

    Args:
        root: the folder that contains ``celeba``.
        split: ``"train"``, ``"valid"``, ``"test"`` or ``"all"``.
        target_type: type of target, or a list of types for a tuple of targets. The targets are int64 tensors:
            ``"attr"`` (40,) of 0 and 1, ``"identity"`` (), ``"bbox"`` (4,) of x, y, width and height, ``"landmarks"``
            (10,) of x and y. With an empty list, the target is None.
        transform, target_transform: functions applied to each image and to each target.
        download: if True, download and unpack missing files, which requires gdown.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split or target.

    Source: Liu et al. 2014, arXiv:1411.7766.

    >>> dataset = CelebA("data", target_type=["attr", "bbox"], download=True)
    >>> image, (attributes, box) = dataset[0]
    >>> [name for name, value in zip(dataset.attr_names, attributes) if value], box.tolist()
    (['Young'], [1, 2, 3, 4])
    """

    base_folder = "celeba"
    root: str | Path

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        target_type: Sequence[str] | str = "attr",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split.lower() if isinstance(split, str) else split, "split", _SPLITS)
        kinds = [target_type] if isinstance(target_type, str) else list(target_type)
        self.target_type = [verify_str_arg(each, "target_type", _TARGETS) for each in kinds]
        if not kinds and target_transform is not None:
            raise RuntimeError("target_transform is specified but target_type is empty")
        folder = self._folder = Path(self.root) / self.base_folder
        names = ["img_align_celeba", *(file.file for file in _FILES[1:])]
        provide(self, [folder / name for name in names], folder, _FILES, download)
        partition = [line.split() for line in lines_of(folder / "list_eval_partition.txt")]
        wanted = _SPLITS[self.split]
        chosen = [row for row, (_, part) in enumerate(partition) if wanted is None or int(part) == wanted]
        self.filename = [partition[row][0] for row in chosen]
        self.attr_names = lines_of(folder / "list_attr_celeba.txt")[1].split()
        self.attr = (self._table("list_attr_celeba.txt", chosen, 2) + 1) // 2  # the file has -1 and 1
        self.identity = self._table("identity_CelebA.txt", chosen)
        self.bbox = self._table("list_bbox_celeba.txt", chosen, 2)
        self.landmarks_align = self._table("list_landmarks_align_celeba.txt", chosen, 2)

    def _table(self, name: str, rows: Sequence[int], heading: int = 0) -> fb.Tensor:
        """Read the given rows of a table, without the first column, which contains image names."""
        lines = lines_of(self._folder / name)[heading:]
        return fb.tensor([[int(number) for number in lines[row].split()[1:]] for row in rows])

    def __len__(self) -> int:
        return len(self.filename)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = loaded_as_stored(self._folder / "img_align_celeba" / self.filename[index])
        columns = {"attr": self.attr, "identity": self.identity[:, 0], "bbox": self.bbox}
        columns["landmarks"] = self.landmarks_align
        targets = tuple(columns[kind][index] for kind in self.target_type)
        return self._transformed(image, targets if len(targets) > 1 else targets[0] if targets else None)

    def extra_repr(self) -> str:
        return f"Target type: {self.target_type}\nSplit: {self.split}"
