"""PatchCamelyon: microscopic images of tissue."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from ._published_files import Published, drive, provide
from .utils import verify_str_arg
from .vision import Transform, VisionDataset, as_image

# For each split: the name used in the file names, and the Google Drive id and MD5 checksum of the images (x) and the
# labels (y).
_FILES = {
    "train": (
        "train",
        {
            "x": ("1Ka0XfEMiwgCYPdTI-vv6eUElOBnKFKQ2", "1571f514728f59376b705fc836ff4b63"),
            "y": ("1269yhu3pZDP8UYFQs-NYs3FPwuK-nGSG", "35c2d7259d906cfc8143347bb8e05be7"),
        },
    ),
    "test": (
        "test",
        {
            "x": ("1qV65ZqZvWzuIVthK8eVDhIwrbnsJdbg_", "d8c2d60d490dbd479f8199bdfa0cf6ec"),
            "y": ("17BHrSrwWKjYsOgTMmoqrIjDy6Fa2o_gP", "60a7035772fbdb7f34eb86d4420cf66a"),
        },
    ),
    "val": (
        "valid",
        {
            "x": ("1hgshYGWK8V-eGRy8LToWJJgDU_rXWVJ3", "d5b63470df7cfa627aeec8b9dc0c066e"),
            "y": ("1bH8ZRbhSVAhScTS0p9-ZzGnX91cHT3uO", "2b85f58b927af9964a4c15b8f7e8f179"),
        },
    ),
}


class PCAM(VisionDataset):
    """327,680 images of tissue, 96x96 pixels, labelled 1 if the centre contains a tumour. Reading requires h5py.

    Args:
        root: the folder that contains ``pcam``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download and unpack missing files, which requires gdown.
    Raises: RuntimeError if a file or h5py is missing; ValueError for an unknown split.

    Source: Veeling et al. 2018, arXiv:1806.03962.
    """

    root: str | Path

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        try:
            self.h5py: Any = importlib.import_module("h5py")
        except ModuleNotFoundError:
            raise RuntimeError("h5py is not found. PCAM needs it to read its files: pip install h5py") from None
        self._split = verify_str_arg(split, "split", _FILES)
        super().__init__(root, transform=transform, target_transform=target_transform)
        folder = Path(self.root) / "pcam"
        part, parts = _FILES[split]
        names = {kind: f"camelyonpatch_level_2_split_{part}_{kind}.h5" for kind in parts}
        files = [Published(drive(file_id), md5, f"{names[kind]}.gz") for kind, (file_id, md5) in parts.items()]
        self._images, self._targets = (folder / name for name in names.values())
        provide(self, [self._images, self._targets], folder, files, download)

    def __len__(self) -> int:
        with self.h5py.File(self._images) as file:
            return len(file["x"])

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        with self.h5py.File(self._images) as images, self.h5py.File(self._targets) as targets:
            return self._transformed(as_image(images["x"][index]), int(targets["y"][index, 0, 0, 0]))
